from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ocibuild_core.checks import check_settings
from ocibuild_core.errors import UsageError
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import CommandLine, Environment

if TYPE_CHECKING:
    from pathlib import Path


def refusal(**env: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        check_settings(resolve([Environment(env)]), {})
    return caught.value


def test_a_containerfile_in_place_of_the_dockerfile_is_proposed(tmp_path: Path) -> None:
    (tmp_path / "Containerfile").touch()
    told = refusal(CONTEXT=str(tmp_path))
    assert told.summary == f"there is no {tmp_path}/Dockerfile"
    assert told.do == f"name the one that is there: -f {tmp_path}/Containerfile"
    assert "Containerfile" not in str(refusal(CONTEXT=str(tmp_path), DOCKERFILE=f"{tmp_path}/other"))


@pytest.mark.parametrize("secret", ["id=PASS", "id=x,env=PASS", "type=env,id=PASS"])
def test_pass_is_refused_as_a_secret_of_the_build(secret: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").touch()
    settings = resolve([CommandLine({"context": str(tmp_path), "secrets": (secret,)}, {})])
    with pytest.raises(UsageError, match="PASS is handed to no other program"):
        check_settings(settings, {"PASS": "user:hidden"})


def test_a_secret_of_that_name_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").touch()
    secret = f"id=PASS,src={tmp_path / 'Dockerfile'}"
    check_settings(resolve([CommandLine({"context": str(tmp_path), "secrets": (secret,)}, {})]), {"PASS": "u:p"})


@pytest.mark.parametrize("secret", ["hidden", "h" * 5000])
def test_a_secret_in_place_of_its_path_is_not_repeated(secret: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").touch()
    told = refusal(CONTEXT=str(tmp_path), BUILDKIT_SECRET_token=secret)
    assert secret not in str(told)
    assert told.summary == "BUILDKIT_SECRET_token: cannot read the secret's file"
    assert told.do.endswith("as BUILDKIT_SECRETTEXT_token")


@pytest.mark.parametrize("context", ["", "https://r.example/x.git"])
def test_a_directory_in_place_of_the_dockerfile_is_said(context: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").mkdir()
    told = refusal(CONTEXT=context or str(tmp_path), DOCKERFILE=f"{tmp_path}/Dockerfile", BUILDKIT_HOST="tcp://b:1")
    assert told.summary == f"{tmp_path}/Dockerfile is a directory where the Dockerfile is expected"


@pytest.mark.parametrize(
    ("flags", "dockerfile", "where"),
    [
        ({"context": "https://git.invalid/x.git"}, "", "the argument CONTEXT 'https://git.invalid/x.git'"),
        ({"build_contexts": ("x=git://git.invalid/x",)}, "", "--build-context x"),
        ({}, "FROM scratch\nADD git@git.invalid:x.git#main /\n", "ADD (line 2 of the Dockerfile)"),
    ],
)
def test_what_is_in_git_needs_git(
    flags: dict[str, object], dockerfile: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Dockerfile").write_text(dockerfile)
    settings = resolve([CommandLine({"context": str(tmp_path), **flags}, {})])
    check_settings(settings, {})
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(UsageError) as caught:
        check_settings(settings, {})
    assert caught.value.summary == f"{where}: git is not installed"
    remote = resolve([CommandLine({"context": str(tmp_path), "addr": "tcp://b:1", **flags}, {})])
    check_settings(remote, {})
