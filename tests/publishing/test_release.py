"""What .github/workflows/release.yml does with what was released: the site's branch, the task image's names."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from ocibuild_testkit.registry import Identity, busybox_files
from support.ci_jobs import Job, github_job, read
from support.ci_scenes import with_passwords
from support.fresh_env import ROOT
from support.programs import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ocibuild_testkit.registry import Authority
    from support.programs import ProgramRunner

WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"


def job(name: str, token: str) -> Job:
    return github_job(WORKFLOW, {"secrets.GITHUB_TOKEN": token, "github.repository_owner": "ocibuild"}, name)


def test_nothing_is_shown_before_the_reviewers_let_it_go() -> None:
    jobs = read(WORKFLOW)["jobs"]
    assert {name: jobs[name]["needs"] for name in ("site", "image", "name-image")} == {
        "site": "publish",
        "image": "publish",
        "name-image": "image",
    }
    rights = {name: set(job["permissions"].items()) for name, job in jobs.items()}
    assert {name for name, given in rights.items() if ("contents", "write") in given} == {"site"}
    assert {name for name, given in rights.items() if ("packages", "write") in given} == {"image", "name-image"}


def test_the_site_is_all_that_its_branch_has_and_the_token_is_not_kept(
    tmp_path: Path, fresh_secret: Callable[[], str]
) -> None:
    remote = tmp_path / "github" / "ocibuild" / "ocibuild"
    subprocess.run(["git", "init", "-q", "--bare", remote], check=True)
    *_, push = job("site", fresh_secret()).steps
    for number in (1, 2):
        work = tmp_path / str(number)
        (work / "site").mkdir(parents=True)
        (work / "site" / f"page{number}.html").touch()
        env = {
            **push.env,
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "GITHUB_REF_NAME": "v1.2.3",
            "GITHUB_SERVER_URL": f"file://{tmp_path}/github",
            "GITHUB_REPOSITORY": "ocibuild/ocibuild",
        }
        subprocess.run([*push.interpreter, "-c", push.script], cwd=work, env=env, check=True)
        kept = (work / "site" / ".git" / "config").read_text()
        assert push.env["GITHUB_TOKEN"] not in kept
        asked = subprocess.run(
            ["git", "credential", "fill"],
            cwd=work / "site",
            env=env,
            input="protocol=https\nhost=github.com\n\n",
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"password={push.env['GITHUB_TOKEN']}\n" in asked.stdout
    command = ["git", "-C", str(remote), "ls-tree", "-r", "--name-only", "gh-pages"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert listed == [".nojekyll", "page2.html"]
    count = ["git", "-C", str(remote), "rev-list", "--count", "gh-pages"]
    assert subprocess.run(count, capture_output=True, text=True, check=True).stdout.strip() == "1"


@pytest.mark.e2e
def test_one_name_is_given_to_the_images_of_both_architectures(
    run: ProgramRunner, sandbox: Path, tls_authority: Authority, fresh_secret: Callable[[], str]
) -> None:
    token = fresh_secret()
    *_, push = job("name-image", token).steps
    host, _, repository = push.env["IMAGE"].partition("/")
    ca = tls_authority.write(sandbox / "ca.pem")
    identity = Identity(username="octo", password=token, pull=(repository, "team/*"), push=(repository,))
    with with_passwords(host, (identity,), tls_authority, ca) as scene:
        for machine in ("amd64", "arm64"):
            name = f"{repository}:1.2.3-{machine}"
            scene.registry.push_image(name, files=busybox_files(), config={"Labels": {"made-for": machine}})
        (sandbox / "released").symlink_to(PROGRAMS.parent)
        env = {**push.env, **scene.network, "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "octo"}
        env["GITHUB_REF_NAME"] = "v1.2.3"
        run(*push.interpreter, "-c", push.script, cwd=sandbox, env=env, seconds=120).succeeded()

        assert set(scene.tags(repository)) == {"1.2.3-amd64", "1.2.3-arm64", "1.2.3", "latest"}
        client = scene.registry.client()
        assert client.manifest(repository, "1.2.3") == client.manifest(repository, "latest")
        for entry in json.loads(client.manifest(repository, "1.2.3")[1])["manifests"]:
            image = json.loads(client.manifest(repository, entry["digest"])[1])
            config = json.loads(client.blob(repository, image["config"]["digest"]))
            assert config["config"]["Labels"] == {"made-for": entry["platform"]["architecture"]}
