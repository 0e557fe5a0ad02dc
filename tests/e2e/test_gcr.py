"""`build --login gcr` with real BuildKit: a private base image at a host of Google's, opened by Google's token."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_google import Cloud, Internet, KeyPair, PoolProvider, Token
from ocibuild_testkit.registry import RegistryServer, busybox_files
from support.cloud_registries import ArtifactRegistry
from support.timing import within

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocibuild_testkit.leaks import LeakWatcher
    from ocibuild_testkit.registry import Authority
    from support.programs import ProgramRunner, Run

pytestmark = pytest.mark.e2e

HOST = "europe-docker.pkg.dev"
READER = "reader@project.iam.gserviceaccount.com"
STRANGER = "stranger@project.iam.gserviceaccount.com"
POOL = "projects/123456789012/locations/global/workloadIdentityPools/concourse/providers/main"


@dataclass(frozen=True, slots=True, kw_only=True)
class Google:
    """All of Google that a build meets."""

    cloud: Cloud
    internet: Internet
    registry: RegistryServer
    pool: PoolProvider
    run: ProgramRunner
    work: Path

    def build(self, *argv: str, env: Mapping[str, str] | None = None) -> Run:
        """`build . ARGV` behind the proxy, on a machine that is not Google's."""
        ca = str(self.registry.ca_file)
        surroundings = {
            "HTTPS_PROXY": self.internet.proxy.url,
            "SSL_CERT_FILE": ca,
            "NO_GCE_CHECK": "true",
            "BUILDKIT_EXTRA_CONFIG": f'[registry."{HOST}"]\nca = ["{ca}"]\n',
        }
        return self.run("build", ".", "--progress", "plain", *argv, env={**surroundings, **(env or {})}, cwd=self.work)


@pytest.fixture
def google(tls_authority: Authority, leak_watcher: LeakWatcher, run: ProgramRunner, sandbox: Path) -> Iterator[Google]:
    def watch(text: str, _: Token) -> None:
        leak_watcher.register(text, "an access token")

    cloud = Cloud(on_token=[watch])
    pool = PoolProvider(name=POOL, issuer="https://ci.example", key=KeyPair())
    cloud.providers[pool.audience] = pool
    guard = ArtifactRegistry(cloud, (READER, pool.principal("main/app")))
    with (
        Internet(cloud, tls_authority) as internet,
        RegistryServer(auth=guard, tls=tls_authority, host=HOST, bind="127.0.0.1") as registry,
    ):
        internet.proxy.routes[f"{HOST}:443"] = f"127.0.0.1:{registry.port}"
        registry.push_image("project/team/base:1", files={**busybox_files(), "etc/motd": "the private base\n"})
        work = sandbox / "work"
        work.mkdir()
        (work / "Dockerfile").write_text(f"FROM {HOST}/project/team/base:1\nRUN cat /etc/motd\n")
        yield Google(cloud=cloud, internet=internet, registry=registry, pool=pool, run=run, work=work)


def key(google: Google, leak_watcher: LeakWatcher, email: str = READER) -> str:
    content = google.cloud.service_account(email)
    leak_watcher.register(content["private_key"].splitlines()[5], "a private key")
    return json.dumps(content)


def test_a_service_accounts_key_opens_the_private_base(google: Google, leak_watcher: LeakWatcher) -> None:
    result = google.build("--login", "gcr", env={"GCR_KEY_JSON": key(google, leak_watcher)}).succeeded()
    assert "the private base" in result.stdout
    assert google.cloud.asked == ["oauth2 jwt-bearer"]
    assert "oauth2.googleapis.com:443" in google.internet.proxy.asked


def test_what_was_built_goes_to_google_with_the_same_token(google: Google, leak_watcher: LeakWatcher) -> None:
    target = f"registry,name={HOST}/project/team/app:2"

    result = google.build("--login", "gcr", "-o", target, env={"GCR_KEY_JSON": key(google, leak_watcher)}).succeeded()

    assert f"{HOST}/project/team/app:2" in result.stderr
    _, manifest = google.registry.client().manifest("project/team/app", "2")
    assert b"layers" in manifest
    assert google.cloud.asked == ["oauth2 jwt-bearer"]


def test_who_may_not_push_to_google_is_told_who_he_is(google: Google, leak_watcher: LeakWatcher) -> None:
    (google.work / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    target = f"registry,name={HOST}/project/team/app:2"
    env = {"GCR_KEY_JSON": key(google, leak_watcher, STRANGER)}

    result = google.build("--login", "gcr", "-o", target, env=env).ended_with(3)

    assert f"{HOST} refused the login" in result.stderr
    assert f"service account {STRANGER} via GCR_KEY_JSON" in result.stderr
    assert google.registry.client().tags("project/team/app") == ()


def test_a_key_file_works_without_naming_the_plugin(google: Google, leak_watcher: LeakWatcher, tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text(key(google, leak_watcher))
    result = google.build("-v", env={"GOOGLE_APPLICATION_CREDENTIALS": str(path)}).succeeded()
    assert "the private base" in result.stdout
    assert f"service account {READER} via GOOGLE_APPLICATION_CREDENTIALS ({path})" in result.stderr


def oidc_token(google: Google, leak_watcher: LeakWatcher, *, minutes_left: int) -> str:
    now = int(google.cloud.now().timestamp())
    audience = f"https:{google.pool.audience}"
    token = google.pool.key.sign(
        {"iss": google.pool.issuer, "sub": "main/app", "aud": audience, "iat": now, "exp": now + 60 * minutes_left}
    )
    return leak_watcher.register(token, "an OIDC token")


def test_a_pipelines_params_open_it_without_a_key(google: Google, leak_watcher: LeakWatcher) -> None:
    token = oidc_token(google, leak_watcher, minutes_left=60)
    params = {"LOGIN": "GCR", "GCR_OIDC_TOKEN": token, "GCR_WORKLOAD_IDENTITY_PROVIDER": POOL}
    result = google.build(env=params).succeeded()
    assert "the private base" in result.stdout
    assert google.cloud.asked == ["sts token-exchange"]


def test_a_short_lived_token_opens_it_with_a_warning(google: Google, leak_watcher: LeakWatcher) -> None:
    google.cloud.lifetime = timedelta(minutes=2)
    result = google.build("--login", "gcr", env={"GCR_KEY_JSON": key(google, leak_watcher)}).succeeded()
    assert "the private base" in result.stdout
    assert f"warning: {HOST}: the credential of plugin 'gcr' (ocibuild-gcr 0.1.0) ends in 2.0 min" in result.stderr


def ends_before_the_solve(google: Google, *argv: str, env: Mapping[str, str], says: str) -> None:
    result = within(5, lambda: google.build("--login", "gcr", *argv, env=env).ended_with(3))
    assert result.stderr.count(says) == 1
    assert "plugin 'gcr' (ocibuild-gcr 0.1.0)" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert not google.registry.requests


def test_without_credentials_nothing_is_solved(google: Google) -> None:
    ends_before_the_solve(google, env={}, says=f"no Google credentials for {HOST}")


def test_with_a_wrong_role_nothing_is_solved(google: Google, leak_watcher: LeakWatcher) -> None:
    google.cloud.service_account(STRANGER)
    env = {"GCR_KEY_JSON": key(google, leak_watcher), "GCR_IMPERSONATE_SERVICE_ACCOUNT": STRANGER}
    ends_before_the_solve(google, env=env, says="Permission 'iam.serviceAccounts.getAccessToken' denied")


def test_with_a_replaced_key_nothing_is_solved(google: Google, leak_watcher: LeakWatcher) -> None:
    env = {"GCR_KEY_JSON": key(google, leak_watcher)}
    google.cloud.keys[READER].clear()
    ends_before_the_solve(google, env=env, says="Invalid JWT Signature")


def test_with_an_expired_token_nothing_is_solved(google: Google, leak_watcher: LeakWatcher) -> None:
    token = oidc_token(google, leak_watcher, minutes_left=-1)
    env = {"GCR_OIDC_TOKEN": token, "GCR_WORKLOAD_IDENTITY_PROVIDER": POOL}
    ends_before_the_solve(google, env=env, says="the OIDC token in GCR_OIDC_TOKEN has expired")


def test_with_an_endpoint_that_hangs_nothing_is_solved(google: Google, leak_watcher: LeakWatcher) -> None:
    google.internet.hangs = True
    env = {"GCR_KEY_JSON": key(google, leak_watcher)}
    ends_before_the_solve(google, "--login-timeout", "2s", env=env, says="oauth2.googleapis.com: no answer in time")


def test_an_identity_without_the_role_is_told_who_it_is(google: Google, leak_watcher: LeakWatcher) -> None:
    result = google.build("--login", "gcr", env={"GCR_KEY_JSON": key(google, leak_watcher, STRANGER)}).ended_with(3)
    assert f"{HOST} refused the login" in result.stderr
    assert f"shown to it: service account {STRANGER} via GCR_KEY_JSON" in result.stderr
