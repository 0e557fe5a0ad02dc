"""What AWS refuses, and what the network does not deliver: each gets its one error, in time, without a secret."""

from __future__ import annotations

import builtins
import logging
import threading
import time
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.exceptions
import pytest
from botocore.retries.standard import ThrottledRetryableChecker
from fake_aws import AwsServer, Cloud
from fake_aws.asking import OWN, Asker
from ocibuild_core.plugin import CredentialError

from ocibuild_ecr import problems
from ocibuild_ecr.chain import MfaPromptError
from ocibuild_ecr.sdk import ATTEMPTS, Limits

TOKEN = "ecr:GetAuthorizationToken"
USER = "arn:aws:iam::123456789012:user/ci"


def test_a_denied_action_is_named_with_the_principal(ask: Asker, cloud: Cloud) -> None:
    cloud.deny(USER, TOKEN)

    with pytest.raises(CredentialError, match=f"^AWS denied {TOKEN} for {OWN}") as caught:
        ask.get(OWN)
    assert f"User: {USER} is not authorized to perform: {TOKEN}" in caught.value.why
    assert f"allow {TOKEN} on * to {USER}" in caught.value.do
    assert cloud.attempts[TOKEN] == 1


def test_a_denial_that_does_not_name_the_principal_is_completed(ask: Asker, cloud: Cloud) -> None:
    cloud.refuse(TOKEN, "denied", "Access denied")

    with pytest.raises(CredentialError) as caught:
        ask.get(OWN)
    assert caught.value.why == f"{USER}: Access denied"


@pytest.mark.parametrize("minutes", [20, -20])
def test_a_wrong_clock_is_said_with_both_times(ask: Asker, cloud: Cloud, minutes: int) -> None:
    cloud.skew = timedelta(minutes=minutes)

    with pytest.raises(CredentialError, match="clock differs from that of AWS") as caught:
        ask.get(OWN)
    assert f"ECR says it is {cloud.now() + cloud.skew:%a, %d %b %Y %H:}" in caught.value.why
    assert f"this machine says {cloud.now():%a, %d %b %Y %H:}" in caught.value.why
    assert cloud.attempts[TOKEN] == 1


def test_so_it_is_when_a_role_is_assumed(ask: Asker, cloud: Cloud) -> None:
    cloud.skew = timedelta(minutes=20)

    with pytest.raises(CredentialError, match="clock differs") as caught:
        ask.get(OWN, role_arn=("arn:aws:iam::123456789012:role/pull",))
    assert "STS says" in caught.value.why


def test_a_small_difference_is_none(ask: Asker, cloud: Cloud) -> None:
    cloud.skew = timedelta(minutes=4)

    assert ask.login(OWN).username == "AWS"


def test_ended_credentials_are_said_to_have_ended(nobody: Asker, cloud: Cloud) -> None:
    keys = cloud.add_session("arn:aws:iam::123456789012:role/node", life=timedelta(seconds=-1))

    with pytest.raises(CredentialError, match=f"expired AWS credentials for {OWN}"):
        nobody.with_env(keys.env()).get(OWN)
    with pytest.raises(CredentialError, match=f"expired AWS credentials for {OWN}"):
        nobody.with_env(keys.env()).get(OWN, role_arn=("arn:aws:iam::123456789012:role/pull",))


def test_an_unknown_key_is_said_to_be(ask: Asker) -> None:
    with pytest.raises(CredentialError, match="AWS does not know the credentials"):
        ask.with_env(AWS_ACCESS_KEY_ID="AKIAEXAMPLE").get(OWN)


def test_a_wrong_secret_key_is_said_without_the_request(nobody: Asker, cloud: Cloud) -> None:
    keys = cloud.add_session("arn:aws:iam::123456789012:role/node")

    with pytest.raises(CredentialError, match="AWS refused the signature") as caught:
        nobody.with_env(keys.env(), AWS_SECRET_ACCESS_KEY="cut").get(OWN)
    # AWS repeats the signed headers, and with them the session's token.
    assert "Canonical" not in str(caught.value)


def test_a_missing_session_token_is_said(nobody: Asker, cloud: Cloud) -> None:
    keys = cloud.add_session("arn:aws:iam::123456789012:role/node")

    with pytest.raises(CredentialError, match="AWS does not know the credentials") as caught:
        nobody.with_env(keys.env(), AWS_SESSION_TOKEN="").get(OWN)
    assert "AWS_SESSION_TOKEN" in caught.value.do


@pytest.mark.parametrize("code", sorted(problems._REFUSALS))
def test_every_code_that_is_known_has_words_of_its_own(ask: Asker, cloud: Cloud, code: str) -> None:
    cloud.refuse("sts:AssumeRole", code, "AWS's own words")

    with pytest.raises(CredentialError) as caught:
        ask.get(OWN, role_arn=("arn:aws:iam::123456789012:role/pull",))
    assert caught.value.summary.endswith(f" for {OWN}")
    assert caught.value.why == "AWS's own words"
    assert caught.value.do
    assert "{" not in str(caught.value)
    assert not caught.value.summary.startswith("AWS failed")


def test_a_code_that_is_not_known_is_shown(ask: Asker, cloud: Cloud) -> None:
    cloud.refuse(TOKEN, "KmsException", "the key is gone")

    with pytest.raises(CredentialError, match=f"^AWS failed at {TOKEN} for {OWN}") as caught:
        ask.get(OWN)
    assert caught.value.why == "KmsException: the key is gone"


@pytest.mark.parametrize("name", sorted(problems._SDK))
def test_every_error_of_the_sdk_has_words_of_its_own(name: str) -> None:
    kinds: dict[str, Any] = {**vars(botocore.exceptions), **vars(builtins), "MfaPromptError": MfaPromptError}
    # Made without its own __init__, of which every one of them takes something else.
    error = kinds[name].__new__(kinds[name])
    error.args = ("what the SDK says",)
    doing = problems.Doing(action=TOKEN, region="eu-west-1", who=lambda: "somebody")

    failure = problems.explain(error, doing, now=datetime.now(UTC))

    assert failure.what
    assert failure.do
    assert "{" not in failure.what
    assert "what the SDK says" in failure.why


class TestThrottling:
    def test_it_is_waited_out(self, ask: Asker, cloud: Cloud) -> None:
        cloud.throttle(TOKEN, ATTEMPTS - 1)

        assert ask.login(OWN).username == "AWS"
        assert cloud.attempts[TOKEN] == ATTEMPTS

    def test_the_waits_are_random(self, ask: Asker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
        waits: list[float] = []
        ours, sleep = threading.get_ident(), time.sleep
        # Threads of other tests wait as well.
        monkeypatch.setattr(time, "sleep", lambda s: waits.append(s) if threading.get_ident() == ours else sleep(s))
        for _ in range(3):
            cloud.throttle(TOKEN, ATTEMPTS - 1)
            Asker(env=ask.env).login(OWN)
        monkeypatch.undo()

        assert len(set(waits)) == len(waits) == 3 * (ATTEMPTS - 1)
        assert max(waits) <= 4

    def test_it_ends_with_the_number_of_attempts(self, ask: Asker, cloud: Cloud) -> None:
        cloud.throttle(TOKEN, 100)

        with pytest.raises(CredentialError, match=f"^AWS throttled {TOKEN} for {OWN}") as caught:
            ask.get(OWN)
        assert caught.value.why.startswith("4 attempts")
        assert cloud.attempts[TOKEN] == ATTEMPTS

    def test_it_is_all_that_botocore_takes_for_it(self) -> None:
        assert set(ThrottledRetryableChecker._THROTTLED_ERROR_CODES) == problems._THROTTLED  # type: ignore[attr-defined]

    def test_a_role_s_assumption_is_waited_out_too(self, ask: Asker, cloud: Cloud) -> None:
        arn = cloud.add_role("arn:aws:iam::123456789012:role/pull", trusts=(USER,))
        cloud.throttle("sts:AssumeRole", 2)

        assert ask.login(OWN, role_arn=(arn,)).username == "AWS"


class TestTime:
    @pytest.mark.parametrize("seconds", [1.0, 4.0, 5.0])
    def test_an_endpoint_that_hangs_is_given_up_before_the_deadline(
        self, ask: Asker, aws: AwsServer, seconds: float
    ) -> None:
        aws.hangs.set()

        started = time.monotonic()
        with pytest.raises(CredentialError, match=f"no answer from ECR in eu-west-1 for {OWN}"):
            replace(ask, timeout=seconds).get(OWN)
        assert time.monotonic() - started < seconds + 10

    def test_who_waits_for_another_s_login_keeps_his_own_deadline(self, ask: Asker, aws: AwsServer) -> None:
        aws.hangs.set()
        errors: list[CredentialError] = []

        def ask_slowly() -> None:
            with pytest.raises(CredentialError) as caught:
                replace(ask, timeout=8.0).get(OWN)
            errors.append(caught.value)

        slow = threading.Thread(target=ask_slowly)
        slow.start()
        time.sleep(0.5)
        with pytest.raises(CredentialError, match="no answer from AWS in time"):
            replace(ask, timeout=0.5).get(OWN)
        assert slow.is_alive()
        slow.join()
        assert len(errors) == 1

    @pytest.mark.parametrize("seconds", [0.0, 0.2, 1.0, 2.9, 3.0, 5.0, 8.0, 13.0, 30.0, 300.0])
    def test_all_attempts_together_fit(self, seconds: float) -> None:
        limits = Limits.within(seconds)
        waits = 2 ** (limits.attempts - 1) - 1

        assert limits.attempts * (limits.connect + limits.read) + waits <= max(seconds, 0.1) + 1e-9
        assert limits.connect > 0
        assert limits.read > 0

    def test_the_host_s_own_limit_allows_all_attempts(self) -> None:
        assert Limits.within(30.0).attempts == ATTEMPTS


class TestNetwork:
    def test_a_closed_port_is_said_with_the_cause(self, ask: Asker) -> None:
        with pytest.raises(CredentialError, match=f"no connection to ECR in eu-west-1 for {OWN}") as caught:
            ask.with_env(AWS_ENDPOINT_URL_ECR="http://127.0.0.1:1").get(OWN)
        assert "Connection refused" in caught.value.why

    def test_an_address_that_is_none_is_said(self, ask: Asker) -> None:
        with pytest.raises(CredentialError, match="the AWS settings cannot be used") as caught:
            ask.with_env(AWS_ENDPOINT_URL="bogus").get(OWN)
        assert "bogus" in caught.value.why

    @pytest.mark.parametrize(
        "answer",
        [
            {"something": "else"},
            {"authorizationData": []},
            {"authorizationData": [{"expiresAt": 4e9}]},
            {"authorizationData": [{"authorizationToken": "!", "expiresAt": 4e9}]},
            {"authorizationData": [{"authorizationToken": "QVdTOg==", "expiresAt": 4e9}]},
            {"authorizationData": [{"authorizationToken": "cm9vdDp4", "expiresAt": 4e9}]},
            {"authorizationData": [{"authorizationToken": "/v7+/g==", "expiresAt": 4e9}]},
            {"authorizationData": [{"authorizationToken": "QVdTOng="}]},
        ],
    )
    def test_an_answer_without_a_token_is_said(self, ask: Asker, cloud: Cloud, answer: dict[str, object]) -> None:
        cloud.answer_with(TOKEN, answer)

        with pytest.raises(CredentialError, match=f"for {OWN}"):
            ask.get(OWN)


class TestSecrets:
    """The leak watcher fails any test here whose output or error holds a key, a token or a password."""

    def test_the_sdk_s_own_log_stays_silent(self, ask: Asker, cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        cloud.throttle(TOKEN, 1)
        ask.login(OWN)
        with pytest.raises(CredentialError):
            Asker(env={**ask.env, "AWS_SECRET_ACCESS_KEY": "cut"}).get(OWN)

        assert {record.name.partition(".")[0] for record in caplog.records} <= {"ocibuild"}

    def test_nothing_is_behind_an_error(self, nobody: Asker, cloud: Cloud) -> None:
        keys = cloud.add_session("arn:aws:iam::123456789012:role/node")
        try:
            nobody.with_env(keys.env(), AWS_SECRET_ACCESS_KEY="cut").get(OWN)
        except CredentialError as error:
            seen = "".join(traceback.format_exception(error))
            assert keys.token is not None
            assert keys.token not in seen
            chain: BaseException | None = error
            while chain is not None:
                assert keys.token not in f"{chain} {chain!r} {chain.args}"
                chain = chain.__cause__ or chain.__context__
        else:
            pytest.fail("AWS took a wrong key")

    def test_none_is_in_a_representation(self, ask: Asker) -> None:
        found = ask.login(OWN)
        (login,) = ask.provider._answers()._logins.values()
        (slot,) = login._found._slots.values()
        keys = slot.values[0].keys()

        for shown in (repr(found), repr(slot), repr(keys), str(keys), repr(login), repr(ask.provider)):
            assert ask.env["AWS_SECRET_ACCESS_KEY"] not in shown
            assert found.secret.reveal() not in shown
