"""The same against moto, which others wrote: tokens of several accounts, and STS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fake_aws.asking import Asker
from moto.server import ThreadedMotoServer
from ocibuild_testkit.clock import FakeClock

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "moto-takes-any"}


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def ask(nobody: Asker, moto: str) -> Asker:
    # moto's tokens end in January 2015.
    return replace(nobody.with_env(KEYS, AWS_ENDPOINT_URL=moto), clock=FakeClock(datetime(2015, 1, 1, tzinfo=UTC)))


def test_a_token_of_the_own_account(ask: Asker) -> None:
    found = ask.login("123456789012.dkr.ecr.us-east-1.amazonaws.com")

    assert (found.username, found.secret.reveal()) == ("AWS", "123456789012-auth-token")
    assert found.expires_at == datetime(2015, 1, 1, tzinfo=UTC)
    assert found.detail.startswith("arn:aws:sts::123456789012:user/moto via environment")


def test_a_token_of_another_account_through_a_role(ask: Asker) -> None:
    role = "arn:aws:iam::222222222222:role/pull"

    found = ask.login("222222222222.dkr.ecr.us-east-1.amazonaws.com", role_arn=(role,))

    assert found.secret.reveal() == "222222222222-auth-token"
    assert found.detail.startswith("arn:aws:sts::222222222222:assumed-role/pull/ocibuild via environment")


def test_tokens_of_several_accounts_in_several_regions(ask: Asker) -> None:
    roles = tuple(f"{account}=arn:aws:iam::{account}:role/pull" for account in ("222222222222", "333333333333"))

    found = {
        ask.login(f"{account}.dkr.ecr.{region}.amazonaws.com", role_arn=roles).secret.reveal()
        for account in ("123456789012", "222222222222", "333333333333")
        for region in ("us-east-1", "eu-central-1")
    }

    assert found == {f"{one}-auth-token" for one in ("123456789012", "222222222222", "333333333333")}


def test_the_own_registry_is_the_one_that_it_names(ask: Asker) -> None:
    assert ask.registries(region="eu-central-1") == ("123456789012.dkr.ecr.eu-central-1.amazonaws.com",)


def test_more_than_ten_accounts(ask: Asker) -> None:
    accounts = tuple(f"{number:012}" for number in range(1, 13))
    names = ask.registries(registries=accounts, region="us-east-1")

    assert len({ask.login(name, registries=accounts, region="us-east-1").secret.reveal() for name in names}) == 1
