"""Workload identity federation and impersonation: every source of a subject token, every way to become an account."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fake_google import SCOPE, Cloud, KeyPair, PoolProvider
from fake_google.asking import POOL, REGISTRY, Asker
from ocibuild_core.plugin import Credential, CredentialError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TARGET = "deployer@project.iam.gserviceaccount.com"
MIDDLE = "middle@project.iam.gserviceaccount.com"
BUILDER = "builder@project.iam.gserviceaccount.com"
SUBJECT = "main/app/build"


def oidc_token(pool: PoolProvider, cloud: Cloud, **claims: str | int) -> str:
    """What Concourse's idtoken source hands to a step."""
    now = int(cloud.now().timestamp())
    standard = {"iss": pool.issuer, "sub": SUBJECT, "aud": f"https:{pool.audience}", "iat": now, "exp": now + 3600}
    return pool.key.sign(standard | claims)


def config(pool: PoolProvider, source: Mapping[str, Any], **more: str) -> dict[str, Any]:
    """What `gcloud iam workload-identity-pools create-cred-config` writes."""
    return {
        "type": "external_account",
        "audience": pool.audience,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": dict(source),
        **more,
    }


def impersonation_url(email: str) -> str:
    return f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{email}:generateAccessToken"


def principal(cloud: Cloud, credential: Credential) -> str:
    token = cloud.alive(credential.secret.reveal())
    assert token is not None
    assert token.scopes == {SCOPE}
    return token.principal


def test_a_params_token_is_exchanged_without_a_file(ask: Asker, cloud: Cloud, pool: PoolProvider) -> None:
    options = {"oidc_token": oidc_token(pool, cloud) + "\n", "workload_identity_provider": POOL}
    assert principal(cloud, ask(**options)) == pool.principal(SUBJECT)
    assert ask(**options).detail == f"subject {SUBJECT} of {POOL} via GCR_OIDC_TOKEN"
    assert cloud.asked == ["sts token-exchange"]
    assert list(Path(ask.env["HOME"]).rglob("*")) == []


def test_a_subject_with_control_characters_stays_on_its_line(ask: Asker, cloud: Cloud, pool: PoolProvider) -> None:
    token = oidc_token(pool, cloud, sub="a\nplugin 'x'\x1b[31m")
    assert ask(oidc_token=token, workload_identity_provider=POOL).detail.startswith("subject a?plugin 'x'?[31m of")


def test_a_short_lived_federation_token_says_when_it_ends_and_is_fetched_anew(
    ask: Asker, cloud: Cloud, pool: PoolProvider
) -> None:
    cloud.lifetime = timedelta(seconds=120)
    options = {"oidc_token": oidc_token(pool, cloud), "workload_identity_provider": POOL}
    first, second = ask(**options), ask(**options)
    assert first.expires_at is not None
    assert timedelta(seconds=110) < first.expires_at - cloud.now() <= timedelta(seconds=120)
    assert second.secret != first.secret


def test_an_expired_oidc_token_is_not_even_sent(ask: Asker, cloud: Cloud, pool: PoolProvider) -> None:
    token = oidc_token(pool, cloud, exp=int(cloud.now().timestamp()) - 1)
    with pytest.raises(CredentialError, match="the OIDC token in GCR_OIDC_TOKEN has expired"):
        ask(oidc_token=token, workload_identity_provider=POOL)
    assert cloud.asked == []


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        (
            {"aud": "sts.amazonaws.com"},
            ("does not match the expected audience", "have the OIDC token issued for https://iam.googleapis.com/"),
        ),
        ({"iss": "https://other.example"}, ("The issuer in ID Token",)),
        ({"sub": "main/evil/build"}, ("rejected by the attribute condition", "look at the provider's attribute")),
    ],
)
def test_sts_refuses_as_google_does(
    claims: dict[str, str], says: tuple[str, ...], ask: Asker, cloud: Cloud, pool: PoolProvider
) -> None:
    picky = PoolProvider(name=pool.name, issuer=pool.issuer, key=pool.key, subjects=(SUBJECT,))
    cloud.providers[pool.audience] = picky
    with pytest.raises(CredentialError) as caught:
        ask(oidc_token=oidc_token(pool, cloud, **claims), workload_identity_provider=POOL)
    assert all(words in str(caught.value) for words in says)
    assert REGISTRY in caught.value.summary


def test_a_token_of_another_issuers_key_is_refused(ask: Asker, cloud: Cloud, pool: PoolProvider) -> None:
    forger = PoolProvider(name=pool.name, issuer=pool.issuer, key=KeyPair())
    with pytest.raises(CredentialError, match="Unable to verify the signature"):
        ask(oidc_token=oidc_token(forger, cloud), workload_identity_provider=POOL)


def test_a_pool_that_is_gone_is_said(ask: Asker, cloud: Cloud, pool: PoolProvider) -> None:
    cloud.providers.clear()
    with pytest.raises(CredentialError, match="check the pool and the provider"):
        ask(oidc_token=oidc_token(pool, cloud), workload_identity_provider=POOL)


def test_a_config_with_a_token_file(ask: Asker, cloud: Cloud, pool: PoolProvider, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(oidc_token(pool, cloud))
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config(pool, {"file": str(token)})))
    ask.env["GOOGLE_APPLICATION_CREDENTIALS"] = str(path)
    assert principal(cloud, ask()) == pool.principal(SUBJECT)
    assert ask().detail == f"an identity of {POOL} via GOOGLE_APPLICATION_CREDENTIALS ({path})"


def test_a_config_whose_token_file_is_missing_is_an_error(ask: Asker, pool: PoolProvider) -> None:
    with pytest.raises(CredentialError, match="File '/nowhere/token' was not found") as caught:
        ask(key_json=json.dumps(config(pool, {"file": "/nowhere/token"})))
    assert "let the platform write the token file" in caught.value.do


def test_a_config_with_a_token_folder_is_an_error(ask: Asker, pool: PoolProvider, tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match=rf"{tmp_path}: Is a directory"):
        ask(key_json=json.dumps(config(pool, {"file": str(tmp_path)})))


class TokenService:
    """An address that hands out OIDC tokens to who shows the right bearer, as GitHub's does."""

    def __init__(self, pool: PoolProvider, cloud: Cloud) -> None:
        service = self
        self.audiences: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.headers.get("Authorization") != "Bearer job-token":
                    self.send_error(401)
                    return
                audience = parse_qs(urlsplit(self.path).query).get("audience", [f"https:{pool.audience}"])[0]
                service.audiences.append(audience)
                content = json.dumps({"value": oidc_token(pool, cloud, aud=audience)}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class has named it
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/token?api-version=2.0"


@pytest.fixture
def token_service(pool: PoolProvider, cloud: Cloud) -> Iterator[TokenService]:
    service = TokenService(pool, cloud)
    thread = threading.Thread(target=service.server.serve_forever, args=(0.02,))
    thread.start()
    yield service
    service.server.shutdown()
    thread.join()
    service.server.server_close()


def test_a_config_with_a_token_address(
    ask: Asker, cloud: Cloud, pool: PoolProvider, token_service: TokenService
) -> None:
    source = {
        "url": token_service.url,
        "headers": {"Authorization": "Bearer job-token"},
        "format": {"type": "json", "subject_token_field_name": "value"},
    }
    assert principal(cloud, ask(key_json=json.dumps(config(pool, source)))) == pool.principal(SUBJECT)


def test_githubs_token_is_fetched_for_the_provider(
    ask: Asker, cloud: Cloud, pool: PoolProvider, token_service: TokenService
) -> None:
    ask.env |= {"ACTIONS_ID_TOKEN_REQUEST_URL": token_service.url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "job-token"}
    assert principal(cloud, ask(workload_identity_provider=POOL)) == pool.principal(SUBJECT)
    assert token_service.audiences == [f"https://iam.googleapis.com/{POOL}"]
    assert ask(workload_identity_provider=POOL).detail == f"an identity of {POOL} via GitHub's OIDC token"


def test_a_refused_token_address_is_an_error(ask: Asker, pool: PoolProvider, token_service: TokenService) -> None:
    source = {"url": token_service.url, "headers": {"Authorization": "Bearer wr0ng-token"}}
    with pytest.raises(CredentialError, match="Unable to retrieve Identity Pool subject token") as caught:
        ask(key_json=json.dumps(config(pool, source)))
    assert caught.value.why.endswith(": 127.0.0.1 answered 401")
    assert "wr0ng-token" not in str(caught.value)


def test_a_github_job_without_permission_hears_which_one(
    ask: Asker, pool: PoolProvider, token_service: TokenService
) -> None:
    del pool
    ask.env |= {"ACTIONS_ID_TOKEN_REQUEST_URL": token_service.url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "stale"}
    with pytest.raises(CredentialError, match="via GitHub's OIDC token") as caught:
        ask(workload_identity_provider=POOL)
    assert "id-token: write" in caught.value.do


@pytest.mark.parametrize("source", [{"file": "/"}, {"certificate": {"use_default_certificate_config": True}}])
def test_a_source_without_a_token_is_an_error_with_a_remedy(
    source: dict[str, Any], ask: Asker, pool: PoolProvider
) -> None:
    with pytest.raises(CredentialError, match="Google gave no token") as caught:
        ask(key_json=json.dumps(config(pool, source)))
    assert caught.value.do


def test_a_config_for_a_workload_of_aws(
    ask: Asker, cloud: Cloud, pool: PoolProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.aws_keys["AKIDEXAMPLE"] = "an-aws-secret-key"
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "an-aws-secret-key",
        "AWS_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    source = {
        "environment_id": "aws1",
        "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
    }
    info = config(pool, source, subject_token_type="urn:ietf:params:aws:token-type:aws4_request")
    assert principal(cloud, ask(key_json=json.dumps(info))) == pool.principal("AKIDEXAMPLE")

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret-key")
    with pytest.raises(CredentialError, match="invalid AWS response"):
        Asker(ask.env)(key_json=json.dumps(info))


def test_a_person_of_a_workforce_pool(ask: Asker, cloud: Cloud) -> None:
    login = cloud.user("principal://iam.googleapis.com/locations/global/workforcePools/staff/subject/alice")
    info = {
        **login,
        "type": "external_account_authorized_user",
        "audience": "//iam.googleapis.com/locations/global/workforcePools/staff/providers/okta",
        "token_url": "https://sts.googleapis.com/v1/oauthtoken",
    }
    credential = ask(key_json=json.dumps(info))
    assert principal(cloud, credential).endswith("/subject/alice")
    assert credential.detail == ("an identity of locations/global/workforcePools/staff/providers/okta via GCR_KEY_JSON")


@pytest.fixture
def program(pool: PoolProvider, cloud: Cloud, tmp_path: Path) -> dict[str, Any]:
    """A config whose token comes from a program."""
    answer = {
        "version": 1,
        "success": True,
        "token_type": "urn:ietf:params:oauth:token-type:jwt",
        "id_token": oidc_token(pool, cloud),
        "expiration_time": int(cloud.now().timestamp()) + 600,
    }
    path = tmp_path / "fetch-token"
    path.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\ncat <<'END'\n{json.dumps(answer)}\nEND\n")
    path.chmod(0o700)
    # google-auth hands the program its account's name, and without impersonation trips over having none.
    return config(
        pool,
        {"executable": {"command": str(path), "timeout_millis": 5000}},
        service_account_impersonation_url=impersonation_url(TARGET),
    )


@pytest.fixture
def programs_allowed(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin looks into the request's environment, google-auth into the process's."""
    ask.env["GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"] = "1"
    monkeypatch.setenv("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1")


def test_a_program_is_not_run_unless_it_is_allowed(ask: Asker, program: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1"):
        ask(key_json=json.dumps(program))
    assert not (tmp_path / "ran").exists()


@pytest.mark.usefixtures("programs_allowed")
@pytest.mark.parametrize("seconds", [10, 600])
def test_an_allowed_programs_token_is_exchanged(
    seconds: int, ask: Asker, cloud: Cloud, pool: PoolProvider, program: dict[str, Any]
) -> None:
    cloud.service_account(TARGET)
    cloud.may_become.add((pool.principal(SUBJECT), TARGET))
    del program["credential_source"]["executable"]["timeout_millis"]
    assert principal(cloud, ask(key_json=json.dumps(program), seconds=seconds)) == TARGET


@pytest.mark.usefixtures("programs_allowed")
@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo s3cret-part; exit 3", "non-zero return code 3"),
        ("echo s3cret-part", "stopped with JSONDecodeError: Expecting value"),
        ("sleep 60", "took too long"),
        ("", "google-auth stopped with TypeError"),
    ],
)
def test_a_programs_failure_is_told_without_its_output(
    script: str, says: str, ask: Asker, program: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "fetch-token").write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(CredentialError, match=says) as caught:
        ask(key_json=json.dumps(program), seconds=1)
    assert "s3cret-part" not in str(caught.value)


@pytest.mark.usefixtures("programs_allowed")
def test_a_program_that_hangs_is_ended_before_the_host_stops_waiting(
    ask: Asker, program: dict[str, Any], tmp_path: Path
) -> None:
    """Nobody would be left to end it; google-auth itself gives no program less than 5 s."""
    (tmp_path / "fetch-token").write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    start = time.monotonic()
    with pytest.raises(CredentialError, match="took too long"):
        ask(key_json=json.dumps(program), seconds=2)
    assert time.monotonic() - start < 2
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


@pytest.mark.usefixtures("programs_allowed")
def test_a_program_that_is_not_there_is_named(ask: Asker, program: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "fetch-token"
    path.unlink()
    with pytest.raises(CredentialError, match=f"{path}: No such file or directory"):
        ask(key_json=json.dumps(program))


def test_a_key_becomes_another_account(ask: Asker, cloud: Cloud, key: dict[str, str]) -> None:
    cloud.service_account(TARGET)
    cloud.may_become.add((BUILDER, TARGET))
    options: dict[str, Any] = {"key_json": json.dumps(key), "impersonate_service_account": (TARGET,)}
    assert principal(cloud, ask(**options)) == TARGET
    assert ask(**options).detail == (
        f"service account {TARGET}, impersonated by service account {BUILDER} via GCR_KEY_JSON"
    )
    assert cloud.asked == ["oauth2 jwt-bearer", f"iamcredentials {TARGET}"]


def test_a_chain_of_accounts_becomes_the_last(ask: Asker, cloud: Cloud, key: dict[str, str]) -> None:
    for email in (MIDDLE, TARGET):
        cloud.service_account(email)
    cloud.may_become |= {(BUILDER, MIDDLE), (MIDDLE, TARGET)}
    options: dict[str, Any] = {"key_json": json.dumps(key), "impersonate_service_account": (MIDDLE, TARGET)}
    assert principal(cloud, ask(**options)) == TARGET


def test_a_params_token_becomes_an_account(ask: Asker, cloud: Cloud, pool: PoolProvider) -> None:
    cloud.service_account(TARGET)
    cloud.may_become.add((pool.principal(SUBJECT), TARGET))
    options: dict[str, Any] = {
        "oidc_token": oidc_token(pool, cloud),
        "workload_identity_provider": POOL,
        "impersonate_service_account": (TARGET,),
    }
    assert principal(cloud, ask(**options)) == TARGET
    assert ask(**options).detail == (
        f"service account {TARGET}, impersonated by subject {SUBJECT} of {POOL} via GCR_OIDC_TOKEN"
    )


def test_a_config_may_name_the_account_itself(ask: Asker, cloud: Cloud, pool: PoolProvider, tmp_path: Path) -> None:
    cloud.service_account(TARGET)
    cloud.may_become.add((pool.principal(SUBJECT), TARGET))
    token = tmp_path / "token"
    token.write_text(oidc_token(pool, cloud))
    info = config(pool, {"file": str(token)}, service_account_impersonation_url=impersonation_url(TARGET))
    assert principal(cloud, ask(key_json=json.dumps(info))) == TARGET
    assert ask(key_json=json.dumps(info)).detail.startswith(f"service account {TARGET}, impersonated by an identity of")


def test_a_users_impersonation_file(ask: Asker, cloud: Cloud) -> None:
    cloud.service_account(TARGET)
    cloud.may_become.add(("alice@example.com", TARGET))
    info = {
        "type": "impersonated_service_account",
        "service_account_impersonation_url": impersonation_url(TARGET),
        "source_credentials": cloud.user("alice@example.com"),
    }
    assert principal(cloud, ask(key_json=json.dumps(info))) == TARGET
    assert ask(key_json=json.dumps(info)).detail.startswith(f"service account {TARGET}, impersonated by a user")


@pytest.mark.parametrize("account", ["../../x@y", "a@b/c", "a b@c", "project", "a@", "a@b?c", "a@b\nc"])
def test_what_is_no_service_account_is_not_asked_for(
    account: str, ask: Asker, cloud: Cloud, key: dict[str, str]
) -> None:
    with pytest.raises(UsageError, match=r"^GCR_IMPERSONATE_SERVICE_ACCOUNT: '.*' is no service account"):
        ask(key_json=json.dumps(key), impersonate_service_account=(TARGET, account))
    assert cloud.asked == []


def test_who_may_not_impersonate_is_told_the_role(ask: Asker, cloud: Cloud, key: dict[str, str]) -> None:
    cloud.service_account(TARGET)
    with pytest.raises(CredentialError, match=r"iam\.serviceAccounts\.getAccessToken' denied") as caught:
        ask(key_json=json.dumps(key), impersonate_service_account=(TARGET,))
    assert "roles/iam.serviceAccountTokenCreator" in caught.value.do


def test_an_account_that_does_not_exist_cannot_be_impersonated(ask: Asker, key: dict[str, str]) -> None:
    with pytest.raises(CredentialError, match="Gaia id not found") as caught:
        ask(key_json=json.dumps(key), impersonate_service_account=(TARGET,))
    assert "check the service account's name" in caught.value.do


@pytest.mark.parametrize("source", [{}, {"file": "/a", "url": "http://b"}, {"environment_id": "aws1"}, {"file": 3}])
def test_a_malformed_config_is_an_error(source: dict[str, Any], ask: Asker, pool: PoolProvider) -> None:
    with pytest.raises(CredentialError):
        ask(key_json=json.dumps(config(pool, source)))


@pytest.mark.parametrize("source", [None, 3, "file", []])
def test_a_config_with_an_odd_source_is_an_error(source: object, ask: Asker, pool: PoolProvider) -> None:
    info = {**config(pool, {}), "credential_source": source}
    with pytest.raises(CredentialError, match="GCR_KEY_JSON holds no usable credentials"):
        ask(key_json=json.dumps(info))
