"""`build --print`: settings with their origins and the command, nothing built, no secret shown."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.secret import MASK
from support.programs import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.programs import ProgramRunner

pytestmark = pytest.mark.e2e


@pytest.fixture
def work(sandbox: Path) -> Path:
    directory = sandbox / "work"
    (directory / "image").mkdir(parents=True)
    (directory / "Dockerfile").write_text("FROM scratch AS one\nFROM scratch\n")
    return directory


def test_it_says_what_was_set_by_what_and_builds_nothing(work: Path, run: ProgramRunner) -> None:
    (work / "ocibuild.yml").write_text("labels: {a: 1}\n")
    result = run("build", "--print", "--target", "one", ".", env={"DEBUG": "true"}, cwd=work).succeeded()
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["target", "one", "--target"] in rows
    assert ["debug", "true", "DEBUG"] in rows
    assert any(row[:2] == ["labels", "a=1"] and "ocibuild.yml:" in row[2] for row in rows if len(row) > 2)
    assert "buildctl --addr=" in result.stdout
    assert "--opt target=one --opt label:a=1" in result.stdout
    assert list((work / "image").iterdir()) == []


def test_as_json_it_has_every_setting_and_one_command_a_target(work: Path, run: ProgramRunner) -> None:
    env = {"ADDITIONAL_TARGETS": "one", "BUILD_ARG_A": "x y"}
    shown = json.loads(run("build", "--print", "--json", env=env, cwd=work).succeeded().stdout)
    assert shown["settings"]["context"] == {"value": ".", "origin": "default"}
    assert shown["settings"]["build-args"]["value"] == [{"key": "A", "value": "x y", "origin": "BUILD_ARG_A"}]
    first, last = shown["commands"]
    assert "target=one" in first
    assert "target=one" not in last
    assert "type=image,push=false" in last
    assert f"docker archive {work}/image/image.tar" in shown["copied"]


def test_secrets_are_masked(work: Path, run: ProgramRunner, fresh_secret: Callable[[], str]) -> None:
    password, token = fresh_secret(), fresh_secret()
    env = {"LOGIN": "PASS", "PASS": f"alice:{password}", "BUILD_ARG_P": password, "BUILDKIT_SECRETTEXT_t": token}
    for form in ((), ("--json",)):
        # The runner searches what is printed.
        result = run("build", "--print", *form, ".", env=env, cwd=work).succeeded()
        assert "build-arg:P=***" in result.stdout
        assert "id=t,env=BUILDKIT_SECRETTEXT_t" in result.stdout


def test_json_alone_is_told_what_it_goes_with(work: Path, run: ProgramRunner) -> None:
    assert "--json goes with --print or --explain" in run("build", "--json", ".", cwd=work).ended_with(2).stderr


def test_a_reader_that_has_gone_is_no_fault(work: Path, run: ProgramRunner) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        argv = [str(PROGRAMS / "build"), "--print", "."]
        result = subprocess.run(argv, cwd=work, env=run.env(), stdout=closed, stderr=subprocess.PIPE, check=False)
    assert (result.returncode, result.stderr) == (128 + signal.SIGPIPE, b"")


def test_a_file_of_settings_with_another_ending_is_told(work: Path, run: ProgramRunner) -> None:
    (work / "ocibuild.yaml").write_text("labels: {a: 1}\n")
    warning = "warning: ocibuild.yaml is not read: call it ocibuild.yml, or name it with --config"
    assert warning in run("build", "--print", ".", cwd=work).succeeded().stderr
    assert warning not in run("build", "--print", "--config", "ocibuild.yaml", ".", cwd=work).succeeded().stderr


def test_each_of_several_errors_is_marked_as_one(work: Path, run: ProgramRunner) -> None:
    result = run("build", "--secret", "id=a,src=missing", "--ssh", "default", ".", cwd=work).ended_with(2)
    summaries = [line for line in result.stderr.splitlines() if not line.startswith(" ")]
    assert len(summaries) == 2
    assert all(line.startswith("error: ") for line in summaries)


def test_each_pair_has_its_own_origin(work: Path, run: ProgramRunner) -> None:
    (work / "f").write_text("b=file\n")
    env = {"LABEL_a": "env", "LABELS_FILE": "f", "TARGET_FILE": "t"}
    (work / "t").write_text("one\n")
    shown = run("build", "--print", "--label", "c=cli", ".", env=env, cwd=work).succeeded().stdout
    rows = [line.split() for line in shown.splitlines()]
    assert [row for row in rows if row[:1] == ["labels"]] == [
        ["labels", "a=env", "LABEL_a"],
        ["labels", "b=file", "LABELS_FILE", "f"],
        ["labels", "c=cli", "--label"],
    ]
    assert ["target", "one", "TARGET_FILE", "t"] in rows


def test_the_options_of_providers_are_shown_masked(
    work: Path, run: ProgramRunner, fresh_secret: Callable[[], str]
) -> None:
    env = {"LOGIN": "PASS", "PASS": f"alice:{fresh_secret()}", "ECR_REGION": "eu-west-3"}
    shown = json.loads(run("build", "--print", "--json", ".", env=env, cwd=work).succeeded().stdout)
    assert shown["logins"]["ecr"] == {"region": {"value": "eu-west-3", "origin": "ECR_REGION"}}
    [password] = [row for row in shown["logins"]["basic"].values() if row["origin"] == "PASS"]
    assert password["value"] == MASK
    assert "eu-west-3" in run("build", "--print", ".", env=env, cwd=work).succeeded().stdout


def test_the_directory_cache_is_among_the_arguments(work: Path, run: ProgramRunner) -> None:
    (work / "cache").mkdir()
    (work / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    run("build", cwd=work).succeeded()
    digest = json.loads((work / "cache" / "index.json").read_text())["manifests"][0]["digest"]
    shown = json.loads(run("build", "--print", "--json", cwd=work).succeeded().stdout)
    assert f"type=local,src=/PRIVATE/cache,digest={digest}" in shown["commands"][0]
    assert "type=local,mode=max,dest=/PRIVATE/cache,tag=build-1" in shown["commands"][0]


def test_passwords_in_addresses_are_masked(work: Path, run: ProgramRunner) -> None:
    # No secrets of the runner's: it would find them in the arguments that it is given.
    address = "https://u:pass-wd%21@127.0.0.1:1/y"
    flags = ("--build-context", f"a={address}", "--registry-mirror", address)
    for form in ((), ("--json",)):
        shown = run("build", "--print", *form, *flags, ".", cwd=work).succeeded().stdout
        assert "pass-wd" not in shown
        assert shown.count(MASK) == 3
    failed = run("build", f"{address}.git", cwd=work).ended_with(1)
    assert "pass-wd" not in failed.stdout + failed.stderr
    token = run("build", "https://ghp_01234567890123456789@127.0.0.1:1/y.git", cwd=work).ended_with(1)
    assert "ghp_0" not in token.stdout + token.stderr
