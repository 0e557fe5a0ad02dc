"""The clock, the host's side of a provider, the docker home."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ocibuild_core.plugin import (
    AuthProvider,
    Clock,
    Credential,
    CredentialError,
    CredentialRequest,
    Match,
    Option,
    OptionValues,
    ProviderContext,
    Secret,
)

from ocibuild_testkit.broker import ProviderBroker, ProviderFaultError
from ocibuild_testkit.clock import FakeClock
from ocibuild_testkit.docker_home import DockerHome, HelperCall


def test_both_times_of_the_clock_move_together(fake_clock: FakeClock) -> None:
    clock: Clock = fake_clock
    now, monotonic = clock.now(), clock.monotonic()

    fake_clock.advance(90.5)

    assert clock.now() - now == timedelta(seconds=90.5)
    assert clock.monotonic() - monotonic == 90.5
    assert now.tzinfo is UTC


def test_a_wall_clock_that_is_put_right_moves_no_deadline(fake_clock: FakeClock) -> None:
    monotonic = fake_clock.monotonic()
    fake_clock.set_now(datetime(2031, 1, 1, tzinfo=UTC))
    fake_clock.advance(1)
    assert fake_clock.now() == datetime(2031, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert fake_clock.monotonic() == monotonic + 1


def test_the_clock_refuses_what_no_clock_does() -> None:
    with pytest.raises(ValueError, match="time does not go back"):
        FakeClock().advance(-1)
    with pytest.raises(ValueError, match="time zone"):
        FakeClock(datetime(2030, 1, 1))  # noqa: DTZ001  # refused for that


class Teller(AuthProvider):
    name = "teller"
    summary = "Tells what it is given to tell."
    options = (Option(name="host", help="The registry", default="r.example"),)

    def __init__(self, tell: Callable[[CredentialRequest], object]) -> None:
        self.tell = tell
        self.asked = 0

    def match(self, registry: str, options: OptionValues) -> Match:
        return Match.SPECIFIC if registry == options.text("host") else Match.NO

    def registries(self, context: ProviderContext) -> tuple[str, ...]:
        return (str(context.options.text("host")),)

    def get(self, request: CredentialRequest) -> Credential | None:
        self.asked += 1
        return self.tell(request)  # type: ignore[return-value]  # what a broken provider returns, too


def credential(expires_at: datetime | None = None) -> Credential:
    return Credential(username="u", secret=Secret("long-enough"), expires_at=expires_at)


def test_the_broker_asks_once_and_renews_in_time(broker: type[ProviderBroker], fake_clock: FakeClock) -> None:
    teller = Teller(lambda request: credential(request.clock.now() + timedelta(hours=1)))
    host = broker(teller, clock=fake_clock)

    first = host.get("R.example:443")
    fake_clock.advance(54 * 60)
    assert host.get("r.example") is first
    fake_clock.advance(60)
    assert host.get("r.example") is not first
    assert teller.asked == 2


def test_the_broker_asks_for_what_is_matched_alone(broker: type[ProviderBroker]) -> None:
    teller = Teller(lambda _: credential())
    host = broker(teller, options={"host": "s.example"})
    assert host.get("r.example") is None
    assert teller.asked == 0
    assert host.registries() == ("s.example",)
    assert host.options.origin("host") == "the test's 'host'"


def test_the_broker_hands_on_the_surroundings(broker: type[ProviderBroker], fake_clock: FakeClock) -> None:
    seen: list[CredentialRequest] = []
    teller = Teller(seen.append)
    assert broker(teller, env={"A": "b"}, clock=fake_clock, timeout=5, explicit=False).get("r.example") is None
    (request,) = seen
    assert (request.env, request.remaining(), request.explicit) == ({"A": "b"}, 5, False)


def test_the_broker_blames_what_breaks_the_contract(broker: type[ProviderBroker]) -> None:
    with pytest.raises(ProviderFaultError, match="get returned str, not Credential"):
        broker(Teller(lambda _: "password")).get("r.example")
    with pytest.raises(ValueError, match="no option is called 'hots'; there are: host"):
        broker(Teller(lambda _: None), options={"hots": "x"})
    released = threading.Event()
    with pytest.raises(ProviderFaultError, match=r"get did not come back within 0\.1 s"):
        broker(Teller(lambda _: released.wait(30)), timeout=0.1).get("r.example")
    released.set()


def test_the_broker_lets_the_providers_errors_out(broker: type[ProviderBroker]) -> None:
    def refuse(request: CredentialRequest) -> object:
        raise CredentialError(f"refused for {request.registry}")

    with pytest.raises(CredentialError, match=r"refused for r\.example"):
        broker(Teller(refuse)).get("r.example")


def test_a_docker_home_holds_what_docker_writes(docker_home: DockerHome, fresh_secret: Callable[[], str]) -> None:
    password, token = fresh_secret(), fresh_secret()

    docker_home.auth("r.example", "alice", password).identity_token("s.example", token).set("credsStore", "mine")

    config = json.loads((docker_home.path / ".docker" / "config.json").read_text())
    assert set(config["auths"]) == {"r.example", "s.example"}
    assert config["auths"]["s.example"]["identitytoken"] == token
    assert config["credsStore"] == "mine"
    assert docker_home.config_file.stat().st_mode & 0o777 == 0o600


def call_helper(home: DockerHome, verb: str, given: str) -> tuple[int, str]:
    result = subprocess.run(
        ["docker-credential-mine", verb], input=given, env=home.env(), capture_output=True, text=True, check=False
    )
    assert not result.stderr
    return result.returncode, result.stdout.strip()


def test_a_helper_of_the_home_speaks_the_protocol(docker_home: DockerHome, fresh_secret: Callable[[], str]) -> None:
    password, other = fresh_secret(), fresh_secret()
    docker_home.helper("mine", {"r.example": ("alice", password)}, answers_for=("r.example",), is_store=True)

    code, answer = call_helper(docker_home, "get", "r.example\n")
    assert (code, json.loads(answer)) == (0, {"ServerURL": "r.example", "Username": "alice", "Secret": password})
    assert call_helper(docker_home, "get", "s.example") == (1, "credentials not found in native keychain")
    new = json.dumps({"ServerURL": "s.example", "Username": "bob", "Secret": other})
    assert call_helper(docker_home, "store", new) == (0, "")
    assert json.loads(call_helper(docker_home, "list", "unused")[1]) == {"r.example": "alice", "s.example": "bob"}
    assert call_helper(docker_home, "erase", "r.example") == (0, "")
    assert call_helper(docker_home, "get", "r.example")[0] == 1
    assert docker_home.config == {"credHelpers": {"r.example": "mine"}, "credsStore": "mine"}
    assert docker_home.calls("mine")[:3] == (
        HelperCall(verb="get", server="r.example"),
        HelperCall(verb="get", server="s.example"),
        HelperCall(verb="store", server="s.example"),
    )


def test_a_helper_can_be_any_program(docker_home: DockerHome) -> None:
    docker_home.script("mine", "#!/bin/sh\necho broken\nexit 3\n")
    assert call_helper(docker_home, "get", "r.example") == (3, "broken")


def test_a_broken_config_is_written_as_it_is(docker_home: DockerHome, tmp_path: Path) -> None:
    docker_home.write('{"auths": ')
    assert (tmp_path / "docker-home" / ".docker" / "config.json").read_text() == '{"auths": '
