from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.cli.new_plugin import write_plugin
from ocibuild_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.fresh_env import FreshEnvironment, Wheelhouse
    from support.made_plugins import Run


@pytest.mark.e2e
@pytest.mark.parametrize("kind", ["auth", "exporter"])
def test_new_plugin_passes_its_own_tests_as_an_installed_wheel(
    kind: str, tmp_path: Path, wheelhouse: Wheelhouse, fresh_environment: Callable[..., FreshEnvironment]
) -> None:
    write_plugin("some-thing", kind, tmp_path / "made")
    wheel = wheelhouse.build(tmp_path / "made")
    environment = fresh_environment(f"{wheel}[test]")
    wheel.unlink()
    # The sources are gone: what passes is the wheel.
    shutil.rmtree(tmp_path / "made" / "src")
    done = subprocess.run(
        [environment.python, "-m", "pytest", "-q"], cwd=tmp_path / "made", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) >= 10
    assert "skipped" not in done.stdout
    listed = subprocess.run([environment.program("ocibuild"), "plugins"], capture_output=True, text=True, check=True)
    assert re.search(r"^some-thing +ocibuild-some-thing +0\.1\.0 +1 +ok ", listed.stdout, re.MULTILINE)


@pytest.mark.parametrize("kind", ["auth", "exporter"])
def test_nothing_of_the_template_is_left(kind: str, tmp_path: Path) -> None:
    write_plugin("x", kind, tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 8
    for path in files:
        assert not re.search(r"@[A-Z_]+@", path.read_text() + str(path))
    import yaml

    workflow = yaml.safe_load((tmp_path / ".github/workflows/ci.yml").read_text())
    assert {"run": "pip install dist/*.whl"} in workflow["jobs"]["test"]["steps"]


@pytest.mark.parametrize("given", ["my-cloud", "ocibuild-my-cloud", " My-Cloud "])
def test_name_is_taken_as_people_write_it(given: str, ocibuild: Run, tmp_path: Path) -> None:
    done = ocibuild("plugins", "new", given, "--directory", str(tmp_path / "new"))
    assert "a plugin with the auth provider 'my-cloud'" in done.stdout
    assert (tmp_path / "new/src/ocibuild_my_cloud/provider.py").exists()


@pytest.mark.parametrize("name", ["", "1st", "a_b", "../x", "none", "core", "a b", "-a", "ä"])
def test_bad_name_writes_nothing(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no name for a plugin"):
        write_plugin(name, "auth", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_directory_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        write_plugin("x", "exporter", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_default_place_is_named_like_the_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "cd ocibuild-x" in write_plugin("x", "exporter", None)
    assert Path("ocibuild-x/src/ocibuild_x/exporter.py").exists()
