"""What the recipes and our own CI consist of is valid: workflows, pipelines, shell, and what they pin."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.ci_jobs import gitlab_jobs, read, shell_scripts
from support.fresh_env import ROOT
from support.go_tools import compiled
from support.missing import need_program

OWN = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS = [*OWN, *sorted((ROOT / "examples" / "github").glob("*.yml"))]
PIPELINE = ROOT / "examples" / "gitlab" / "gitlab-ci.yml"
SHELL = sorted(
    path for folder in ("scripts", "examples", ".ci") for path in (ROOT / folder).rglob("*") if path.is_file()
)
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")


def schema_check(schema: str, path: Path, *arguments: str) -> None:
    """Check a file against the schema that its reader publishes."""
    program = str(Path(sys.executable).with_name("check-jsonschema"))
    command = [program, "--builtin-schema", schema, *arguments, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_is_what_is_checked() -> None:
    assert [path.name for path in OWN] == ["ci.yml", "release.yml"]
    assert len(WORKFLOWS) > len(OWN)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=named)
def test_a_workflow_is_one_to_actionlint(workflow: Path) -> None:
    """It knows GitHub's schema and expressions, and asks shellcheck about each step."""
    actionlint = compiled("actionlint", "github.com/rhysd/actionlint/cmd/actionlint")
    shellcheck = need_program("shellcheck", "shellcheck")
    command = [str(actionlint), "-no-color", "-shellcheck", shellcheck, "-pyflakes=", str(workflow)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_would_notice(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOWS[0].read_text().replace("runs-on", "run-on"))
    actionlint = compiled("actionlint", "github.com/rhysd/actionlint/cmd/actionlint")
    assert subprocess.run([actionlint, wrong], capture_output=True, check=False).returncode != 0


def test_the_tests_run_on_every_python_and_processor_that_is_promised() -> None:
    project = tomllib.loads((ROOT / "ocibuild_core" / "pyproject.toml").read_text())["project"]
    promised = re.findall(r"Programming Language :: Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    matrix = read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == promised
    assert [runner.endswith("-arm") for runner in matrix["runner"]] == [False, True]


def test_a_change_has_to_pass_what_runs_on_a_laptop() -> None:
    here = re.findall(r"^make (\S+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    jobs = read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"].values()
    there = re.findall(
        r"^make (\S+)$", "\n".join(step.get("run", "") for job in jobs for step in job["steps"]), re.MULTILINE
    )
    assert here
    assert there == here


@pytest.mark.parametrize(("tag", "is_right"), [("v{}", True), ("{}", False), ("v{}.1", False)])
def test_a_release_has_its_tag_s_version(tag: str, is_right: bool) -> None:  # noqa: FBT001  # a column of the table
    project = tomllib.loads((ROOT / "ocibuild_core" / "pyproject.toml").read_text())["project"]
    steps = read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]["build"]["steps"]
    [script] = [step["run"] for step in steps if step.get("name") == "The tag is the version"]
    env = {**os.environ, "GITHUB_REF_NAME": tag.format(project["version"])}
    done = subprocess.run(["bash", "-e", "-c", script], cwd=ROOT, env=env, check=False)
    assert (done.returncode == 0) is is_right


def test_the_updates_of_the_actions_are_what_github_understands() -> None:
    schema_check("vendor.dependabot", ROOT / ".github" / "dependabot.yml")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=named)
def test_a_workflow_pins_its_actions_and_asks_for_few_rights(workflow: Path) -> None:
    document = read(workflow)
    assert document["permissions"] in ({}, {"contents": "read"})
    for job in document["jobs"].values():
        assert job["timeout-minutes"] <= 120
        used = [step["uses"] for step in job["steps"] if "uses" in step]
        assert [use for use in used if not PINNED.fullmatch(use)] == []


def test_the_pipeline_is_one_to_gitlab_s_schema() -> None:
    schema_check("vendor.gitlab-ci", PIPELINE, "--data-transform", "gitlab-ci")


def test_the_shell_of_the_pipeline_is_sound() -> None:
    shellcheck = need_program("shellcheck", "shellcheck")
    scripts = list(shell_scripts(PIPELINE))
    assert len(scripts) == len(gitlab_jobs(PIPELINE))
    for script in scripts:
        done = subprocess.run(
            [shellcheck, "-s", "bash", "-"], input=script, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_every_script_is_sound() -> None:
    shellcheck = need_program("shellcheck", "shellcheck")
    scripts = [path for path in SHELL if path.read_bytes().startswith(b"#!/bin/sh")]
    assert {"setup.sh", "dist.sh", "run", "certificates.sh", "log-in.sh"} <= {path.name for path in scripts}
    done = subprocess.run([shellcheck, *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_trust_policies_let_in_one_branch_of_one_project() -> None:
    for name, mark in (("github", "ref:refs/heads/main"), ("gitlab", "ref_type:branch:ref:main")):
        policy = json.loads((ROOT / "examples" / name / "aws-trust-policy.json").read_text())
        text = json.dumps(policy)
        assert mark in text
        assert "*" not in text
