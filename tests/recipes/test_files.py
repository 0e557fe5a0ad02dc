"""What the recipes and our own CI consist of is valid: workflows, pipelines, shell, and what they pin."""

from __future__ import annotations

import json
import re
import subprocess
import sys
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


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=named)
def test_a_workflow_pins_its_actions_and_asks_for_few_rights(workflow: Path) -> None:
    document = read(workflow)
    assert document["permissions"] in ({}, {"contents": "read"})
    for job in document["jobs"].values():
        assert job["timeout-minutes"] <= 120
        used = [step["uses"] for step in job["steps"] if "uses" in step]
        assert [use for use in used if not PINNED.fullmatch(use)] == []


def test_the_pipeline_is_one_to_gitlab_s_schema() -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [str(program), "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", str(PIPELINE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


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
