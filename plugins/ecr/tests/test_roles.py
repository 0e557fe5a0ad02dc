"""Roles: one, several in a chain, one an account, and those that an OIDC token opens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from fake_aws import Cloud, Issuer, Machine
from fake_aws.asking import OWN, Asker
from ocibuild_core.plugin import CredentialError, CredentialsUnavailable, Secret

A, B = "111111111111", "222222222222"
USER = "arn:aws:iam::123456789012:user/ci"
HUB = "arn:aws:iam::999999999999:role/team/hub"
PULL_A, PULL_B = f"arn:aws:iam::{A}:role/pull", f"arn:aws:iam::{B}:role/pull"
REGISTRY_A, REGISTRY_B = (f"{account}.dkr.ecr.eu-west-1.amazonaws.com" for account in (A, B))
TOKEN = "ecr:GetAuthorizationToken"


def callers(cloud: Cloud) -> list[str]:
    """Who got tokens."""
    return [call.caller for call in cloud.calls if call.action == TOKEN]


class TestAssumed:
    def test_a_role_asks_for_the_token(self, ask: Asker, cloud: Cloud) -> None:
        cloud.add_role(PULL_A, trusts=(USER,))

        found = ask.login(REGISTRY_A, role_arn=(PULL_A,))

        assert callers(cloud) == [f"arn:aws:sts::{A}:assumed-role/pull/ocibuild"]
        assert found.detail == f"arn:aws:sts::{A}:assumed-role/pull/ocibuild via environment"

    def test_roles_are_assumed_one_after_the_other(self, ask: Asker, cloud: Cloud) -> None:
        cloud.add_role(HUB, trusts=(USER,))
        cloud.add_role(PULL_A, trusts=(HUB,))

        found = ask.login(REGISTRY_A, role_arn=(HUB, PULL_A), session_name="job-17")

        assert callers(cloud) == [f"arn:aws:sts::{A}:assumed-role/pull/job-17"]
        assert found.detail == (
            f"arn:aws:sts::{A}:assumed-role/pull/job-17 via environment and "
            "arn:aws:sts::999999999999:assumed-role/hub/job-17"
        )

    def test_each_account_has_its_own(self, ask: Asker, cloud: Cloud) -> None:
        cloud.add_role(PULL_A, trusts=(USER,))
        cloud.add_role(PULL_B, trusts=(USER,))
        roles = (f"{A}={PULL_A}", f"{B}={PULL_B}")

        found = {ask.login(name, role_arn=roles).secret.reveal() for name in (REGISTRY_A, REGISTRY_B, OWN)}

        assert len(found) == 3
        assert callers(cloud) == [
            f"arn:aws:sts::{A}:assumed-role/pull/ocibuild",
            f"arn:aws:sts::{B}:assumed-role/pull/ocibuild",
            USER,
        ]

    def test_regions_share_a_role_s_session(self, ask: Asker, cloud: Cloud) -> None:
        cloud.add_role(PULL_A, trusts=(USER,))
        for region in ("eu-west-1", "us-east-1", "ap-south-1"):
            ask.login(f"{A}.dkr.ecr.{region}.amazonaws.com", role_arn=(PULL_A,))

        assert (cloud.count("sts:AssumeRole"), cloud.count(TOKEN)) == (1, 3)

    def test_the_external_id_goes_with_it(self, ask: Asker, cloud: Cloud) -> None:
        cloud.add_role(PULL_A, trusts=(USER,), external_id="partner=7")

        assert ask.login(REGISTRY_A, role_arn=(PULL_A,), external_id=("partner=7",)).username == "AWS"

    def test_an_external_id_without_a_role_is_warned_of(
        self, ask: Asker, cloud: Cloud, caplog: pytest.LogCaptureFixture
    ) -> None:
        for registry in (REGISTRY_A, REGISTRY_B):
            ask.login(registry, external_id=("partner=7",))
        assert caplog.messages == ["ECR_EXTERNAL_ID is not used: ECR_ROLE_ARN names no role for it"]

        caplog.clear()
        cloud.add_role(PULL_A, trusts=(USER,), external_id="partner=7")
        ask.login(REGISTRY_A, role_arn=(PULL_A,), external_id=("partner=7",))
        assert caplog.messages == []

    def test_without_the_external_id_the_refusal_says_how_to_give_it(self, ask: Asker, cloud: Cloud) -> None:
        cloud.add_role(PULL_A, trusts=(USER,), external_id="partner=7")

        with pytest.raises(CredentialError, match=f"AWS denied sts:AssumeRole on {PULL_A} for {REGISTRY_A}") as caught:
            ask.get(REGISTRY_A, role_arn=(PULL_A,))
        assert USER in caught.value.why
        assert "ECR_EXTERNAL_ID" in caught.value.do

    def test_a_broken_chain_names_the_role_that_broke_it(self, ask: Asker, cloud: Cloud) -> None:
        cloud.add_role(HUB, trusts=(USER,))
        cloud.add_role(PULL_A, trusts=(USER,))

        with pytest.raises(CredentialError, match=f"AWS denied sts:AssumeRole on {PULL_A}") as caught:
            ask.get(REGISTRY_A, role_arn=(HUB, PULL_A))
        assert "arn:aws:sts::999999999999:assumed-role/hub/ocibuild" in caught.value.why

    def test_a_role_that_may_not_log_in_is_named_with_the_action(self, ask: Asker, cloud: Cloud) -> None:
        cloud.add_role(PULL_A, trusts=(USER,))
        cloud.deny(PULL_A, TOKEN)

        with pytest.raises(CredentialError, match=f"^AWS denied {TOKEN} for {REGISTRY_A}") as caught:
            ask.get(REGISTRY_A, role_arn=(PULL_A,))
        assert f"allow {TOKEN} on * to arn:aws:sts::{A}:assumed-role/pull/ocibuild" in caught.value.do


class TestWebIdentity:
    @pytest.fixture
    def role(self, cloud: Cloud, issuer: Issuer) -> str:
        return cloud.add_role(PULL_A, issuer=issuer, audience="sts.amazonaws.com", subject="repo:team/app")

    def test_a_token_from_a_param(self, nobody: Asker, role: str, ci_token: Callable[..., str], cloud: Cloud) -> None:
        token = Secret(ci_token())

        found = nobody.login(REGISTRY_A, role_arn=(role,), web_identity_token=token)

        assert callers(cloud) == [f"arn:aws:sts::{A}:assumed-role/pull/ocibuild"]
        assert found.detail.endswith("/pull/ocibuild via web identity (ECR_WEB_IDENTITY_TOKEN)")

    def test_it_opens_the_first_of_several_roles(
        self, nobody: Asker, role: str, ci_token: Callable[..., str], cloud: Cloud
    ) -> None:
        cloud.add_role(PULL_B, trusts=(role,))
        token = Secret(ci_token())

        nobody.login(REGISTRY_B, role_arn=(role, PULL_B), web_identity_token=token)

        assert callers(cloud) == [f"arn:aws:sts::{B}:assumed-role/pull/ocibuild"]

    def test_roles_of_accounts_alone_leave_public_pulls_anonymous(
        self, nobody: Asker, role: str, ci_token: Callable[..., str]
    ) -> None:
        options = {"role_arn": (f"{A}={role}",), "web_identity_token": Secret(ci_token())}

        assert nobody.login(REGISTRY_A, **options).username == "AWS"
        assert nobody.get("public.ecr.aws", **options) is None
        with pytest.raises(CredentialsUnavailable, match=f"no role to assume with it for {B}") as caught:
            nobody.get(REGISTRY_B, **options)
        assert f"ECR_ROLE_ARN {B}=ARN" in caught.value.do

    @pytest.mark.parametrize("exp", [1700000000000, 1e300, float("nan"), True, "soon", {"a": 1}])
    def test_a_token_with_an_odd_end_is_refused_by_aws_alone(self, nobody: Asker, role: str, exp: object) -> None:
        token = Secret(jwt.encode({"iss": "https://ci.example\n", "exp": exp}, "-" * 32))

        with pytest.raises(CredentialError, match="AWS refused the OIDC token") as caught:
            nobody.get(REGISTRY_A, role_arn=(role,), web_identity_token=token)
        assert caught.value.why.endswith(f"the token says iss=https://ci.example , exp={exp}")

    def test_keys_in_the_environment_do_not_matter_then(
        self, ask: Asker, role: str, ci_token: Callable[..., str], cloud: Cloud
    ) -> None:
        ask.login(REGISTRY_A, role_arn=(role,), web_identity_token=Secret(ci_token()))

        assert callers(cloud) == [f"arn:aws:sts::{A}:assumed-role/pull/ocibuild"]

    def test_a_token_from_a_file_is_read_anew(
        self, nobody: Asker, role: str, ci_token: Callable[..., str], tmp_path: Path
    ) -> None:
        path = tmp_path / "token"
        path.write_text(ci_token(life=-5))
        with pytest.raises(CredentialError, match="expired"):
            nobody.with_env(AWS_WEB_IDENTITY_TOKEN_FILE=str(path)).get(REGISTRY_A, role_arn=(role,))
        path.write_text(ci_token() + "\n")

        other = Asker(env={**nobody.env, "AWS_WEB_IDENTITY_TOKEN_FILE": str(path)})
        assert other.login(REGISTRY_A, role_arn=(role,)).username == "AWS"

    @pytest.mark.parametrize(
        "make", [Path.touch, lambda path: path.write_bytes(b"\xff\xfe"), Path.mkdir, lambda _: None]
    )
    def test_a_file_without_a_token_is_named(
        self, nobody: Asker, role: str, tmp_path: Path, make: Callable[[Path], object]
    ) -> None:
        path = tmp_path / "token"
        make(path)

        with pytest.raises(CredentialError) as caught:
            nobody.with_env(AWS_WEB_IDENTITY_TOKEN_FILE=str(path)).get(REGISTRY_A, role_arn=(role,))
        assert "AWS_WEB_IDENTITY_TOKEN_FILE" in caught.value.why

    def test_github_s_token_is_fetched_for_the_audience(self, nobody: Asker, role: str, machine: Machine) -> None:
        found = nobody.with_env(machine.github_env()).login(REGISTRY_A, role_arn=(role,))

        assert found.detail.endswith("via web identity (GitHub's OIDC token)")
        assert machine.requests == ["GET /github"]

    def test_github_s_hiccups_are_waited_out(self, nobody: Asker, role: str, machine: Machine) -> None:
        machine.failures = 2

        assert nobody.with_env(machine.github_env()).login(REGISTRY_A, role_arn=(role,)).username == "AWS"
        assert len(machine.requests) == 3

    def test_a_job_without_permission_hears_which_one(self, nobody: Asker, role: str, machine: Machine) -> None:
        env = machine.github_env() | {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "stale"}

        with pytest.raises(CredentialError, match="GitHub gave no OIDC token") as caught:
            nobody.with_env(env).get(REGISTRY_A, role_arn=(role,))
        assert "127.0.0.1 answered 401" in caught.value.why
        assert "id-token: write" in caught.value.do

    def test_a_github_that_cannot_be_reached_is_not_taken_for_aws(self, nobody: Asker, role: str) -> None:
        env = {"ACTIONS_ID_TOKEN_REQUEST_URL": "http://127.0.0.1:1/t", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "bearer"}

        with pytest.raises(CredentialError, match=f"no connection to GitHub's OIDC service for {REGISTRY_A}"):
            nobody.with_env(env).get(REGISTRY_A, role_arn=(role,))

    def test_gitlab_s_token_is_in_the_environment(self, nobody: Asker, role: str, ci_token: Callable[..., str]) -> None:
        found = nobody.with_env(GITLAB_OIDC_TOKEN=ci_token()).login(REGISTRY_A, role_arn=(role,))

        assert found.detail.endswith("via web identity (GITLAB_OIDC_TOKEN)")

    @pytest.mark.parametrize(
        ("claims", "reason"),
        [
            ({"subject": "repo:evil/app"}, "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
            ({"audience": "vault"}, "Incorrect token audience"),
            ({"life": -5}, "Token expired"),
        ],
    )
    def test_a_token_that_aws_refuses_is_described(
        self, nobody: Asker, role: str, ci_token: Callable[..., str], claims: dict[str, str], reason: str
    ) -> None:
        token = Secret(ci_token(**claims))

        with pytest.raises(CredentialError, match=f"for {REGISTRY_A}") as caught:
            nobody.get(REGISTRY_A, role_arn=(role,), web_identity_token=token)
        assert reason in caught.value.why
        shown = "the token says iss=https://token.ci.example, aud={audience}, sub={subject}, exp=20"
        defaults = {"audience": "sts.amazonaws.com", "subject": "repo:team/app"}
        assert shown.format_map(defaults | claims) in caught.value.why

    def test_a_token_of_somebody_else_s_key_is_refused(self, nobody: Asker, role: str, issuer: Issuer) -> None:
        forged = Secret(Issuer(issuer.url).token())

        with pytest.raises(CredentialError, match="AWS refused the OIDC token"):
            nobody.get(REGISTRY_A, role_arn=(role,), web_identity_token=forged)

    @pytest.mark.parametrize("text", ["no-token", "a.b.c", "é" * 10, "e30.W10.x", "x" * 70_000])
    def test_what_is_no_token_is_refused_without_showing_it(self, nobody: Asker, role: str, text: str) -> None:
        with pytest.raises(CredentialError, match=f"_TOKEN holds no OIDC token for {REGISTRY_A}") as caught:
            nobody.get(REGISTRY_A, role_arn=(role,), web_identity_token=Secret(text))
        assert "it is no JWT" in caught.value.why
        assert text not in str(caught.value)

    @pytest.mark.parametrize("quoted", ['"{}"', "'{}'", '{{"value": "{}"}}'])
    def test_a_token_in_quotes_is_not_shown_to_aws(
        self, nobody: Asker, role: str, ci_token: Callable[..., str], cloud: Cloud, quoted: str
    ) -> None:
        with pytest.raises(CredentialError, match="holds no OIDC token") as caught:
            nobody.get(REGISTRY_A, role_arn=(role,), web_identity_token=Secret(quoted.format(ci_token())))
        assert "without quotes" in caught.value.do
        assert cloud.count("sts:AssumeRoleWithWebIdentity") == 0

    def test_a_pod_s_role_is_in_the_sdk_s_variables(
        self, nobody: Asker, role: str, ci_token: Callable[..., str], tmp_path: Path
    ) -> None:
        path = tmp_path / "token"
        path.write_text(ci_token())
        pod = nobody.with_env(AWS_WEB_IDENTITY_TOKEN_FILE=str(path), AWS_ROLE_ARN=role, AWS_ROLE_SESSION_NAME="pod")

        assert pod.login(REGISTRY_A).detail == f"arn:aws:sts::{A}:assumed-role/pull/pod via web identity"

    def test_a_pod_s_role_may_assume_the_next(
        self, nobody: Asker, role: str, ci_token: Callable[..., str], tmp_path: Path, cloud: Cloud
    ) -> None:
        cloud.add_role(PULL_B, trusts=(role,))
        path = tmp_path / "token"
        path.write_text(ci_token())
        pod = nobody.with_env(AWS_WEB_IDENTITY_TOKEN_FILE=str(path), AWS_ROLE_ARN=role)

        pod.login(REGISTRY_B, role_arn=(f"{B}={PULL_B}",))

        assert callers(cloud) == [f"arn:aws:sts::{B}:assumed-role/pull/ocibuild"]

    def test_a_pod_s_missing_token_file_is_named(self, nobody: Asker, role: str) -> None:
        pod = nobody.with_env(AWS_WEB_IDENTITY_TOKEN_FILE="/var/run/nowhere/token", AWS_ROLE_ARN=role)

        with pytest.raises(CredentialError, match="a file of the AWS credentials cannot be read") as caught:
            pod.get(REGISTRY_A)
        assert caught.value.why == "No such file or directory: /var/run/nowhere/token"


def test_a_role_s_session_that_is_about_to_end_is_replaced(ask: Asker, cloud: Cloud) -> None:
    cloud.add_role(PULL_A, trusts=(USER,))
    cloud.session_life = timedelta(minutes=4)

    for region in ("eu-west-1", "us-east-1"):
        ask.login(f"{A}.dkr.ecr.{region}.amazonaws.com", role_arn=(PULL_A,))

    assert cloud.count("sts:AssumeRole") == 2
