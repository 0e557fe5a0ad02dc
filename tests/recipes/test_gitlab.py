"""examples/gitlab: the pipeline's shell as a runner's ordinary user, against stand-ins for clouds and registries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ocibuild_testkit.registry import Identity
from support.ci_jobs import gitlab_job, run_job
from support.ci_scenes import JobIssuer, Machine, Scene, ecr, google, with_passwords

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ocibuild_testkit.registry import Authority
    from support.ci_jobs import Job, Step

pytestmark = pytest.mark.e2e

SUBJECT = "project_path:team/app:ref_type:branch:ref:main"
SHA = "89abcdef0123456789abcdef0123456789abcdef"
OWN_REGISTRY = "registry.gitlab.example"


@pytest.fixture
def runner(machine: Callable[[str], Machine]) -> Machine:
    """A shell executor, whose home stays from job to job."""
    return machine("gitlab-runner")


@pytest.fixture
def job(examples: Path, runner: Machine) -> Callable[..., Job]:
    """A job of the pipeline, as it is in the project `team/app`."""

    def get(name: str, **secrets: str) -> Job:
        predefined = {
            "GITLAB_CI": "true",
            "CI_BUILDS_DIR": str(runner.home / "builds"),
            "CI_COMMIT_SHA": SHA,
            "CI_REGISTRY": OWN_REGISTRY,
            "CI_REGISTRY_IMAGE": f"{OWN_REGISTRY}/team/app",
            **secrets,
        }
        return gitlab_job(examples / "gitlab" / "gitlab-ci.yml", name, predefined)

    return get


def runs(job: Job, scene: Scene, runner: Machine) -> str:
    """Run a job as a runner does; returns what it printed."""
    workspace = runner.workspace(scene.dockerfile())
    tokens = {name: scene.issuer.token(audience=audience) for name, audience in job.audiences.items() if scene.issuer}
    said: list[str] = []

    def run(step: Step) -> None:
        ended = runner.runs(step, workspace, {**tokens, **scene.network})
        said.append(ended.stdout + ended.stderr)

    run_job(job, run)
    assert f"the private base of {scene.host}" in said[0]
    return said[0]


def test_ecr(job: Callable[..., Job], examples: Path, runner: Machine, tls_authority: Authority, ca: Path) -> None:
    to_ecr = job("image to ECR")
    env = to_ecr.steps[0].env
    host, _, repository = env["IMAGE"].partition("/")
    policy = examples / "gitlab" / "aws-trust-policy.json"

    with ecr(host, env["ECR_ROLE_ARN"], policy, JobIssuer("https://gitlab.com", SUBJECT), tls_authority, ca) as scene:
        runs(to_ecr, scene, runner)

        assert scene.tags(repository) == (SHA,)
        assert "sts:AssumeRoleWithWebIdentity" in scene.asked()


def test_google(job: Callable[..., Job], runner: Machine, tls_authority: Authority, ca: Path) -> None:
    to_google = job("image to Artifact Registry")
    env = to_google.steps[0].env
    host, _, repository = env["IMAGE"].partition("/")
    issuer = JobIssuer("https://gitlab.com", SUBJECT)

    with google(host, env["GCR_WORKLOAD_IDENTITY_PROVIDER"], SUBJECT, issuer, tls_authority, ca) as scene:
        runs(to_google, scene, runner)

        assert scene.tags(repository) == (SHA,)
        assert scene.asked() == ["sts token-exchange"]


def test_ghcr(
    job: Callable[..., Job], runner: Machine, tls_authority: Authority, ca: Path, fresh_secret: Callable[[], str]
) -> None:
    token = fresh_secret()
    to_ghcr = job("image to GHCR", GHCR_TOKEN=token)
    env = to_ghcr.steps[0].env
    host, _, repository = env["IMAGE"].partition("/")

    with with_passwords(host, (Identity(username=env["BASIC_USER"], password=token),), tls_authority, ca) as scene:
        runs(to_ghcr, scene, runner)

        assert scene.tags(repository) == (SHA,)


def test_gitlabs_own_registry(
    job: Callable[..., Job], runner: Machine, tls_authority: Authority, ca: Path, fresh_secret: Callable[[], str]
) -> None:
    token = fresh_secret()
    # https://docs.gitlab.com/ci/jobs/ci_job_token/: the user `gitlab-ci-token`, which CI_REGISTRY_USER says, too.
    given = {"CI_REGISTRY_USER": "gitlab-ci-token", "CI_REGISTRY_PASSWORD": token, "CI_JOB_TOKEN": token}
    to_gitlab = job("image to GitLab", **given)

    identity = Identity(username="gitlab-ci-token", password=token, push=("team/app",))
    with with_passwords(OWN_REGISTRY, (identity,), tls_authority, ca) as scene:
        runs(to_gitlab, scene, runner)

        assert scene.tags("team/app") == (SHA,)
