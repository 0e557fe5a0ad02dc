"""Each credential is fetched once, kept, and renewed in time; nobody waits for anybody else."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.auth.answers import Answer
from ocibuild_core.auth.deciding import RENEWAL_MARGIN
from ocibuild_core.errors import CredentialError, CredentialsUnavailable, Failures, OcibuildError
from ocibuild_core.plugin import Credential, CredentialRequest, Match
from support.auth_parts import Teller, credential, resolver_of
from support.timing import within

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocibuild_testkit.clock import FakeClock

HOST = "r.example"


def living(clock: FakeClock, **life: float) -> Callable[[CredentialRequest], Credential]:
    """Answers with credentials that live so long from each call on, numbered."""
    numbers = iter(range(1, 1000))
    return lambda _: credential(f"u{next(numbers)}", expires_at=clock.now() + timedelta(**life))


def user(answer: Answer | OcibuildError) -> str:
    assert isinstance(answer, Answer), answer
    assert answer.credential
    return answer.credential.username


def test_a_credential_without_an_end_is_fetched_once() -> None:
    teller = Teller("a", credential())
    resolver = resolver_of(teller)
    for spelling in (HOST, HOST.upper(), f"{HOST}:443", f"https://{HOST}/v2/"):
        resolver.resolve(spelling)
    assert teller.asked == [HOST]


def test_no_credential_is_found_once_too() -> None:
    teller = Teller("a", None)
    resolver = resolver_of(teller)
    assert [resolver.resolve(HOST).credential for _ in range(3)] == [None] * 3
    assert len(teller.asked) == 1


def test_a_credential_is_renewed_five_and_a_half_minutes_before_its_end(fake_clock: FakeClock) -> None:
    teller = Teller("a", living(fake_clock, hours=1))
    resolver = resolver_of(teller, clock=fake_clock)
    assert user(resolver.resolve(HOST)) == "u1"
    fake_clock.advance(3600 - RENEWAL_MARGIN - 1)
    assert user(resolver.resolve(HOST)) == "u1"
    fake_clock.advance(1)
    assert user(resolver.resolve(HOST)) == "u2"
    assert len(teller.asked) == 2


def test_whatever_is_handed_out_lives_five_and_a_half_minutes_more(fake_clock: FakeClock) -> None:
    resolver = resolver_of(Teller("a", living(fake_clock, minutes=40)), clock=fake_clock)
    for _ in range(100):
        answer = resolver.resolve(HOST)
        assert answer.credential
        assert answer.credential.expires_at
        assert answer.credential.expires_at - fake_clock.now() >= timedelta(seconds=RENEWAL_MARGIN - 1)
        fake_clock.advance(47)


def test_one_that_lives_shorter_is_handed_out_with_one_warning(
    fake_clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    resolver = resolver_of(Teller("a", living(fake_clock, minutes=2)), clock=fake_clock)
    for _ in range(3):
        resolver.resolve(HOST)
        fake_clock.advance(60)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "ends in 2.0 min, but BuildKit may use it for 5 min" in record.getMessage()


def test_one_that_lives_under_half_an_hour_gets_a_warning_that_it_is_renewed(
    fake_clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    resolver = resolver_of(Teller("a", living(fake_clock, minutes=29)), clock=fake_clock)
    resolver.resolve(HOST)
    assert [record.getMessage() for record in caplog.records] == [
        "r.example: the credential of plugin 'a' (dist-a 1.2.3) ends in 29.0 min; a running build renews it"
    ]


def test_half_an_hour_is_no_warning(fake_clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    resolver_of(Teller("a", living(fake_clock, minutes=30)), clock=fake_clock).resolve(HOST)
    assert caplog.records == []


def test_one_that_has_ended_already_is_an_error_of_a_named_provider(fake_clock: FakeClock) -> None:
    resolver = resolver_of(Teller("a", living(fake_clock, seconds=0)), login=["a"], clock=fake_clock)
    with pytest.raises(CredentialError) as caught:
        resolver.resolve(HOST)
    assert "expired at 2030-01-02T03:04:05+00:00" in str(caught.value)
    assert "clock" in str(caught.value)


def test_one_that_has_ended_already_is_passed_over_when_automatic(fake_clock: FakeClock) -> None:
    resolver = resolver_of(Teller("a", living(fake_clock, seconds=-5)), clock=fake_clock)
    assert resolver.resolve(HOST).credential is None


def test_a_renewal_asks_the_same_one_so_that_the_identity_stays(fake_clock: FakeClock) -> None:
    states = iter([None, None])
    flaky = Teller("a", lambda _: next(states), match=Match.GENERIC)
    steady = Teller("b", living(fake_clock, hours=1), match=Match.GENERIC)
    resolver = resolver_of(flaky, steady, clock=fake_clock)
    resolver.resolve(HOST)
    fake_clock.advance(3500)
    assert user(resolver.resolve(HOST)) == "u2"
    assert len(flaky.asked) == 1


@pytest.mark.parametrize("failure", [CredentialError("the service is down"), None])
def test_a_failed_renewal_is_borne_while_the_old_one_lives(
    failure: object, fake_clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    answers = iter([credential("old", expires_at=fake_clock.now() + timedelta(hours=1)), failure, failure])
    resolver = resolver_of(Teller("a", lambda _: next(answers)), login=["a"], clock=fake_clock)
    resolver.resolve(HOST)
    fake_clock.advance(3500)
    assert user(resolver.resolve(HOST)) == "old"
    assert "not renewed" in caplog.text
    fake_clock.advance(100)
    with pytest.raises(CredentialError):
        resolver.resolve(HOST)
    assert list(resolver.failures) == [HOST]


def test_a_failure_is_not_kept() -> None:
    answers = iter([CredentialError("once"), credential("then")])
    resolver = resolver_of(Teller("a", lambda _: next(answers)), login=["a"])
    with pytest.raises(CredentialError):
        resolver.resolve(HOST)
    assert list(resolver.failures) == [HOST]
    assert user(resolver.resolve(HOST)) == "then"
    assert resolver.failures == {}


def test_any_number_of_askers_at_once_cost_one_call() -> None:
    gate = threading.Event()
    teller = Teller("a", lambda _: credential() if gate.wait(10) else None)
    resolver = resolver_of(teller, timeout=20)
    found: list[Answer] = []
    threads = [threading.Thread(target=lambda: found.append(resolver.resolve(HOST))) for _ in range(50)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert len(found) == 50
    assert len({id(answer) for answer in found}) == 1
    assert teller.asked == [HOST]


def test_askers_at_once_share_a_failure() -> None:
    gate = threading.Event()

    def fail(request: CredentialRequest) -> Credential | None:
        gate.wait(10)
        raise CredentialError(f"no {request.registry}")

    teller = Teller("a", fail)
    resolver = resolver_of(teller, login=["a"], timeout=20)
    threads = [threading.Thread(target=resolver.explain, args=(HOST,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    while not teller.asked:
        time.sleep(0.001)
    time.sleep(0.05)
    gate.set()
    for thread in threads:
        thread.join()
    assert len(teller.asked) == 1


def test_registries_are_asked_side_by_side() -> None:
    """None of 100 questions to 5 providers is answered before all of them are asked."""
    all_asked = threading.Barrier(100)

    def with_all_others(request: CredentialRequest) -> Credential:
        del request
        all_asked.wait(60)
        return credential()

    tellers = [Teller(f"p{n}", with_all_others, match={f"*.p{n}.example": Match.SPECIFIC}) for n in range(5)]
    resolver = resolver_of(*tellers, timeout=90)
    answers = resolver.require([f"r{n}.p{n % 5}.example" for n in range(100)])
    assert all(answer.credential for answer in answers.values())
    assert sum(len(teller.asked) for teller in tellers) == 100


def test_a_hundred_registries_take_little_more_than_the_slowest_provider() -> None:
    """100 registries of 5 providers in at most 1.5 times what the slowest provider takes."""
    slowest = 1.0

    def slowly(request: CredentialRequest) -> Credential:
        number = int(request.registry.split(".")[1].removeprefix("p"))
        time.sleep(slowest * (number + 1) / 5)
        return credential()

    tellers = [Teller(f"p{n}", slowly, match={f"*.p{n}.example": Match.SPECIFIC}) for n in range(5)]
    registries = [f"r{n}.p{n % 5}.example" for n in range(100)]
    answers = within(1.5 * slowest, lambda: resolver_of(*tellers).require(registries))
    assert all(answer.credential for answer in answers.values())


def test_one_that_hangs_is_left_behind_at_its_deadline() -> None:
    never = threading.Event()
    hanging = Teller("a", lambda _: never.wait(), match={"a.example": Match.SPECIFIC})
    quick = Teller("b", credential("b"), match={"b.example": Match.SPECIFIC})
    resolver = resolver_of(hanging, quick, login=["a,b"], timeout=0.3)
    with pytest.raises(CredentialError, match=r"no answer for a.example within 0.3 s") as caught:
        resolver.require(["a.example", "b.example"])
    assert not never.is_set()
    assert "--login-timeout" in str(caught.value)
    assert resolver.hung == ("plugin 'a' (dist-a 1.2.3): get for a.example",)
    assert user(resolver.resolve("b.example")) == "b"
    never.set()


def test_a_provider_knows_when_its_time_is_over(fake_clock: FakeClock) -> None:
    teller = Teller("a", credential())
    resolver_of(teller, timeout=7, clock=fake_clock).resolve(HOST)
    assert teller.requests[0].remaining() == 7
    fake_clock.advance(5)
    assert teller.requests[0].remaining() == 2


def test_all_that_hang_are_told_at_once() -> None:
    never = threading.Event()
    tellers = [Teller(n, lambda _: never.wait(), match={f"{n}.example": Match.SPECIFIC}) for n in ("a", "b", "c")]
    with pytest.raises(Failures) as caught:
        resolver_of(*tellers, login=["a,b,c"], timeout=0.3).require(["a.example", "b.example", "c.example"])
    assert len(caught.value.errors) == 3
    assert all(teller.asked for teller in tellers)
    never.set()


def test_one_that_hangs_does_not_keep_the_process_alive() -> None:
    program = """
import threading, sys
from support.auth_parts import Teller, resolver_of
from ocibuild_core.plugin import Match
never = threading.Event()
resolver = resolver_of(Teller("a", lambda _: never.wait()), login=["a"], timeout=0.2)
print(type(resolver.explain("r.example")).__name__, flush=True)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False, cwd="tests"
    )
    assert (ended.returncode, ended.stdout) == (0, "CredentialError\n"), ended.stderr


def test_secrets_are_learned_before_they_are_handed_out(fake_clock: FakeClock) -> None:
    learned: list[Credential] = []
    teller = Teller("a", living(fake_clock, hours=1))
    resolver = resolver_of(teller, clock=fake_clock, learned=learned.append)
    for _ in range(2):
        assert resolver.resolve(HOST).credential is learned[-1]
        fake_clock.advance(3500)
    assert len(learned) == 2


@pytest.mark.parametrize("name", ["", "not a host", "unix:///x", "user@host"])
def test_what_is_no_registry_is_refused(name: str) -> None:
    with pytest.raises(CredentialError, match="is no registry"):
        resolver_of().resolve(name)


def test_what_the_user_named_can_be_asked_for() -> None:
    teller = Teller("a", credential(), names=["b.example", "a.example"])
    resolver = resolver_of(teller, login=["a", "a=pinned.example", "a=*.glob.example"])
    assert resolver.owed() == ("pinned.example", "a.example", "b.example")
    assert teller.named == 1


def test_options_are_asked_for_their_registries_once() -> None:
    teller = Teller("a", None, match=Match.GENERIC, names=["named.example"])
    resolver = resolver_of(teller, login=["a"])
    with pytest.raises(CredentialsUnavailable):
        resolver.require([f"r{n}.example" for n in range(10)])
    assert teller.named == 1
