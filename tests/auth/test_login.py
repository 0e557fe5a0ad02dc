"""What the user says about logins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.auth.login import LoginItem, Pin, parse_login, pins_of
from ocibuild_core.errors import UsageError
from ocibuild_core.settings.documents import SettingsFile


def test_names_come_in_any_case_in_lists_and_with_spaces() -> None:
    settings = parse_login(["ECR, pass", "", " ,basic"], origin="LOGIN")
    assert [item.name for item in settings.items] == ["ecr", "pass", "basic"]
    assert settings.items[0] == LoginItem(name="ecr", origin="LOGIN")
    assert settings.automatic


def test_a_name_counts_once() -> None:
    assert [item.name for item in parse_login(["a", "b,A"]).items] == ["a", "b"]


@pytest.mark.parametrize("spelling", ["none", "None", " NONE "])
def test_none_switches_automatic_logins_off_and_names_nobody(spelling: str) -> None:
    settings = parse_login([spelling])
    assert not settings.automatic
    assert settings.items == ()


def test_none_may_stand_beside_a_name() -> None:
    settings = parse_login(["none,a"])
    assert (settings.automatic, settings.items[0].name) == (False, "a")


def test_a_name_with_a_pattern_is_a_pin() -> None:
    settings = parse_login(["a=*.Example", "b=https://index.docker.io/v1/"])
    assert settings.pins == (
        Pin(glob="*.example", name="a", origin="--login"),
        Pin(glob="docker.io", name="b", origin="--login"),
    )
    assert settings.items == ()


def test_pins_come_from_a_file_of_settings_too() -> None:
    settings = parse_login(registries={"R.example": "A"}, registries_origin="own.yml: registries")
    assert settings.pins == (Pin(glob="r.example", name="a", origin="own.yml: registries"),)


def test_a_pin_on_the_command_line_replaces_the_files() -> None:
    settings = parse_login(["a=r.example"], registries={"r.example": "b", "s.example": "b"})
    assert {pin.glob: pin.name for pin in settings.pins} == {"r.example": "a", "s.example": "b"}


@pytest.mark.parametrize("login", [["a=r.example", "b=R.example:443"], ["a=docker.io,b=https://index.docker.io/v1/"]])
def test_two_identities_for_one_registry_are_refused(login: list[str]) -> None:
    with pytest.raises(UsageError, match="two logins for") as caught:
        parse_login(login)
    assert "'a'" in str(caught.value)
    assert "'b'" in str(caught.value)


def test_the_longest_pattern_wins() -> None:
    settings = parse_login(["a=*", "b=*.example", "c=*.team.example", "d=x.example"])
    pinned = {host: settings.pin_for(host) for host in ("y.team.example", "y.example", "x.example", "z:5000")}
    assert {host: pin.name for host, pin in pinned.items() if pin} == {
        "y.team.example": "c",
        "y.example": "b",
        "x.example": "d",
        "z:5000": "a",
    }


def test_a_whole_name_wins_over_a_longer_pattern() -> None:
    settings = parse_login(["a=*********.example", "b=x.example"])
    pin = settings.pin_for("x.example")
    assert pin is not None
    assert pin.name == "b"


def test_no_pin_no_match() -> None:
    assert parse_login(["a=x.example"]).pin_for("x.example:5000") is None


@given(order=st.permutations(["a=*.example", "b=r.*", "c=r.e*"]))
def test_which_pin_wins_does_not_hang_on_the_order(order: list[str]) -> None:
    assert parse_login(order).pin_for("r.example") == parse_login(sorted(order)).pin_for("r.example")


@pytest.mark.parametrize("item", ["hunter2!", "user:hunter2", "=r.example", "ecr region", "-x"])
def test_what_is_no_name_is_refused_and_not_repeated(item: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_login([item], origin="LOGIN")
    assert "hunter2" not in str(caught.value)
    assert "LOGIN" in str(caught.value)


@pytest.mark.parametrize("timeout", [0, -1.0])
def test_no_time_at_all_is_refused(timeout: float) -> None:
    with pytest.raises(UsageError, match="--login-timeout"):
        parse_login(timeout=timeout)


def test_every_name_is_known_with_its_origin() -> None:
    settings = parse_login(["a,b=r.example"], origin="LOGIN", registries={"s.example": "c"})
    assert settings.names() == {"a": "LOGIN", "b": "LOGIN", "c": "registries"}


def test_the_first_file_that_has_pins_holds() -> None:
    files = [_file("near"), _file("own", {"*.example": "basic", 5000: "ecr"}), _file("other", {"a.example": "gcr"})]
    assert pins_of(files) == ({"*.example": "basic", "5000": "ecr"}, "own: registries")
    assert pins_of(files[:1]) == ({}, "registries")


@pytest.mark.parametrize("pins", [["basic"], "basic", {"r.example": ["basic"]}, {"r.example": None}])
def test_pins_that_are_no_mapping_are_refused_by_the_files_name(pins: object) -> None:
    with pytest.raises(UsageError, match=r"^own: registries: a mapping of host pattern to provider is expected"):
        pins_of([_file("own", pins), _file("other", {"a.example": "gcr"})])


def _file(name: str, pins: object = None) -> SettingsFile:
    return SettingsFile(name=name, trusted=True, values={} if pins is None else {"registries": pins})
