"""What a job of a CI system meets: a machine with an ordinary user, an index with our wheels, a cloud, a registry."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import fake_aws
import fake_google
import pytest
from ocibuild_testkit.proxy import NameProxy
from ocibuild_testkit.registry import Content, GatedRegistry, Identity, RegistryServer, TokenAuth, busybox_files

from support.cloud_registries import ArtifactRegistry, EcrPasswords
from support.fresh_env import ROOT
from support.go_tools import cache_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ocibuild_testkit.registry import Authority

    from support.ci_jobs import Step
    from support.fresh_env import Wheelhouse
    from support.programs import ProgramRunner, Run
    from support.users import OrdinaryUser

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHARED_BY_PIPX = ("pip", "setuptools", "wheel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where jobs run: an ordinary user, Python, pipx, and an index that has our wheels and what they need.

    Args:
        user: who runs the jobs.
        index: a directory with wheels.
        pipx_libraries: what pipx shares between the environments that it makes.
        run: runs programs.
        home: the user's home here.
    """

    user: OrdinaryUser
    index: Path
    pipx_libraries: Path
    run: ProgramRunner
    home: Path

    @property
    def env(self) -> dict[str, str]:
        """What every job has."""
        return {
            **self.user.env(),
            "HOME": str(self.home),
            "PATH": f"{self.home}/bin:{sys.base_prefix}/bin:{_SYSTEM_PATH}",
            "LANG": "C.UTF-8",
            "CI": "true",
            "PIPX_HOME": str(self.home / "pipx"),
            "PIPX_BIN_DIR": str(self.home / "bin"),
            "PIPX_SHARED_LIBS": str(self.pipx_libraries),
            "PIPX_DEFAULT_PYTHON": str(Path(sys.base_prefix) / "bin" / "python3"),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.index),
            "PIP_NO_COMPILE": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def workspace(self, dockerfile: str) -> Path:
        """A new checkout with this Dockerfile."""
        directory = self.home / "workspace"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        (directory / "Dockerfile").write_text(dockerfile)
        self.user.own(self.home)
        return directory

    def runs(self, step: Step, workspace: Path, env: Mapping[str, str], *, code: int = 0) -> Run:
        """Run a step as the user; fails the test unless it ends with `code`."""
        script = self.home / "step.sh"
        script.write_text(step.script)
        self.user.own(self.home)
        everything = {**self.env, **step.env, **env}
        return self.run(
            *step.interpreter, str(script), env=everything, cwd=workspace, user=self.user, seconds=300
        ).ended_with(code)


def fill_index(directory: Path, wheels: Wheelhouse) -> None:
    """Put our wheels, all that they need, and what pipx wants to have, into one directory."""
    for wheel in (*_of_others(wheels).glob("*.whl"), *wheels.directory.glob("*.whl")):
        shutil.copy(wheel, directory)


def _of_others(wheels: Wheelhouse) -> Path:
    """Other people's wheels, fetched once for each state of the lock file."""
    lock = (ROOT / "requirements" / "dev.txt").read_bytes()
    kept = cache_directory() / f"index-{hashlib.sha256(lock + sys.version.encode()).hexdigest()[:16]}"
    if kept.exists():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        fresh = Path(scratch) / "index"
        command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--dest", str(fresh)]
        wanted = ["ocibuild-core[all]", *_SHARED_BY_PIPX]
        done = subprocess.run(
            [*command, "--find-links", str(wheels.directory), *wanted], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.fail(f"what the recipes install cannot be had\n{done.stderr}", pytrace=False)
        for wheel in wheels.directory.glob("*.whl"):
            (fresh / wheel.name).unlink(missing_ok=True)
        try:
            fresh.replace(kept)
        except OSError:
            # Another run may have been quicker.
            if not kept.exists():
                raise
    return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A registry with a private base image, and the way there.

    Args:
        registry: it.
        host: how references call it.
        network: the variables that lead a job there instead of into the world.
        issuer: who signs the CI system's tokens; None where nobody asks for any.
        asked: what the cloud was asked for, in order.
    """

    registry: RegistryServer
    host: str
    network: Mapping[str, str]
    issuer: fake_aws.Issuer | None = None
    asked: Callable[[], list[str]] = list

    def dockerfile(self) -> str:
        """On the private base, with a step that shows it."""
        return f"FROM {self.host}/{BASE}\nRUN cat /etc/motd\n"

    def tags(self, repository: str) -> tuple[str, ...]:
        """What was pushed there."""
        return self.registry.client().tags(repository)


BASE = "team/base:1"


def base_files(host: str) -> Mapping[str, Content]:
    """The private base image of a registry: no two are alike, so that no build finds its steps done by another."""
    return {**busybox_files(), "etc/motd": f"the private base of {host}\n"}


@contextmanager
def ecr(host: str, role: str, policy: Path, issuer: fake_aws.Issuer, authority: Authority, ca: Path) -> Iterator[Scene]:
    """Amazon ECR, and a role that trusts whom its policy names.

    Args:
        host: the registry.
        role: the role's ARN; it may pull and push.
        policy: the file with its trust policy.
        issuer: the CI system.
        authority: signs what Amazon's hosts show.
        ca: its certificate, where the job can read it.
    """
    [statement] = json.loads(policy.read_text())["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "sts:AssumeRoleWithWebIdentity")
    provider = statement["Principal"]["Federated"].partition(":oidc-provider/")[2]
    [(condition, claims)] = statement["Condition"].items()
    assert (condition, f"https://{provider}", set(claims)) == (
        "StringEquals",
        issuer.url,
        {f"{provider}:aud", f"{provider}:sub"},
    )
    cloud = fake_aws.Cloud(lambda: secrets.token_hex(600))
    cloud.add_role(role, issuer=issuer, audience=claims[f"{provider}:aud"], subject=claims[f"{provider}:sub"])
    passwords = EcrPasswords(cloud, host.split(".")[3], {role: Identity(username="AWS", password="-")})
    with (
        fake_aws.AwsServer(cloud, authority) as aws,
        GatedRegistry(passwords, tls=authority, host=host, bind="127.0.0.1") as registry,
    ):
        aws.routes[host] = registry.port
        registry.push_image(BASE, files=base_files(host))
        yield Scene(
            registry=registry,
            host=host,
            network=_network(aws.url, host, ca),
            issuer=issuer,
            asked=lambda: [call.action for call in cloud.calls],
        )


class JobIssuer(fake_aws.Issuer):
    """A CI system that issues tokens for one job, whatever subject it is asked for.

    Args:
        url: its name in tokens.
        subject: the job's.
    """

    def __init__(self, url: str, subject: str) -> None:
        super().__init__(url)
        self.key = fake_google.KeyPair()
        self._subject = subject

    def token(self, *, audience: str = "", subject: str = "", life: float = 300) -> str:
        """See `fake_aws.Issuer`; for Google's audiences signed with the key that `google` knows."""
        if "googleapis.com" not in audience:
            return super().token(audience=audience, subject=subject or self._subject, life=life)
        now = int(time.time())
        claims = {"iss": self.url, "sub": self._subject, "aud": audience, "iat": now, "exp": now + int(life)}
        return self.key.sign(claims)


@contextmanager
def google(
    host: str, provider: str, subject: str, issuer: JobIssuer, authority: Authority, ca: Path
) -> Iterator[Scene]:
    """Artifact Registry, and a provider of a workload identity pool that lets one subject in, who may write.

    Args:
        host: the registry.
        provider: its name.
        subject: the one whom its attribute condition lets in.
        issuer: the CI system.
        authority: signs what Google's hosts show.
        ca: its certificate, where the job can read it.
    """
    cloud = fake_google.Cloud()
    pool = fake_google.PoolProvider(name=provider, issuer=issuer.url, key=issuer.key, subjects=(subject,))
    cloud.providers[pool.audience] = pool
    guard = ArtifactRegistry(cloud, (pool.principal(subject),))
    with (
        fake_google.Internet(cloud, authority) as internet,
        RegistryServer(auth=guard, tls=authority, host=host, bind="127.0.0.1") as registry,
    ):
        internet.proxy.routes[f"{host}:443"] = f"127.0.0.1:{registry.port}"
        registry.push_image(BASE, files=base_files(host))
        network = _network(internet.proxy.url, host, ca)
        yield Scene(registry=registry, host=host, network=network, issuer=issuer, asked=lambda: cloud.asked)


class _LoopbackTokens(TokenAuth):
    """Its realm is on loopback, so that clients reach it without the proxy."""

    def start(self, directory: Path, *, host: str, authority: Authority | None) -> Mapping[str, object]:
        """See `RegistryAuth.start`."""
        del host
        return super().start(directory, host="127.0.0.1", authority=authority)


@contextmanager
def with_passwords(host: str, identities: tuple[Identity, ...], authority: Authority, ca: Path) -> Iterator[Scene]:
    """A registry that gives tokens for passwords, as ghcr.io does."""
    guard = _LoopbackTokens(identities)
    with (
        RegistryServer(auth=guard, tls=authority, host=host, bind="127.0.0.1") as registry,
        NameProxy({f"{host}:443": f"127.0.0.1:{registry.port}"}) as proxy,
    ):
        registry.push_image(BASE, files=base_files(host))
        yield Scene(registry=registry, host=host, network=_network(proxy.url, host, ca))


def _network(proxy: str, host: str, ca: Path) -> dict[str, str]:
    return {
        "HTTPS_PROXY": proxy,
        "NO_PROXY": "127.0.0.1",
        "SSL_CERT_FILE": str(ca),
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_GCE_CHECK": "true",
        "BUILDKIT_EXTRA_CONFIG": f'[registry."{host}"]\nca = ["{ca}"]\n',
    }
