"""examples/github: the workflows' shell, as an ordinary user, against stand-ins for the clouds and their registries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fake_aws
import pytest
from ocibuild_testkit.registry import Identity
from support.ci_jobs import Job, Step, github_job, run_job
from support.ci_scenes import JobIssuer, Machine, Scene, ecr, google, with_passwords

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ocibuild_testkit.registry import Authority

pytestmark = pytest.mark.e2e

ISSUER = "https://token.actions.githubusercontent.com"
SUBJECT = "repo:team/app:ref:refs/heads/main"
SHA = "0123456789abcdef0123456789abcdef01234567"
PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/ci/providers/github"


def runs(job: Job, scene: Scene, machine: Machine, *, code: int = 0) -> list[str]:
    """Run a job as GitHub does: what it may do decides which variables it gets; returns what its steps printed."""
    workspace = machine.workspace(scene.dockerfile())
    said: list[str] = []
    with fake_aws.Machine(issuer=scene.issuer) as github:
        env = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": "octo",
            "GITHUB_REPOSITORY": "team/app",
            "GITHUB_SHA": SHA,
            "GITHUB_WORKSPACE": str(workspace),
            **(github.github_env() if job.permissions.get("id-token") == "write" else {}),
            **scene.network,
        }
        *before, _ = job.steps

        def run(step: Step) -> None:
            ended = machine.runs(step, workspace, env, code=0 if step in before else code)
            said.append(ended.stdout + ended.stderr)

        left_out = run_job(job, run)
    assert left_out == ["Let ordinary users make user namespaces"]
    return said


def test_ecr(examples: Path, machine: Callable[[str], Machine], tls_authority: Authority, ca: Path) -> None:
    job = github_job(examples / "github" / "ecr.yml", {"github.ref": "refs/heads/main"})
    env = job.steps[-1].env
    host, _, repository = env["IMAGE"].partition("/")
    policy = examples / "github" / "aws-trust-policy.json"
    role = env["ECR_ROLE_ARN"]

    with ecr(host, role, policy, JobIssuer(ISSUER, SUBJECT), tls_authority, ca) as scene:
        said = runs(job, scene, machine("with-ecr"))

        assert f"the private base of {scene.host}" in said[-1]
        assert set(scene.tags(repository)) == {SHA, "main", "cache"}
        assert "sts:AssumeRoleWithWebIdentity" in scene.asked()

    stranger = JobIssuer(ISSUER, "repo:other/app:ref:refs/heads/main")
    with ecr(host, role, policy, stranger, tls_authority, ca) as scene:
        said = runs(job, scene, machine("with-ecr"), code=3)

        assert f"AWS denied sts:AssumeRoleWithWebIdentity on {role}" in said[-1]
        assert not scene.registry.requests


def test_google(examples: Path, machine: Callable[[str], Machine], tls_authority: Authority, ca: Path) -> None:
    job = github_job(examples / "github" / "google.yml", {"github.ref": "refs/heads/main"})
    env = job.steps[-1].env
    host, _, repository = env["IMAGE"].partition("/")
    provider = env["GCR_WORKLOAD_IDENTITY_PROVIDER"]

    with google(host, provider, SUBJECT, JobIssuer(ISSUER, SUBJECT), tls_authority, ca) as scene:
        said = runs(job, scene, machine("with-gcr"))

        assert f"the private base of {scene.host}" in said[-1]
        assert scene.tags(repository) == (SHA,)
        assert scene.asked() == ["sts token-exchange"]


def test_ghcr(
    examples: Path,
    machine: Callable[[str], Machine],
    tls_authority: Authority,
    ca: Path,
    fresh_secret: Callable[[], str],
) -> None:
    token = fresh_secret()
    context = {"github.ref": "refs/heads/main", "github.repository": "team/app", "secrets.GITHUB_TOKEN": token}
    job = github_job(examples / "github" / "ghcr.yml", context)
    host, _, repository = job.steps[-1].env["IMAGE"].partition("/")
    pushes = (repository,) if job.permissions["packages"] == "write" else ()
    identity = Identity(username="octo", password=token, pull=("team/*",), push=pushes)

    with with_passwords(host, (identity,), tls_authority, ca) as scene:
        said = runs(job, scene, machine("with-basic"))

        assert f"the private base of {scene.host}" in said[-1]
        assert scene.tags(repository) == (SHA,)
