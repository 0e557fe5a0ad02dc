from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.fresh_env import FreshEnvironment
    from support.made_plugins import Run, Site
    from support.programs import ProgramRunner

HOOK = "@hookimpl\ndef ocibuild_auth_providers():\n    "
OPTIONS = """(
    Option(name='region', help='Where it is', env=('OLD_REGION',), default='north'),
    Option(name='token', help='Its token', type=OptionType.SECRET),
    Option(name='public', help='Public registries, too', type=OptionType.BOOL),
    Option(name='wait', help='How long', type=OptionType.DURATION),
)"""
GOOD = f"""
from pathlib import Path
from ocibuild_core.plugin import Artifact, BuildOutput, ExportPlan
ARCHIVE = BuildOutput(type="docker")
class Proof(Writer):
    def plan(self, request):
        return ExportPlan(outputs=(ARCHIVE,), destinations=(request.directory / "proof",))
    def finish(self, request, results):
        written = results.staging / "proof"
        written.write_text(str(results.files[ARCHIVE].stat().st_size))
        return [Artifact(source=written, destination=request.directory / "proof")]
@hookimpl
def ocibuild_exporters():
    return [Proof("proof")]
@hookimpl
def ocibuild_auth_providers():
    return [Provider("good", aliases=("fine",), options={OPTIONS})]
"""
# id: the source of a module, and words of its message
TEN = {
    "missing-module": ("import no_such_sdk", "No module named 'no_such_sdk'"),
    "syntax": ("def broken(:", "has a syntax error"),
    "exits": ("import sys; sys.exit('bye')", "ends the program while it is imported"),
    "raises": ("1 / 0", "ZeroDivisionError: division by zero"),
    "arguments": ("@hookimpl\ndef ocibuild_exporters(directory): return []", "has a hook with wrong arguments"),
    "wrong-type": (HOOK + "return 'ecr'", "returns the wrong type from ocibuild_auth_providers"),
    "half-filled": (HOOK + "return [Provider('half', summary='')]", "'half' without a summary"),
    "invalid-name": (HOOK + "return [Provider('Not A Name')]", "invalid name 'Not A Name'"),
    "newer": ("OCIBUILD_HOOK_API = 7", "it is written for hook API 7; this one has 1"),
    "misspelt": ("@hookimpl\ndef ocibuild_exporter(): return []", "unknown hook 'ocibuild_exporter'"),
}


@pytest.fixture
def ten_broken_and_one_good(site: Site) -> Site:
    for plugin_id, (source, _) in TEN.items():
        site.add(plugin_id, source, version="0.3")
    site.add("good", GOOD)
    return site


@pytest.mark.usefixtures("ten_broken_and_one_good")
def test_all_ten_are_named_with_their_cause_and_the_good_one_is_in_order(ocibuild: Run) -> None:
    done = ocibuild("plugins")
    assert done.returncode == 0
    assert done.stderr == ""
    for plugin_id, (_, cause) in TEN.items():
        (row,) = [line.split() for line in done.stdout.splitlines() if line.startswith(f"{plugin_id} ")]
        assert row[1:3] == [f"ocibuild-{plugin_id}", "0.3"]
        assert row[4] == "broken"
        (story,) = [part for part in done.stdout.split("\n\n") if part.startswith(f"plugin '{plugin_id}' ")]
        assert cause in story
        assert "\n  do     " in story
    (good,) = [line for line in done.stdout.splitlines() if line.startswith("good ")]
    assert good.split()[4:-1] == ["ok", "provider", "'good',", "exporter", "'proof'", "4"]
    assert good.endswith(".py")


@pytest.mark.e2e
def test_the_good_one_works_in_a_build_beside_the_ten(
    ten_broken_and_one_good: Site, run: ProgramRunner, sandbox: Path
) -> None:
    work = sandbox / "work"
    (work / "image").mkdir(parents=True)
    (work / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    env = {"PYTHONPATH": str(ten_broken_and_one_good.directory)}

    done = run("build", ".", "-o", "docker", "-o", "proof", env=env, cwd=work).succeeded()

    assert (work / "image" / "proof").read_text() == str((work / "image" / "image.tar").stat().st_size)
    assert "broken" not in done.stderr
    verbose = run("build", ".", "-v", env=env, cwd=work).succeeded()
    for plugin_id in TEN:
        lines = [line for line in verbose.stderr.splitlines() if f"plugin '{plugin_id}' " in line]
        assert len(lines) == 1
        assert "is not used" in lines[0]


@pytest.mark.e2e
def test_a_broken_one_that_a_build_needs_ends_it_with_its_cause(
    ten_broken_and_one_good: Site, run: ProgramRunner, sandbox: Path
) -> None:
    (sandbox / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    env = {"PYTHONPATH": str(ten_broken_and_one_good.directory)}
    done = run("build", ".", "--login", "missing-module", env=env, cwd=sandbox).ended_with(4)
    assert "plugin 'missing-module' (ocibuild-missing-module 0.3): misses a module" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    done = run("build", ".", "--login", "good", "--no-plugin", "good", env=env, cwd=sandbox).ended_with(4)
    assert "by --no-plugin good" in done.stderr
    done = run("build", ".", env={**env, "OCIBUILD_PLUGINS": "good,absent"}, cwd=sandbox).ended_with(4)
    assert "plugin 'absent': is listed by OCIBUILD_PLUGINS, but not installed" in done.stderr


@pytest.mark.e2e
def test_oldest_allowed_pluggy_finds_the_same(
    ten_broken_and_one_good: Site, ocibuild: Run, fresh_environment: Callable[..., FreshEnvironment]
) -> None:
    oldest = fresh_environment("ocibuild-core", "pluggy==1.5.0").program("ocibuild")
    command = [str(oldest), "plugins", "--json"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ten_broken_and_one_good.directory)}
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout
    now = ocibuild("plugins", "--json").stdout

    def problems(output: str) -> dict[str, str]:
        return {row["id"]: row["problem"]["what"] for row in json.loads(output) if row["id"] in TEN}

    assert problems(found) == problems(now)
    assert len(problems(found)) == 10


@pytest.mark.usefixtures("ten_broken_and_one_good")
def test_json_tells_the_same(ocibuild: Run) -> None:
    rows = {row["id"]: row for row in json.loads(ocibuild("plugins", "--json").stdout)}
    assert {row["state"] for plugin_id, row in rows.items() if plugin_id in TEN} == {"broken"}
    assert "no_such_sdk" in rows["missing-module"]["problem"]["why"]
    assert rows["missing-module"]["problem"]["do"]
    good = rows["good"]
    assert (good["distribution"], good["version"], good["hook_api"]) == ("ocibuild-good", "1.0", 1)
    assert good["location"].endswith(".py")
    provider, exporter = sorted(good["offers"], key=lambda offer: str(offer["name"]))
    assert (provider["kind"], provider["aliases"], exporter["kind"]) == ("provider", ["fine"], "exporter")
    region, token, *_ = provider["options"]
    assert region["flags"] == ["--good-region"]
    assert region["env"] == ["GOOD_REGION", "OLD_REGION"]
    assert (region["yaml"], region["request"], region["default"]) == (
        "auth.good.region",
        ["good_region", "old_region"],
        "north",
    )
    assert token["flags"] == ["--good-token-file"]


@pytest.mark.usefixtures("ten_broken_and_one_good")
def test_show_has_every_spelling_the_default_and_who_sets_it_now(ocibuild: Run) -> None:
    shown = ocibuild("plugins", "show", "good", OLD_REGION="south", GOOD_TOKEN="hunter2", GOOD_WAIT="soon").stdout
    assert "plugin 'good' (ocibuild-good 1.0)" in shown
    assert "provider 'good' (also fine): Logs in." in shown
    for spelling in ("--good-region TEXT", "GOOD_REGION, OLD_REGION", "auth.good.region", "good_region, old_region"):
        assert spelling in shown
    assert "south (from OLD_REGION)" in shown
    assert "default       north" in shown
    assert "--good-public, --no-good-public" in shown
    assert "GOOD_TOKEN, GOOD_TOKEN_FILE" in shown
    assert "******** (from GOOD_TOKEN)" in shown
    assert "hunter2" not in shown
    assert "invalid: GOOD_WAIT='soon': not a duration" in shown


@pytest.mark.usefixtures("ten_broken_and_one_good")
def test_show_of_a_broken_one_has_a_traceback_on_demand(ocibuild: Run) -> None:
    assert "Traceback" not in ocibuild("plugins", "show", "raises").stdout
    verbose = ocibuild("plugins", "show", "raises", "-v").stdout
    assert "Traceback (most recent call last)" in verbose
    assert "ZeroDivisionError: division by zero" in verbose


def test_show_of_an_unknown_one(ocibuild: Run) -> None:
    done = ocibuild("plugins", "show", "nothing")
    assert done.returncode == 4
    assert "no plugin 'nothing' is installed" in done.stderr
    assert "core" in done.stderr
    assert "no plugin 'croe' is installed; did you mean 'core'?" in ocibuild("plugins", "show", "croe").stderr


def test_closed_stderr_breaks_no_plugin_that_prints(site: Site) -> None:
    site.add("loud", "print('hello')\n" + HOOK + "return []")
    code = "from ocibuild_core.cli.main import ocibuild; ocibuild()"
    command = f"exec {sys.executable} -c '{code}' plugins --json 2>&-"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site.directory)}
    found = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, env=env).stdout
    assert {row["id"]: row["state"] for row in json.loads(found)}["loud"] == "ok"


def test_blocked_and_listed_plugins_are_shown_as_such(ocibuild: Run, site: Site) -> None:
    site.add("first")
    site.add("second")
    rows = json.loads(ocibuild("plugins", "--no-plugin", "first", "--json", OCIBUILD_PLUGINS="first,third").stdout)
    found = {row["id"]: (row["state"], (row["problem"] or {}).get("why")) for row in rows}
    assert found["first"] == ("blocked", "by --no-plugin first")
    assert found["second"] == ("blocked", "it is not in the list of OCIBUILD_PLUGINS")
    assert found["third"][0] == "missing"
    assert found["core"] == ("ok", None)
