"""Caches in the clouds' own services: exported by one engine, found by another; credentials reach who needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from moto.server import ThreadedMotoServer
from ocibuild_testkit.registry import RegistryServer, busybox_files
from support.actions_cache import ActionsCache, runtime_token
from support.azure_blobs import ACCOUNT, Azure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ocibuild_testkit.leaks import LeakWatcher
    from ocibuild_testkit.registry import Authority
    from support.programs import ProgramRunner, Run

pytestmark = pytest.mark.e2e


@pytest.fixture
def fresh(sandbox: Path, run: ProgramRunner, registry: RegistryServer) -> Callable[..., Run]:
    """Builds, each with an engine that remembers nothing, whose one step prints `the step`."""
    base = registry.push_image("cached/base:1", files=busybox_files())
    work = sandbox / "work"
    work.mkdir()
    dockerfile = f"FROM {base.reference}\nRUN echo the step > /made; cat /made; env | grep -e SECRET -e TOKEN || true\n"
    (work / "Dockerfile").write_text(dockerfile)
    number = iter(range(100))

    def build(*argv: str, env: Mapping[str, str]) -> Run:
        state = str(sandbox / f"state-{next(number)}")
        return run("build", "--state-dir", state, "--progress", "plain", *argv, ".", cwd=work, env=env)

    return build


def ran(result: Run) -> bool:
    """Whether the step was run, and not found in a cache."""
    has_run = " the step\n" in result.succeeded().stdout
    assert has_run is ("CACHED" not in result.stdout)
    return has_run


def is_kept(fresh: Callable[..., Run], cache: str, env: Mapping[str, str]) -> None:
    """What one engine exports, another imports; a third that is not told of it runs the step."""
    assert ran(fresh("--cache-to", f"{cache},mode=max", env=env))
    assert not ran(fresh("--cache-from", cache, env=env))
    assert ran(fresh(env=env))


@pytest.fixture
def bucket() -> Iterator[str]:
    """The URL of an S3 on loopback, with a bucket `layers`."""
    import http.client

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    connection = http.client.HTTPConnection(host, port, timeout=10)
    connection.request("PUT", "/layers")
    assert connection.getresponse().status == http.client.OK
    connection.close()
    yield f"http://{host}:{port}"
    server.stop()


def test_s3(fresh: Callable[..., Run], bucket: str, fresh_secret: Callable[[], str]) -> None:
    cache = f"type=s3,region=us-east-1,bucket=layers,endpoint_url={bucket},use_path_style=true,name=one"
    env = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": fresh_secret()}
    is_kept(fresh, cache, env)
    refused = fresh("--cache-to", f"{cache},secret_access_key=of-the-tests-only", env=env).ended_with(2)
    assert "of-the-tests-only" not in refused.stderr


def test_azure_blob_storage(
    fresh: Callable[..., Run], fresh_secret: Callable[[], str], tls_authority: Authority, sandbox: Path
) -> None:
    secret = fresh_secret()
    ca = tls_authority.write(sandbox / "ca.pem")
    with Azure(tls_authority, secret) as azure:
        env = {**azure.env(secret), "SSL_CERT_FILE": str(ca)}
        cache = f"type=azblob,account_url=https://{ACCOUNT},name=one"
        is_kept(fresh, cache, env)
        assert azure.containers == {"buildkit-cache"}
        assert set(azure.logins) == {azure.client}
        assert [path for path in azure.store.blobs if path.endswith("/manifests/one")]

        wrong = fresh_secret()
        result = fresh("--cache-to", cache, env={**env, "AZURE_CLIENT_SECRET": wrong}).ended_with(1)
        assert "AADSTS7000215" in result.stdout + result.stderr


def test_the_cache_service_of_github_actions(fresh: Callable[..., Run], leak_watcher: LeakWatcher) -> None:
    token = leak_watcher.register(runtime_token(b"signature"), "a runtime token")
    with ActionsCache(token) as service:
        is_kept(fresh, "type=gha,scope=one", service.env)
        assert any(key.startswith("index-one-") for key, _ in service.entries)
        other = fresh("--cache-from", "type=gha,scope=other", env=service.env)
        assert ran(other)

        env = {**service.env, "ACTIONS_RUNTIME_TOKEN": leak_watcher.register(runtime_token(b"forged"), "another")}
        result = fresh("--cache-to", "type=gha,scope=one", env=env).ended_with(1)
        assert "unauthenticated" in result.stdout + result.stderr
