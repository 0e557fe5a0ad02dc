"""`build --login ecr` with real BuildKit: private registries under Amazon's names, opened by the tokens handed out."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_aws import AwsServer, Cloud, Issuer, Machine
from ocibuild_testkit.registry import GatedRegistry, Identity, busybox_files
from support.cloud_registries import EcrPasswords
from support.timing import within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ocibuild_testkit.leaks import LeakWatcher
    from ocibuild_testkit.registry import Authority
    from support.programs import ProgramRunner, Run

pytestmark = pytest.mark.e2e

A, B = "111111111111", "222222222222"
USER = f"arn:aws:iam::{A}:user/ci"
PULL_A, PUSH_B = f"arn:aws:iam::{A}:role/pull", f"arn:aws:iam::{B}:role/push"
HOST_A = f"{A}.dkr.ecr.eu-west-1.amazonaws.com"
HOST_B = f"{B}.dkr.ecr.us-east-1.amazonaws.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amazon:
    """All of AWS that a build meets."""

    cloud: Cloud
    aws: AwsServer
    ca: Path
    run: ProgramRunner
    work: Path
    registries: dict[str, GatedRegistry] = field(default_factory=dict)

    def build(self, *argv: str, env: Mapping[str, str] | None = None, dockerfile: str = "") -> Run:
        """`build . ARGV` behind the proxy, on a machine that is not Amazon's."""
        (self.work / "Dockerfile").write_text(dockerfile or f"FROM {HOST_A}/team/base:1\nRUN cat /etc/motd\n")
        tables = "".join(f'[registry."{host}"]\nca = ["{self.ca}"]\n' for host in self.registries)
        surroundings = {
            "HTTPS_PROXY": self.aws.url,
            "SSL_CERT_FILE": str(self.ca),
            "AWS_EC2_METADATA_DISABLED": "true",
            "BUILDKIT_EXTRA_CONFIG": tables,
        }
        return self.run("build", ".", "--progress", "plain", *argv, env={**surroundings, **(env or {})}, cwd=self.work)

    def asked(self, action: str = "ecr:GetAuthorizationToken") -> list[tuple[str, str]]:
        """Who asked for tokens, and in which region."""
        return [(call.caller, call.region) for call in self.cloud.calls if call.action == action]


@pytest.fixture
def amazon(
    tls_authority: Authority, fresh_secret: Callable[[], str], run: ProgramRunner, sandbox: Path
) -> Iterator[Amazon]:
    # As long as those of SSO users get.
    cloud = Cloud(lambda: fresh_secret() * 55)
    work = sandbox / "work"
    work.mkdir()
    everything = Identity(username="AWS", password="-")
    reading = Identity(username="AWS", password="-", push=())
    policies = {
        HOST_A: ("eu-west-1", {USER: everything, PULL_A: reading}),
        HOST_B: ("us-east-1", {PUSH_B: everything}),
    }
    with AwsServer(cloud, tls_authority) as aws, ExitStack() as running:
        amazon = Amazon(cloud=cloud, aws=aws, ca=tls_authority.write(sandbox / "ca.pem"), run=run, work=work)
        for host, (region, policy) in policies.items():
            passwords = EcrPasswords(cloud, region, policy)
            registry = GatedRegistry(passwords, tls=tls_authority, host=host, bind="127.0.0.1")
            running.enter_context(registry)
            amazon.registries[host] = registry
            aws.routes[host] = registry.port
            registry.push_image("team/base:1", files={**busybox_files(), "etc/motd": f"the private base of {host}\n"})
        yield amazon


@pytest.fixture
def user(amazon: Amazon) -> dict[str, str]:
    """The variables of a user of account A."""
    return amazon.cloud.add_user(A).env()


class TestPull:
    def test_keys_in_the_environment_open_the_private_base(self, amazon: Amazon, user: dict[str, str]) -> None:
        result = amazon.build("--login", "ecr", env=user).succeeded()

        assert f"the private base of {HOST_A}" in result.stdout
        assert amazon.asked() == [(USER, "eu-west-1")]
        assert {one.username for one in amazon.registries[HOST_A].requests if one.status == 200} == {"AWS"}

    def test_nobody_has_to_name_the_plugin(self, amazon: Amazon, user: dict[str, str]) -> None:
        amazon.cloud.answer_ecr_last()
        result = amazon.build("-v", env=user).succeeded()

        assert f"the private base of {HOST_A}" in result.stdout
        assert f"{USER} via environment" in result.stderr

    def test_a_historic_pipeline_s_params_are_enough(self, amazon: Amazon, user: dict[str, str]) -> None:
        params = {"LOGIN": "ECR", "REGISTRIES": f"{A}, {B},", "REGION": "eu-west-1"}

        amazon.build(env=user | params).succeeded()

        assert amazon.asked() == [(USER, "eu-west-1")]

    def test_a_concourse_token_opens_it_through_a_role(self, amazon: Amazon, leak_watcher: LeakWatcher) -> None:
        issuer = Issuer("https://ci.example")
        trust = {"issuer": issuer, "audience": "sts.amazonaws.com", "subject": "main/app"}
        amazon.cloud.add_role(PULL_A, **trust)
        token = leak_watcher.register(issuer.token(subject="main/app"), "an OIDC token")
        params = {"LOGIN": "ECR", "ECR_ROLE_ARN": PULL_A, "ECR_WEB_IDENTITY_TOKEN": token}

        result = amazon.build("-v", env=params).succeeded()

        assert f"the private base of {HOST_A}" in result.stdout
        assert "via web identity (ECR_WEB_IDENTITY_TOKEN)" in result.stderr

    def test_an_instance_s_role_opens_it(self, amazon: Amazon, fresh_secret: Callable[[], str]) -> None:
        amazon.cloud.answer_ecr_last()
        with Machine(amazon.cloud.add_session(PULL_A), make_secret=fresh_secret) as machine:
            result = amazon.build("-v", "--login", "ecr", env=machine.instance_env()).succeeded()

        assert "assumed-role/pull/node via instance metadata" in result.stderr

    def test_two_accounts_in_two_regions_with_two_roles(self, amazon: Amazon, user: dict[str, str]) -> None:
        amazon.cloud.add_role(PULL_A, trusts=(USER,))
        amazon.cloud.add_role(PUSH_B, trusts=(USER,))
        dockerfile = (
            f"FROM {HOST_B}/team/base:1 AS tools\n"
            f"FROM {HOST_A}/team/base:1\nCOPY --from=tools /etc/motd /b\nRUN cat /b\n"
        )
        roles = f"{A}={PULL_A},{B}={PUSH_B}"

        result = amazon.build("--login", "ecr", "--ecr-role-arn", roles, env=user, dockerfile=dockerfile).succeeded()

        assert f"the private base of {HOST_B}" in result.stdout
        assert sorted(amazon.asked()) == [
            (f"arn:aws:sts::{A}:assumed-role/pull/ocibuild", "eu-west-1"),
            (f"arn:aws:sts::{B}:assumed-role/push/ocibuild", "us-east-1"),
        ]


class TestPush:
    def test_what_was_built_goes_to_another_account(self, amazon: Amazon, user: dict[str, str]) -> None:
        amazon.cloud.add_role(PUSH_B, trusts=(USER,))
        target = f"{HOST_B}/team/app:2"
        argv = ("--login", "ecr", "--ecr-role-arn", f"{B}={PUSH_B}", "--output", f"registry,name={target}")

        amazon.build(*argv, env=user).succeeded()

        _, manifest = amazon.registries[HOST_B].client().manifest("team/app", "2")
        assert b"layers" in manifest
        assert {one.username for one in amazon.registries[HOST_B].requests if one.status == 201} == {"AWS"}

    def test_a_role_that_may_only_pull_is_told_who_it_is(self, amazon: Amazon, user: dict[str, str]) -> None:
        amazon.cloud.add_role(PULL_A, trusts=(USER,))
        argv = ("--login", "ecr", "--ecr-role-arn", PULL_A, "--output", f"registry,name={HOST_A}/team/app:2")

        result = amazon.build(*argv, env=user).ended_with(3)

        assert HOST_A in result.stderr
        assert f"arn:aws:sts::{A}:assumed-role/pull/ocibuild" in result.stderr


class TestBeforeTheSolve:
    """Each failure is said once, with exit code 3, within 5 s, before a registry is asked for anything."""

    def fails(self, amazon: Amazon, *argv: str, env: Mapping[str, str], says: str) -> str:
        result = within(5, lambda: amazon.build("--login", "ecr", *argv, env=env).ended_with(3))
        assert result.stderr.count(says) == 1, result.stderr
        # The cause and the remedy, however many registries share them.
        assert result.stderr.count("\n  do ") == 1, result.stderr
        assert "plugin 'ecr' (ocibuild-ecr 0.1.0)" in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stdout == ""
        assert not amazon.registries[HOST_A].requests
        return result.stderr

    def test_no_credentials_at_all(self, amazon: Amazon) -> None:
        said = self.fails(amazon, env={}, says=f"no AWS credentials for {HOST_A}")

        assert "tried  environment, profile default, web identity" in said

    def test_no_credentials_where_the_metadata_service_is_silent(self, amazon: Amazon) -> None:
        with Machine() as machine:
            machine.silent_to = {"PUT", "GET"}
            said = self.fails(amazon, env=machine.instance_env(), says=f"no AWS credentials for {HOST_A}")

        assert "HttpPutResponseHopLimit=2" in said

    def test_a_wrong_role(self, amazon: Amazon, user: dict[str, str]) -> None:
        argv = ("--ecr-role-arn", PULL_A)

        self.fails(amazon, *argv, env=user, says=f"AWS denied sts:AssumeRole on {PULL_A} for {HOST_A}")

    def test_an_expired_token(self, amazon: Amazon) -> None:
        keys = amazon.cloud.add_session(PULL_A, life=timedelta(seconds=-1))

        self.fails(amazon, env=keys.env(), says=f"expired AWS credentials for {HOST_A}")

    def test_a_token_of_ecr_s_that_has_ended(self, amazon: Amazon, user: dict[str, str]) -> None:
        amazon.cloud.token_life = timedelta(hours=-1)

        self.fails(amazon, env=user, says=f"the credential for {HOST_A} expired at")

    def test_an_endpoint_that_hangs(self, amazon: Amazon, user: dict[str, str]) -> None:
        amazon.aws.hangs.set()

        self.fails(amazon, "--login-timeout", "3s", env=user, says=f"no answer from ECR in eu-west-1 for {HOST_A}")

    def test_a_wrong_clock(self, amazon: Amazon, user: dict[str, str]) -> None:
        amazon.cloud.skew = timedelta(minutes=20)

        self.fails(amazon, env=user, says="this machine's clock differs from that of AWS")

    def test_a_denied_action(self, amazon: Amazon, user: dict[str, str]) -> None:
        amazon.cloud.deny(USER, "ecr:GetAuthorizationToken")

        said = self.fails(amazon, env=user, says=f"AWS denied ecr:GetAuthorizationToken for {HOST_A}")

        assert f"allow ecr:GetAuthorizationToken on * to {USER}" in said

    def test_an_account_that_lost_its_zero(self, amazon: Amazon, user: dict[str, str]) -> None:
        result = amazon.build(env=user | {"LOGIN": "ECR", "REGISTRIES": "12345678901"}).ended_with(2)

        assert "REGISTRIES: '12345678901' is no AWS account id" in result.stderr
        assert "in quotes" in result.stderr


def test_a_token_of_another_region_opens_nothing(amazon: Amazon, user: dict[str, str]) -> None:
    """The registry is no pushover: what makes the tests above pass is the token of the right region."""
    amazon.cloud.passwords[f"{USER} us-east-1"] = amazon.cloud.make_secret()
    other = f"{A}.dkr.ecr.us-east-1.amazonaws.com"
    amazon.aws.routes[other] = amazon.registries[HOST_A].port
    tables = f'[registry."{other}"]\nca = ["{amazon.ca}"]\ninsecure = false\n'

    result = amazon.build(
        "--login", "ecr", env=user | {"BUILDKIT_EXTRA_CONFIG": tables}, dockerfile=f"FROM {other}/team/base:1\n"
    )

    assert result.code != 0
    assert amazon.asked() == [(USER, "us-east-1")]


@pytest.mark.parametrize("region", ["", "eu-west-1"])
def test_a_role_that_may_not_be_assumed_ends_a_build_on_public_images(
    amazon: Amazon, user: dict[str, str], region: str
) -> None:
    """Anybody may pull them, but who asks for a role counts on it."""
    amazon.cloud.deny(USER, "sts:AssumeRole")
    env = {**user, "LOGIN": "ecr", "ECR_ROLE_ARN": PULL_A, "REGION": region}

    ended = amazon.build(env=env, dockerfile="FROM public.ecr.aws/team/base:1\n").ended_with(3)

    assert ended.stderr.count(f"AWS denied sts:AssumeRole on {PULL_A}") == 1
    assert "warning" not in ended.stderr
    assert ended.stdout == ""
