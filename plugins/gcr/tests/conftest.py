"""A Google on this machine for each test, and a way to ask the provider in a few words."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))

from fake_google import Cloud, Internet, KeyPair, MetadataServer, PoolProvider, Token  # found there
from fake_google.asking import POOL, Asker  # found there

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocibuild_testkit.leaks import LeakWatcher
    from ocibuild_testkit.registry import Authority


@pytest.fixture
def cloud(leak_watcher: LeakWatcher) -> Cloud:
    """Google, without anybody in it. Whatever token it issues must not get out."""

    def watch(text: str, _: Token) -> None:
        leak_watcher.register(text, "an access token")

    return Cloud(on_token=[watch])


@pytest.fixture
def internet(cloud: Cloud, tls_authority: Authority) -> Iterator[Internet]:
    """The way to `cloud`."""
    with Internet(cloud, tls_authority) as internet:
        yield internet


@pytest.fixture
def ask(internet: Internet, tls_authority: Authority, tmp_path: Path) -> Asker:
    """Asks from behind the proxy, in an empty home, on a machine without a metadata server."""
    home = tmp_path / "home"
    home.mkdir()
    return Asker(
        {
            "HOME": str(home),
            "HTTPS_PROXY": internet.proxy.url,
            "SSL_CERT_FILE": str(tls_authority.write(tmp_path / "ca.pem")),
            "NO_GCE_CHECK": "true",
        }
    )


@pytest.fixture(scope="session", autouse=True)
def metadata_for_all() -> Iterator[MetadataServer]:
    """google-auth reads where the metadata server is once, when it is imported."""
    with MetadataServer() as server:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GCE_METADATA_HOST", server.address)
            from google.auth.compute_engine import _metadata  # not before the variable is set

        assert server.address == _metadata._GCE_METADATA_HOST, "google-auth was imported before this fixture"
        yield server


@pytest.fixture
def metadata(metadata_for_all: MetadataServer, cloud: Cloud, ask: Asker) -> MetadataServer:
    """A metadata server that `ask` finds."""
    metadata_for_all.reset(cloud)
    ask.env.pop("NO_GCE_CHECK")
    ask.env |= {"GCE_METADATA_IP": metadata_for_all.address, "GCE_METADATA_HOST": metadata_for_all.address}
    return metadata_for_all


@pytest.fixture
def key(cloud: Cloud, leak_watcher: LeakWatcher) -> dict[str, str]:
    """The key file of `builder@project.iam.gserviceaccount.com`."""
    content: dict[str, str] = cloud.service_account("builder@project.iam.gserviceaccount.com")
    leak_watcher.register(content["private_key"].splitlines()[5], "a private key")
    return content


@pytest.fixture
def pool(cloud: Cloud) -> PoolProvider:
    """A pool that trusts a Concourse."""
    provider = PoolProvider(name=POOL, issuer="https://ci.example", key=KeyPair())
    cloud.providers[provider.audience] = provider
    return provider


@pytest.fixture(autouse=True)
def no_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine's environment says of Google, proxies and CAs is no part of a test."""
    for name in list(os.environ):
        if name.upper().startswith(("GOOGLE_", "CLOUDSDK_", "HTTP_", "HTTPS_", "ALL_PROXY", "NO_PROXY", "SSL_")):
            monkeypatch.delenv(name)
