"""An AWS on this machine for each test, and a user who asks from an empty home."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))

from fake_aws import AwsServer, Cloud, Issuer, Keys, Machine  # found there
from fake_aws.asking import Asker  # found there

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocibuild_testkit.leaks import LeakWatcher
    from ocibuild_testkit.registry import Authority


@pytest.fixture(scope="session", autouse=True)
def loaded_sdk() -> None:
    """What tests time is waiting, not the first import."""
    import botocore.session

    botocore.session.get_session().create_client("sts", region_name="eu-west-1").close()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine's STS may be slower than its ECR: the caller's name is waited for."""
    monkeypatch.setattr("ocibuild_ecr.login._CALLER_GRACE", 20.0)
    monkeypatch.setattr("ocibuild_ecr.login._CALLER_SECONDS", 20.0)  # moto loads its STS when it is first asked


@pytest.fixture(autouse=True)
def no_ambient_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever AWS settings and proxies the machine of the tests has, none of them counts."""
    for name in os.environ:
        if name.startswith(("AWS_", "ECR_", "ACTIONS_ID_TOKEN", "GITLAB_OIDC")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def cloud(fresh_secret: Callable[[], str]) -> Cloud:
    """AWS, without anybody in it; what it hands out must not get out."""
    return Cloud(fresh_secret)


@pytest.fixture
def aws(cloud: Cloud, tls_authority: Authority) -> Iterator[AwsServer]:
    """The way to `cloud`."""
    with AwsServer(cloud, tls_authority) as server:
        yield server


@pytest.fixture
def user(cloud: Cloud) -> Keys:
    """A user of the account 123456789012."""
    return cloud.add_user()


@pytest.fixture
def nobody(aws: AwsServer, tmp_path: Path) -> Asker:
    """Somebody without credentials, in an empty home, on a machine without a metadata service."""
    home = tmp_path / "home"
    home.mkdir()
    return Asker(env={"HOME": str(home), "AWS_ENDPOINT_URL": aws.url, "AWS_EC2_METADATA_DISABLED": "true"})


@pytest.fixture
def ask(nobody: Asker, user: Keys) -> Asker:
    """`user`, with the keys in the environment."""
    return nobody.with_env(user.env())


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    """A CI system."""
    return Issuer()


@pytest.fixture
def ci_token(issuer: Issuer, leak_watcher: LeakWatcher) -> Callable[..., str]:
    """Makes OIDC tokens of `issuer` that must not get out."""
    return lambda **claims: leak_watcher.register(issuer.token(**claims), "an OIDC token")


@pytest.fixture
def machine(fresh_secret: Callable[[], str], issuer: Issuer) -> Iterator[Machine]:
    """A machine with metadata services, without a role yet."""
    with Machine(issuer=issuer, make_secret=fresh_secret) as machine:
        yield machine
