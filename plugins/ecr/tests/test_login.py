"""One token for every registry of an identity and region, however many ask."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fake_aws import Cloud
from fake_aws.asking import OWN, Asker
from ocibuild_core.plugin import CredentialError, CredentialsUnavailable, UsageError
from ocibuild_testkit.clock import FakeClock

TOKEN = "ecr:GetAuthorizationToken"
PUBLIC_TOKEN = "ecr-public:GetAuthorizationToken"


def registry(account: str, region: str = "eu-west-1") -> str:
    return f"{account}.dkr.ecr.{region}.amazonaws.com"


def test_the_password_is_the_one_that_ecr_handed_out(ask: Asker, cloud: Cloud) -> None:
    found = ask.login(OWN)

    assert (found.username, found.secret.reveal()) == ("AWS", *cloud.passwords.values())


def test_it_lasts_as_long_as_ecr_says(ask: Asker) -> None:
    found = ask.login(OWN)

    assert found.expires_at is not None
    assert abs(found.expires_at - datetime.now(UTC) - timedelta(hours=12)) < timedelta(minutes=1)


def test_the_detail_names_the_caller_and_where_the_keys_were(ask: Asker) -> None:
    assert ask.login(OWN).detail == "arn:aws:iam::123456789012:user/ci via environment"


def test_fifty_registries_of_a_region_cost_one_call(ask: Asker, cloud: Cloud) -> None:
    found = {ask.login(registry(f"{number:012}")).secret.reveal() for number in range(50)}

    assert len(found) == 1
    assert [call.action for call in cloud.calls].count(TOKEN) == 1


def test_fifty_registries_at_once_cost_one_call(ask: Asker, cloud: Cloud) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(
            target=lambda number=number: found.append(ask.login(registry(f"{number:012}")).secret.reveal())
        )
        for number in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(found), len(set(found)), cloud.count(TOKEN)) == (50, 1, 1)


def test_each_region_has_its_own_token_from_its_own_region(ask: Asker, cloud: Cloud) -> None:
    regions = ("eu-west-1", "us-east-1", "ap-south-1")
    found = {region: ask.login(registry("210987654321", region)).secret.reveal() for region in regions}

    assert len(set(found.values())) == 3
    assert [call.region for call in cloud.calls if call.action == TOKEN] == list(regions)
    assert cloud.count("sts:GetCallerIdentity") == 1


def test_the_setting_s_region_is_not_that_of_a_host(ask: Asker, cloud: Cloud) -> None:
    ask.with_env(AWS_REGION="sa-east-1").login(registry("210987654321", "us-east-1"), region="eu-north-1")

    assert [call.region for call in cloud.calls if call.action == TOKEN] == ["us-east-1"]


def test_no_deprecated_registry_ids_are_sent(ask: Asker, cloud: Cloud) -> None:
    accounts = tuple(f"{number:012}" for number in range(12))
    for name in ask.registries(registries=accounts, region="eu-west-1"):
        ask.login(name, registries=accounts, region="eu-west-1")

    assert [call.params for call in cloud.calls if call.action == TOKEN] == [{}]


def test_another_environment_is_another_identity(ask: Asker, cloud: Cloud) -> None:
    other = ask.with_env(cloud.add_user("222222222222", "other").env())

    assert ask.login(OWN).detail != other.login(OWN).detail
    assert cloud.count(TOKEN) == 2


class TestRenewal:
    def test_a_token_is_used_again_while_it_holds(self, ask: Asker, cloud: Cloud) -> None:
        ask = replace(ask, clock=_clock())
        ask.login(OWN)
        _advance(ask, hours=11)
        ask.login(OWN)

        assert cloud.count(TOKEN) == 1

    def test_one_that_is_about_to_end_is_replaced(self, ask: Asker, cloud: Cloud) -> None:
        ask = replace(ask, clock=_clock())
        ask.login(OWN)
        _advance(ask, hours=11, minutes=52)
        cloud.passwords.clear()
        renewed = ask.login(OWN)

        assert cloud.count(TOKEN) == 2
        assert renewed.secret.reveal() == next(iter(cloud.passwords.values()))

    def test_one_that_lives_short_still_serves_all_who_ask_at_once(self, ask: Asker, cloud: Cloud) -> None:
        cloud.token_life = timedelta(minutes=6)
        ask = replace(ask, clock=_clock())
        ask.login(OWN)
        ask.login(registry("210987654321"))
        assert cloud.count(TOKEN) == 1
        _advance(ask, minutes=1)
        ask.login(OWN)

        assert cloud.count(TOKEN) == 2

    def test_one_that_has_ended_is_handed_on_with_its_end(self, ask: Asker, cloud: Cloud) -> None:
        # The host refuses it, and says why; what matters here is that the end is not made up.
        cloud.token_life = timedelta(hours=-1)

        expires_at = ask.login(OWN).expires_at

        assert expires_at is not None
        assert expires_at < datetime.now(UTC)


class TestFailure:
    def test_a_hundred_registries_cost_one_refusal(self, ask: Asker, cloud: Cloud) -> None:
        cloud.deny("arn:aws:iam::123456789012:user/ci", TOKEN)
        for number in range(100):
            with pytest.raises(CredentialError, match=f"^AWS denied {TOKEN} for {number:012}.dkr"):
                ask.get(registry(f"{number:012}"))

        assert cloud.count(TOKEN) == 1

    def test_it_is_tried_again_later(self, ask: Asker, cloud: Cloud) -> None:
        ask = replace(ask, clock=_clock())
        cloud.answer_with(TOKEN, {"authorizationData": []})
        with pytest.raises(CredentialError, match="holds no token"):
            ask.get(OWN)
        cloud.answer_with(TOKEN, None)
        _advance(ask, seconds=11)

        assert ask.login(OWN).username == "AWS"


class TestOwnRegistry:
    def test_it_is_the_caller_s_in_the_region_that_was_chosen(self, ask: Asker, cloud: Cloud) -> None:
        assert ask.registries(region="ap-south-1") == (registry("123456789012", "ap-south-1"),)
        ask.login(registry("123456789012", "ap-south-1"), region="ap-south-1")

        assert cloud.count(TOKEN) == 1

    def test_in_another_partition(self, nobody: Asker, cloud: Cloud) -> None:
        keys = cloud.add_user("123456789012", region="cn-north-1")

        found = nobody.with_env(keys.env(), AWS_REGION="cn-north-1").registries()

        assert found == ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",)

    def test_in_a_region_that_nobody_chose_ecr_is_not_asked(self, ask: Asker, cloud: Cloud) -> None:
        assert ask.registries() == ()
        assert cloud.calls == []

    def test_somebody_without_credentials_hears_it_at_once(self, nobody: Asker) -> None:
        with pytest.raises(CredentialsUnavailable, match="no AWS credentials for the caller's own registry"):
            nobody.registries()
        with pytest.raises(CredentialsUnavailable, match="no AWS credentials for the caller's own registry"):
            nobody.registries(region="us-east-1")

    def test_it_is_nobody_s_who_did_not_ask(self, ask: Asker, cloud: Cloud) -> None:
        assert ask.on_his_own().registries(region="us-east-1") == ()
        assert cloud.calls == []

    def test_it_is_nobody_s_when_every_account_has_a_role_of_its_own(self, nobody: Asker) -> None:
        assert (
            nobody.registries(role_arn=("111111111111=arn:aws:iam::111111111111:role/pull",), region="us-east-1") == ()
        )

    def test_a_role_that_is_none_is_said_at_once(self, nobody: Asker) -> None:
        with pytest.raises(UsageError, match="'pull' is no role"):
            nobody.registries(role_arn=("pull",), region="us-east-1")

    def test_a_stand_in_for_aws_names_no_registry_of_amazon_s(self, ask: Asker, cloud: Cloud) -> None:
        data = {"authorizationToken": "QVdTOng=", "expiresAt": 4e9, "proxyEndpoint": "http://localhost:4510"}
        cloud.answer_with(TOKEN, {"authorizationData": [data]})

        assert ask.registries(region="us-east-1") == ()


class TestPublic:
    def test_its_token_is_asked_in_us_east_1(self, ask: Asker, cloud: Cloud) -> None:
        ask = ask.with_env(AWS_REGION="eu-central-1")
        found = ask.login("public.ecr.aws", region="sa-east-1")

        assert found.username == "AWS"
        assert [call.region for call in cloud.calls if call.action == PUBLIC_TOKEN] == ["us-east-1"]
        assert ask.login("ecr-public.aws.com").secret == found.secret
        assert cloud.count(PUBLIC_TOKEN) == 1

    @pytest.mark.parametrize("action", [PUBLIC_TOKEN, "sts:GetServiceBearerToken"])
    @pytest.mark.parametrize("explicit", [True, False])
    def test_without_permission_it_is_pulled_from_anonymously(
        self, ask: Asker, cloud: Cloud, action: str, explicit: bool
    ) -> None:
        cloud.deny("arn:aws:iam::123456789012:user/ci", action)

        assert replace(ask, explicit=explicit).get("public.ecr.aws") is None
        assert cloud.count(PUBLIC_TOKEN) == 1

    def test_without_credentials_it_is_pulled_from_anonymously(self, nobody: Asker) -> None:
        assert nobody.on_his_own().get("public.ecr.aws") is None

    def test_one_who_named_it_hears_what_is_missing(self, ask: Asker, cloud: Cloud) -> None:
        cloud.deny("arn:aws:iam::123456789012:user/ci", "sts:GetServiceBearerToken")

        with pytest.raises(CredentialError, match="AWS denied sts:GetServiceBearerToken for public.ecr.aws"):
            ask.get("public.ecr.aws", registries=("public.ecr.aws",))
        with pytest.raises(CredentialError, match="AWS denied sts:GetServiceBearerToken for public.ecr.aws"):
            replace(ask, pinned=True).get("public.ecr.aws")


class TestCaller:
    def test_a_login_does_not_wait_for_its_name(self, ask: Asker, cloud: Cloud) -> None:
        cloud.hold_back("sts:GetCallerIdentity")

        found = ask.login(OWN)

        assert found.detail == f"the owner of access key {ask.env['AWS_ACCESS_KEY_ID']} via environment"

    def test_a_login_does_not_need_it(self, ask: Asker, cloud: Cloud) -> None:
        cloud.answer_with("sts:GetCallerIdentity", {})

        assert ask.login(OWN).detail.startswith("the owner of access key AKIA")


def test_a_registry_in_a_partition_that_it_cannot_be_in_gets_no_token(ask: Asker, cloud: Cloud) -> None:
    for name in ("123456789012.dkr.ecr.cn-north-1.amazonaws.com", "123456789012.dkr.ecr.moon-base-1.amazonaws.com"):
        with pytest.raises(CredentialError, match=f"{name} is no registry of Amazon's"):
            ask.get(name)
    assert cloud.calls == []


def test_a_foreign_registry_is_none_of_its_business(ask: Asker, cloud: Cloud) -> None:
    for name in ("docker.io", f"{OWN}.evil.example", "registry.example:5000"):
        assert ask.get(name, registries=("123456789012",)) is None
    assert cloud.calls == []


def test_a_long_password_arrives_whole(ask: Asker, cloud: Cloud, fresh_secret: Callable[[], str]) -> None:
    cloud.make_secret = lambda: "".join(fresh_secret() for _ in range(80))

    assert len(ask.login(OWN).secret.reveal()) == 80 * 48


def test_a_colon_in_the_password_stays(ask: Asker, cloud: Cloud, fresh_secret: Callable[[], str]) -> None:
    cloud.make_secret = lambda: f"{fresh_secret()}:{fresh_secret()}"

    assert ask.login(OWN).secret.reveal().count(":") == 1


def _clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))


def _advance(ask: Asker, **time: float) -> None:
    assert isinstance(ask.clock, FakeClock)
    ask.clock.advance(timedelta(**time).total_seconds())
