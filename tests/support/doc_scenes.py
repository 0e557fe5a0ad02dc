"""What the commands of the documentation find around them: registries under the names in the text, clouds, a keyring.

A stage has one proxy, which knows the names below and no others: nothing that a page says reaches the outside.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import fake_aws
import fake_google
from ocibuild_testkit.registry import GatedRegistry, Identity, PasswordAuth, RegistryServer, busybox_files

from support.cloud_registries import ArtifactRegistry, EcrPasswords

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import ExitStack
    from pathlib import Path

    from ocibuild_testkit.leaks import LeakWatcher
    from ocibuild_testkit.registry import Authority

    from support.fresh_env import Wheelhouse
    from support.programs import ProgramRunner

ACCOUNT, OTHER_ACCOUNT = "123456789012", "210987654321"
CI_USER = f"arn:aws:iam::{ACCOUNT}:user/ci"
PULL_ROLE = f"arn:aws:iam::{OTHER_ACCOUNT}:role/pull"
OWN, OTHER = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com", f"{OTHER_ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
GOOGLE = "europe-docker.pkg.dev"
READER = "ci@project.iam.gserviceaccount.com"


class Stage:
    """One directory with a Dockerfile, and an environment.

    Args:
        running: ends what the scenes start.
        run: the programs' home and environment.
        directory: where the commands run; it is made.
        authority: signs every certificate here.
        fresh_secret: makes secrets that are looked for in all that is left.
        watcher: does the looking.
        wheelhouse: gives the wheels of this repository.
    """

    def __init__(
        self,
        *,
        running: ExitStack,
        run: ProgramRunner,
        directory: Path,
        authority: Authority,
        fresh_secret: Callable[[], str],
        watcher: LeakWatcher,
        wheelhouse: Callable[[], Wheelhouse],
    ) -> None:
        self.running, self.run, self.directory, self.authority = running, run, directory, authority
        self.fresh_secret, self.watcher, self.wheelhouse = fresh_secret, watcher, wheelhouse
        self.may_hold_secrets: list[Path] = []
        self.amazon = fake_aws.Cloud(fresh_secret)
        self.aws = running.enter_context(fake_aws.AwsServer(self.amazon, authority))
        self._ca = authority.write(run.home.parent / "ca.pem")
        self._tables = ""
        directory.mkdir()
        self.dockerfile("FROM scratch\nCOPY Dockerfile /\n")
        self.env = {
            "HTTPS_PROXY": self.aws.url,
            "NO_PROXY": "127.0.0.1",
            "SSL_CERT_FILE": str(self._ca),
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_GCE_CHECK": "true",
        }

    def dockerfile(self, text: str) -> None:
        """What the directory builds."""
        (self.directory / "Dockerfile").write_text(text)

    def add(self, name: str, registry: RegistryServer) -> None:
        """Start a registry, reachable under `name`, with the image that a page may build on."""
        self.running.enter_context(registry)
        self.aws.routes[name] = registry.port
        self._tables += f'[registry."{name}"]\nca = ["{self._ca}"]\n'
        registry.push_image("team/base:1", files={**busybox_files(), "etc/motd": f"the base of {name}\n"})
        self.dockerfile(f"FROM {name}/team/base:1\nRUN cat /etc/motd\n")

    def forget_authorities(self) -> None:
        """BuildKit is not told whom to trust: the commands do it."""
        self._tables = ""

    def environment(self) -> Mapping[str, str]:
        """What the commands get."""
        return {**self.env, "BUILDKIT_EXTRA_CONFIG": self._tables}


def registry(stage: Stage) -> None:
    """registry.example.com, whose user alice has the password $REGISTRY_PASSWORD."""
    stage.env["REGISTRY_PASSWORD"] = password = stage.fresh_secret()
    auth, host = PasswordAuth({"alice": password}), "registry.example.com"
    stage.add(host, RegistryServer(auth=auth, tls=stage.authority, host=host, bind="127.0.0.1"))


def unknown_ca(stage: Stage) -> None:
    """BuildKit knows no CA but those that the commands name; after `registry`."""
    stage.forget_authorities()


def ghcr(stage: Stage) -> None:
    """ghcr.io, which lets in $GITHUB_ACTOR with $GITHUB_TOKEN."""
    stage.env |= {"GITHUB_ACTOR": "octocat", "GITHUB_TOKEN": stage.fresh_secret()}
    auth = PasswordAuth({"octocat": stage.env["GITHUB_TOKEN"]})
    stage.add("ghcr.io", RegistryServer(auth=auth, tls=stage.authority, host="ghcr.io", bind="127.0.0.1"))


def ecr(stage: Stage) -> None:
    """The keys of an AWS user, and the registry of his account."""
    everything = Identity(username="AWS", password="-")
    passwords = EcrPasswords(stage.amazon, "eu-west-1", {CI_USER: everything})
    stage.add(OWN, GatedRegistry(passwords, tls=stage.authority, host=OWN, bind="127.0.0.1"))
    stage.env |= stage.amazon.add_user(ACCOUNT).env()


def other_account(stage: Stage) -> None:
    """As `ecr`; and another account's registry, whose role `pull` the user may assume."""
    ecr(stage)
    reading = Identity(username="AWS", password="-", push=())
    passwords = EcrPasswords(stage.amazon, "us-east-1", {PULL_ROLE: reading, CI_USER: reading})
    stage.add(OTHER, GatedRegistry(passwords, tls=stage.authority, host=OTHER, bind="127.0.0.1"))
    stage.amazon.add_role(PULL_ROLE, trusts=(CI_USER,))


def google(stage: Stage) -> None:
    """A service account's key in GOOGLE_APPLICATION_CREDENTIALS, and a registry that lets it in."""

    def watch(text: str, _: fake_google.Token) -> None:
        stage.watcher.register(text, "an access token")

    cloud = fake_google.Cloud(on_token=[watch])
    internet = stage.running.enter_context(fake_google.Internet(cloud, stage.authority))
    elsewhere = {name.partition(":")[0]: target for name, target in internet.proxy.routes.items()}
    stage.aws.routes |= {name: int(target.rpartition(":")[2]) for name, target in elsewhere.items()}
    guard = ArtifactRegistry(cloud, (READER,))
    stage.add(GOOGLE, RegistryServer(auth=guard, tls=stage.authority, host=GOOGLE, bind="127.0.0.1"))
    key = stage.run.home / "key.json"
    key.write_text(json.dumps(cloud.service_account(READER)))
    stage.may_hold_secrets.append(key)
    stage.env["GOOGLE_APPLICATION_CREDENTIALS"] = str(key)


def keyring(stage: Stage) -> None:
    """An unlocked keyring of the desktop's kind: gnome-keyring on a D-Bus of its own."""
    from basic_support.secret_service import start_secret_service

    env = {**stage.run.env(), **stage.env}
    service = stage.running.enter_context(start_secret_service(env, stage.run.home.parent / "run"))
    stage.env |= {name: value for name, value in service.env.items() if name not in stage.run.env()}


def plain_config(stage: Stage) -> None:
    """The directory `plain`, in which a password may stand."""
    stage.may_hold_secrets.append(stage.directory / "plain")


def token_file(stage: Stage) -> None:
    """The file `token` with alice's password; after `registry`."""
    file = stage.directory / "token"
    file.write_text(stage.env["REGISTRY_PASSWORD"] + "\n")
    stage.may_hold_secrets.append(file)


def ssh_key(stage: Stage) -> None:
    """A private key in ~/.ssh/id_ed25519."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    (stage.run.home / ".ssh").mkdir(mode=0o700)
    pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption())
    (stage.run.home / ".ssh" / "id_ed25519").write_bytes(pem)


def index(stage: Stage) -> None:
    """`pip install` knows our wheels and nothing else, says what it would install, and installs nothing.

    What really is installed, dependencies included, the tutorial's test shows (tests/plugins/test_docs.py).
    """
    stage.env |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(stage.wheelhouse().directory), "PIP_NO_DEPS": "1"}
    stage.env |= {"PIP_DRY_RUN": "1", "PIP_IGNORE_INSTALLED": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


SCENES: dict[str, Callable[[Stage], None]] = {
    "registry": registry,
    "unknown CA": unknown_ca,
    "ghcr": ghcr,
    "ecr": ecr,
    "other account": other_account,
    "google": google,
    "keyring": keyring,
    "plain config": plain_config,
    "token file": token_file,
    "ssh key": ssh_key,
    "index": index,
}
