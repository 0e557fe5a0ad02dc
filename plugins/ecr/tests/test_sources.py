"""Where credentials are found, and how long it takes when they are nowhere."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fake_aws import AwsServer, Cloud, Machine
from fake_aws.asking import OWN, Asker
from ocibuild_core.plugin import CredentialError, CredentialsUnavailable

from ocibuild_ecr import EcrProvider

NODE = "arn:aws:iam::123456789012:role/node"
USER = "arn:aws:iam::123456789012:user/ci"


def fails_within(seconds: float, ask: Asker, kind: type[CredentialError], match: str) -> CredentialError:
    """The error, which comes so soon in one of three tries at least: the machine may be busy with something else."""
    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(kind, match=match) as caught:
            # A provider remembers what has failed just now.
            replace(ask, provider=EcrProvider()).get(OWN)
        took = time.monotonic() - began
        if took < seconds:
            return caught.value
    pytest.fail(f"it took {took:.1f} s")


@pytest.fixture
def aws_dir(nobody: Asker) -> Path:
    """The user's ~/.aws."""
    directory = Path(nobody.env["HOME"]) / ".aws"
    directory.mkdir()
    return directory


@pytest.fixture
def black_hole() -> Iterator[str]:
    """An address that lets every connection wait."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        held = []
        for _ in range(4):
            one = socket.socket()
            one.settimeout(0)
            one.connect_ex(listener.getsockname())
            held.append(one)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for one in held:
            one.close()


class TestProfile:
    def test_keys_of_a_profile(self, nobody: Asker, aws_dir: Path, cloud: Cloud) -> None:
        keys = cloud.add_user(name="laptop")
        (aws_dir / "credentials").write_text(
            f"[work]\naws_access_key_id={keys.access_key}\naws_secret_access_key={keys.secret_key}\n"
        )
        (aws_dir / "config").write_text("[profile work]\nregion=eu-south-2\n")

        found = nobody.login(OWN, profile="work")

        assert found.detail == "arn:aws:iam::123456789012:user/laptop via credentials file (profile work)"
        assert nobody.with_env(AWS_PROFILE="work").login(OWN).detail == found.detail
        assert nobody.registries(profile="work") == ("123456789012.dkr.ecr.eu-south-2.amazonaws.com",)

    def test_a_profile_that_is_asked_for_beats_the_environment(self, ask: Asker, aws_dir: Path, cloud: Cloud) -> None:
        keys = cloud.add_user(name="laptop")
        (aws_dir / "credentials").write_text(
            f"[work]\naws_access_key_id={keys.access_key}\naws_secret_access_key={keys.secret_key}\n"
        )

        assert "user/laptop" in ask.login(OWN, profile="work").detail
        assert "user/ci" in ask.with_env(AWS_PROFILE="work").login(OWN).detail

    def test_a_profile_s_own_role_is_assumed(self, ask: Asker, aws_dir: Path, cloud: Cloud) -> None:
        cloud.add_role(NODE, trusts=(USER,))
        (aws_dir / "config").write_text(f"[profile work]\nrole_arn={NODE}\ncredential_source=Environment\n")

        found = ask.login(OWN, profile="work")

        assert "assumed-role/node/" in found.detail
        assert found.detail.endswith("via role of the profile (profile work)")

    def test_a_profile_s_role_that_is_refused_is_said(self, ask: Asker, aws_dir: Path, cloud: Cloud) -> None:
        cloud.add_role(NODE)
        (aws_dir / "config").write_text(f"[profile work]\nrole_arn={NODE}\ncredential_source=Environment\n")

        with pytest.raises(CredentialError, match="AWS denied sts:AssumeRole") as caught:
            ask.get(OWN, profile="work")
        assert NODE in caught.value.why

    def test_nobody_is_asked_for_a_code(self, ask: Asker, aws_dir: Path) -> None:
        (aws_dir / "config").write_text(
            f"[profile work]\nrole_arn={NODE}\ncredential_source=Environment\nmfa_serial=arn:aws:iam::1:mfa/x\n"
        )

        with pytest.raises(CredentialError, match="the AWS profile asks for an MFA code"):
            ask.get(OWN, profile="work")

    def test_a_profile_that_is_missing_is_named(self, ask: Asker) -> None:
        with pytest.raises(CredentialError, match=f"no such AWS profile for {OWN}") as caught:
            ask.get(OWN, profile="work")
        assert "(work)" in caught.value.why
        with pytest.raises(CredentialError, match="no such AWS profile for the registries' region"):
            ask.registries(profile="work")

    @pytest.mark.parametrize("name", ["AWS_METADATA_SERVICE_TIMEOUT", "AWS_METADATA_SERVICE_NUM_ATTEMPTS"])
    def test_a_setting_that_is_no_number_is_named(self, nobody: Asker, name: str) -> None:
        with pytest.raises(CredentialError, match=f"the AWS settings cannot be used for {OWN}") as caught:
            nobody.with_env({name: "abc"}).get(OWN)
        assert caught.value.why.startswith(f"{name}, or {name.removeprefix('AWS_').lower()} in the profile: ")

    def test_a_config_file_that_is_none_is_named(self, nobody: Asker, aws_dir: Path) -> None:
        (aws_dir / "config").write_text("[profile work\nregion = x\n")

        with pytest.raises(CredentialError, match="unreadable AWS config file") as caught:
            nobody.get(OWN)
        assert str(aws_dir / "config") in caught.value.why

    def test_a_program_may_hold_the_keys(self, nobody: Asker, aws_dir: Path, cloud: Cloud, tmp_path: Path) -> None:
        keys = cloud.add_user(name="vault")
        document = {"Version": 1, "AccessKeyId": keys.access_key, "SecretAccessKey": keys.secret_key}
        (tmp_path / "keys.json").write_text(json.dumps(document))
        (aws_dir / "config").write_text(f"[default]\ncredential_process = cat {tmp_path}/keys.json\n")

        assert nobody.login(OWN).detail == "arn:aws:iam::123456789012:user/vault via credential process"

    def test_a_program_that_fails_is_said(self, nobody: Asker, aws_dir: Path) -> None:
        (aws_dir / "config").write_text("[default]\ncredential_process = false\n")

        with pytest.raises(CredentialError, match="the source of AWS credentials failed"):
            nobody.get(OWN)

    def test_a_program_that_hangs_is_killed_before_the_deadline(
        self, nobody: Asker, aws_dir: Path, tmp_path: Path
    ) -> None:
        (aws_dir / "config").write_text(
            f"[default]\ncredential_process = sh -c 'echo $$ > {tmp_path}/pid; exec sleep 60'\n"
        )

        with pytest.raises(CredentialError, match="the source of AWS credentials failed") as caught:
            replace(nobody, timeout=1).get(OWN)
        assert "gave no answer within" in caught.value.why
        pid = int((tmp_path / "pid").read_text())
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


class TestSso:
    @pytest.fixture(autouse=True)
    def profile(self, aws_dir: Path) -> None:
        (aws_dir / "config").write_text(
            "[profile sso]\nsso_session=corp\nsso_account_id=123456789012\nsso_role_name=node\n"
            "[sso-session corp]\nsso_region=eu-west-1\nsso_start_url=https://corp.example/start\n"
        )

    def log_in(self, aws_dir: Path, token: str, **life: float) -> None:
        """What `aws sso login` leaves behind."""
        directory = aws_dir / "sso" / "cache"
        directory.mkdir(parents=True)
        ends = datetime.now(UTC) + timedelta(**life)
        document = {"accessToken": token, "expiresAt": f"{ends:%Y-%m-%dT%H:%M:%SZ}", "region": "eu-west-1"}
        (directory / f"{hashlib.sha1(b'corp').hexdigest()}.json").write_text(json.dumps(document))  # noqa: S324

    def test_the_session_of_aws_sso_login_is_used(self, nobody: Asker, aws_dir: Path, cloud: Cloud) -> None:
        self.log_in(aws_dir, cloud.add_sso_session(NODE), hours=1)

        found = nobody.login(OWN, profile="sso")

        assert found.detail == "arn:aws:sts::123456789012:assumed-role/node/sso via SSO (profile sso)"

    def test_a_portal_that_hangs_is_left_before_the_deadline(
        self, nobody: Asker, aws_dir: Path, cloud: Cloud, aws: AwsServer
    ) -> None:
        self.log_in(aws_dir, cloud.add_sso_session(NODE), hours=1)
        aws.hangs.set()

        with pytest.raises(CredentialError, match="no answer from") as caught:
            replace(nobody, timeout=1.5).get(OWN, profile="sso")
        assert "read timeout" in caught.value.why

    def test_without_a_session_the_command_is_named(self, nobody: Asker) -> None:
        with pytest.raises(CredentialError, match="no valid AWS SSO session") as caught:
            nobody.get(OWN, profile="sso")
        assert "aws sso login" in caught.value.do

    def test_so_it_is_when_it_has_ended(self, nobody: Asker, aws_dir: Path, cloud: Cloud) -> None:
        self.log_in(aws_dir, cloud.add_sso_session(NODE), hours=-1)

        with pytest.raises(CredentialError, match="no valid AWS SSO session"):
            nobody.get(OWN, profile="sso")

    def test_and_when_it_was_ended_elsewhere(self, nobody: Asker, aws_dir: Path, fresh_secret: object) -> None:
        assert callable(fresh_secret)
        self.log_in(aws_dir, fresh_secret(), hours=1)

        with pytest.raises(CredentialError, match="no valid AWS SSO session"):
            nobody.get(OWN, profile="sso")


class TestContainer:
    def test_its_endpoint_gives_the_keys(self, nobody: Asker, machine: Machine, cloud: Cloud) -> None:
        machine.keys = cloud.add_session(NODE)

        found = nobody.with_env(machine.container_env()).login(OWN)

        assert found.detail == "arn:aws:sts::123456789012:assumed-role/node/node via container endpoint"

    def test_its_token_may_be_in_a_file(self, nobody: Asker, machine: Machine, cloud: Cloud, tmp_path: Path) -> None:
        machine.keys = cloud.add_session(NODE)
        env = machine.container_env()
        (tmp_path / "token").write_text(env.pop("AWS_CONTAINER_AUTHORIZATION_TOKEN"))

        ask = nobody.with_env(env, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(tmp_path / "token"))

        assert ask.login(OWN).username == "AWS"

    def test_a_missing_token_file_is_named(self, nobody: Asker, machine: Machine) -> None:
        env = machine.container_env() | {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/nowhere/token"}

        with pytest.raises(CredentialError) as caught:
            nobody.with_env(env).get(OWN)
        assert "/nowhere/token" in caught.value.why

    @pytest.mark.parametrize("env", [{"AWS_CONTAINER_AUTHORIZATION_TOKEN": "wrong"}, {}])
    def test_an_endpoint_without_keys_is_said(self, nobody: Asker, machine: Machine, env: dict[str, str]) -> None:
        with pytest.raises(CredentialError, match=f"for {OWN}"):
            nobody.with_env(machine.container_env(), env).get(OWN)

    def test_keys_are_asked_of_link_local_addresses_alone(self, nobody: Asker) -> None:
        with pytest.raises(CredentialError, match="the AWS settings cannot be used") as caught:
            nobody.with_env(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://evil.example/keys").get(OWN)
        assert "evil.example" in caught.value.why

    def test_an_endpoint_that_hangs_costs_less_than_three_seconds(self, nobody: Asker, machine: Machine) -> None:
        machine.silent_to = {"GET"}

        ask = nobody.with_env(machine.container_env())

        fails_within(3, ask, CredentialError, "the source of AWS credentials failed")


class TestInstance:
    def test_its_role_s_keys_are_found(self, nobody: Asker, machine: Machine, cloud: Cloud) -> None:
        machine.keys = cloud.add_session(NODE)

        found = nobody.with_env(machine.instance_env()).login(OWN)

        assert found.detail == "arn:aws:sts::123456789012:assumed-role/node/node via instance metadata"

    def test_no_proxy_is_asked_for_them(
        self, nobody: Asker, machine: Machine, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        machine.keys = cloud.add_session(NODE)
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

        with pytest.raises(CredentialError, match="proxy"):
            # Found without the proxy, and then used through it.
            nobody.with_env(machine.instance_env()).get(OWN)
        assert machine.requests[0] == "PUT /latest/api/token"

    def test_a_machine_without_a_role_has_no_credentials(self, nobody: Asker, machine: Machine) -> None:
        with pytest.raises(CredentialsUnavailable) as caught:
            nobody.with_env(machine.instance_env()).get(OWN)
        assert caught.value.tried == (
            "environment",
            "profile default",
            "web identity",
            "container endpoint",
            "instance metadata",
        )

    def test_a_hop_limit_that_drops_the_answer_is_guessed(self, nobody: Asker, machine: Machine, cloud: Cloud) -> None:
        machine.keys = cloud.add_session(NODE)
        machine.silent_to = {"PUT"}

        ask = nobody.with_env(machine.instance_env())

        error = fails_within(3, ask, CredentialsUnavailable, f"no AWS credentials for {OWN}")
        assert error.tried[-1] == "instance metadata (no answer)"
        assert "HttpPutResponseHopLimit=2" in error.do

    def test_a_service_that_takes_no_connection_costs_less_than_three_seconds(
        self, nobody: Asker, black_hole: str
    ) -> None:
        ask = nobody.with_env(AWS_EC2_METADATA_SERVICE_ENDPOINT=black_hole, AWS_EC2_METADATA_DISABLED="false")

        fails_within(3, ask, CredentialsUnavailable, "no AWS credentials")

    def test_a_short_deadline_is_kept(self, nobody: Asker, machine: Machine) -> None:
        machine.silent_to = {"PUT", "GET"}

        ask = replace(nobody.with_env(machine.instance_env()), timeout=0.8)

        fails_within(1.8, ask, CredentialsUnavailable, "no AWS credentials")

    def test_it_is_not_asked_for_a_public_pull_that_nobody_named(self, nobody: Asker, machine: Machine) -> None:
        machine.silent_to = {"PUT", "GET"}

        assert nobody.with_env(machine.instance_env()).on_his_own().get("public.ecr.aws") is None
        assert machine.requests == []

    def test_one_that_is_switched_off_is_said_to_be(self, nobody: Asker) -> None:
        with pytest.raises(CredentialsUnavailable) as caught:
            nobody.get(OWN)
        assert caught.value.tried[-1] == "instance metadata (switched off)"


class TestEnvironment:
    def test_it_is_the_one_that_was_given(self, ask: Asker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not that of the process: whatever botocore would find there is another identity."""
        for name, value in cloud.add_user("999999999999", "intruder").env().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_PROFILE", "intruder")
        monkeypatch.setenv("AWS_REGION", "sa-east-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/intruder")
        monkeypatch.setenv("AWS_ROLE_ARN", NODE)
        monkeypatch.setenv("HOME", "/nowhere")

        assert ask.login(OWN).detail == f"{USER} via environment"
        assert {call.region for call in cloud.calls} == {"eu-west-1"}

    def test_without_any_the_process_s_does_not_count(self, nobody: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAINTRUDER")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "intruder")
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/")

        with pytest.raises(CredentialsUnavailable):
            nobody.get(OWN)

    def test_half_of_the_keys_is_an_error(self, nobody: Asker) -> None:
        with pytest.raises(CredentialError, match="half of the AWS credentials are missing") as caught:
            nobody.with_env(AWS_ACCESS_KEY_ID="AKIAEXAMPLE").get(OWN)
        assert "AWS_SECRET_ACCESS_KEY" in caught.value.why

    def test_empty_variables_are_unset_ones(self, nobody: Asker) -> None:
        empty = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_ENDPOINT_URL_ECR": ""}

        with pytest.raises(CredentialsUnavailable):
            nobody.with_env(empty, AWS_CONTAINER_CREDENTIALS_FULL_URI="", AWS_WEB_IDENTITY_TOKEN_FILE="").get(OWN)

    def test_keys_that_say_they_have_ended_are_said_to_have(self, ask: Asker) -> None:
        with pytest.raises(CredentialError, match="expired AWS credentials"):
            ask.with_env(AWS_CREDENTIAL_EXPIRATION="2020-01-01T00:00:00Z").get(OWN)
