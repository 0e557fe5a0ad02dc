"""Runs the shell of CI configurations as the CI systems would: their variables, their shells, their order.

Only what the recipes use is understood. Anything else fails the test, so that nothing is left out in silence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # noqa: TID253  # tests read YAML

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
_VARIABLE = re.compile(r"\$(\w+)")
ONLY_ON_HOSTED_RUNNERS = "runner.environment == 'github-hosted'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One shell of a job.

    Args:
        name: what it is called.
        interpreter: the command that is given the script.
        script: what it runs.
        env: the variables that the job and the step set.
        condition: GitHub's `if`, empty for none.
    """

    name: str
    interpreter: tuple[str, ...]
    script: str
    env: Mapping[str, str] = field(default_factory=dict)
    condition: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job with all that is decided before it runs.

    Args:
        steps: in order.
        permissions: GitHub's, by name.
        audiences: GitLab's OIDC tokens: the audience by the variable that gets the token.
    """

    steps: tuple[Step, ...]
    permissions: Mapping[str, str] = field(default_factory=dict)
    audiences: Mapping[str, str] = field(default_factory=dict)


def read(path: Path) -> dict[str, Any]:
    """A YAML file with one mapping. YAML 1.1's `on` is a boolean to PyYAML; here it is the word."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if first not in "oO" or not tag.endswith(":bool")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    document = yaml.load(path.read_text(), Loader)  # noqa: S506  # a SafeLoader
    assert isinstance(document, dict)
    return document


def github_job(path: Path, context: Mapping[str, str], name: str = "") -> Job:
    """A job of a workflow.

    Args:
        path: the workflow.
        context: what its expressions give, by their text.
        name: the job's key; the only one has no need of it.
    """
    workflow = read(path)
    [job] = [workflow["jobs"][name]] if name else workflow["jobs"].values()
    env = {**workflow.get("env", {}), **job.get("env", {})}

    def evaluate(text: object) -> str:
        return _EXPRESSION.sub(lambda found: _known(context, found[1], path), str(text))

    steps = [
        Step(
            name=step["name"],
            # docs.github.com, "Workflow syntax for GitHub Actions", `jobs.<job_id>.steps[*].shell`
            interpreter=("bash", "-e"),
            script=evaluate(step["run"]),
            env={name: evaluate(value) for name, value in {**env, **step.get("env", {})}.items()},
            condition=step.get("if", ""),
        )
        for step in job["steps"]
        if "run" in step
    ]
    return Job(steps=tuple(steps), permissions=job.get("permissions", workflow.get("permissions", {})))


def gitlab_jobs(path: Path) -> dict[str, dict[str, Any]]:
    """The jobs that run, with what they extend merged in (https://docs.gitlab.com/ci/yaml/#extends)."""
    document = read(path)
    keywords = {"stages", "default", "variables", "workflow", "include"}
    jobs = {name: value for name, value in document.items() if name not in keywords}
    return {name: _extended(jobs, name) for name in jobs if not name.startswith(".")}


def gitlab_job(path: Path, name: str, predefined: Mapping[str, str]) -> Job:
    """One job of a pipeline.

    Args:
        path: the pipeline.
        name: the job's.
        predefined: the variables that GitLab and the project's settings give.
    """
    job = gitlab_jobs(path)[name]
    known = dict(predefined)
    for variable, value in job.get("variables", {}).items():
        known[variable] = _VARIABLE.sub(lambda found: _known(known, found[1], path), str(value))
    script = "\n".join([*job.get("before_script", []), *job["script"]])
    # The runner's own prologue: gitlab-runner, shells/bash.go.
    step = Step(name=name, interpreter=("bash", "-eo", "pipefail"), script=script, env=known)
    audiences = {variable: token["aud"] for variable, token in job.get("id_tokens", {}).items()}
    return Job(steps=(step,), audiences=audiences)


def shell_scripts(path: Path) -> Iterator[str]:
    """Every piece of shell in a workflow or a pipeline."""
    document = read(path)
    if "jobs" in document:
        yield from (step["run"] for job in document["jobs"].values() for step in job["steps"] if "run" in step)
        return
    for job in gitlab_jobs(path).values():
        yield "\n".join([*job.get("before_script", []), *job["script"]])


def run_job(job: Job, run: Callable[[Step], None]) -> list[str]:
    """Run the steps; returns the names of those that only hosted runners have."""
    left_out = []
    for step in job.steps:
        if not step.condition:
            run(step)
        elif step.condition == ONLY_ON_HOSTED_RUNNERS:
            left_out.append(step.name)
        else:
            pytest.fail(f"the condition {step.condition!r} of the step {step.name!r} is not understood here")
    return left_out


def _known(values: Mapping[str, str], name: str, path: Path) -> str:
    if name not in values:
        pytest.fail(f"{path}: nothing here gives a value for {name!r}")
    return values[name]


def _extended(jobs: Mapping[str, dict[str, Any]], name: str) -> dict[str, Any]:
    job = dict(jobs[name])
    parent = job.pop("extends", None)
    return job if parent is None else _merged(_extended(jobs, parent), job)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = {key: _merged(base[key], value) if isinstance(base.get(key), dict) else value for key, value in over.items()}
    return {**base, **both}
