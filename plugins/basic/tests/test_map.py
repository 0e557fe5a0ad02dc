"""`BASIC_REGISTRIES`: many logins in one map."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_basic.logins import Entry, read_map
from ocibuild_core.plugin import CredentialError, CredentialsUnavailable, Match, OcibuildError, Secret, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from basic_support import Asker
    from ocibuild_basic.provider import BasicProvider


def test_every_way_to_write_an_entry(provider: BasicProvider, ask: Asker, tmp_path: Path) -> None:
    (tmp_path / "quay").write_bytes(b"from a file \xff\n")
    text = f"""
        short.example: alice:a:b
        Long.Example:443: {{user: bob, password: "in words"}}
        env.example:5000:
          user: {{env: THE_USER}}
          password: {{env: THE_PASSWORD}}
        https://file.example/v2/: {{user: org+robot, password: {{file: {tmp_path}/quay}}}}
        raw.example: {{user: 012, password: 1.10}}
    """
    env = {"THE_USER": "carol", "THE_PASSWORD": "from env\n"}
    expected = {
        "short.example": ("alice", "a:b"),
        "long.example": ("bob", "in words"),
        "env.example:5000": ("carol", "from env"),
        "file.example": ("org+robot", "from a file \udcff"),
        "raw.example": ("012", "1.10"),
    }

    assert list(provider.registries(ask.context(registries=text))) == list(expected)
    for registry, (user, password) in expected.items():
        credential = provider.get(ask.request(registry, registries=text, env=env, explicit=False))
        assert credential
        assert (credential.username, credential.secret.reveal()) == (user, password)
        assert credential.detail == f"user {user} from BASIC_REGISTRIES"
        assert provider.match(registry, ask.context(registries=text).options) is Match.SPECIFIC
    assert provider.get(ask.request("other.example", registries=text)) is None


_WORDS = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters=":"), min_size=1)
_HOSTS = st.from_regex(r"[a-z]{1,8}\.example(:5[0-9]{1,3})?", fullmatch=True)
_LOGINS = st.fixed_dictionaries({"user": _WORDS, "password": _WORDS})


@given(st.dictionaries(_HOSTS, _LOGINS, min_size=1))
def test_whatever_json_and_yaml_can_write_is_read(logins: dict[str, dict[str, str]]) -> None:
    import yaml

    for text in (json.dumps(logins), json.dumps(logins, ensure_ascii=False), yaml.safe_dump(logins)):
        assert {host: _plain(entry) for host, entry in read_map(Secret(text), "BASIC_REGISTRIES").items()} == logins


def _plain(entry: Entry) -> dict[str, str]:
    assert entry.password
    return {"user": entry.user.read({}, where="").reveal(), "password": entry.password.read({}, where="").reveal()}


def test_numbers_of_json_keep_their_text(provider: BasicProvider, ask: Asker) -> None:
    text = '{"r.example": {"user": 12, "password": 1.10}}'

    credential = provider.get(ask.request("r.example", registries=text))

    assert credential
    assert (credential.username, credential.secret.reveal()) == ("12", "1.10")


_SECRET = "Zq7secret"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (_SECRET, "it is not a map"),
        (f"[{_SECRET}]", "a list, an alias or a nested map stands where"),
        ("null", "it is not a map"),
        ("# nothing", "it is not a map"),
        (f"r.example: '{_SECRET}", "neither YAML nor JSON: line 1, column"),
        (f'r.example: "{_SECRET}\\U00110000"', "neither YAML nor JSON"),
        (f'r.example: "{_SECRET}\\UFFFFFFFF"', "neither YAML nor JSON"),
        ('{"r.example": ' + _SECRET, "neither YAML nor JSON: line 1, column"),
        ("[" * 50000, "line 1, column 1"),
        ("{a: " * 50000, "a list, an alias or a nested map stands where a text or a map belongs: line 1, column 13"),
        ('{"a": ' * 50000, "a list, an alias or a nested map stands where a text or a map belongs: line 1, column 19"),
        (f"r.example: [{_SECRET}]", "belongs: line 1, column 12"),
        (f'{{"r.example": [1, "{_SECRET}"]}}', "r.example has neither user:password nor a map"),
        (f"r.example: a:b\n---\nr.example: a:{_SECRET}", "a second document"),
        (f"a.example: &x a:{_SECRET}\nr.example: *x", "line 2, column 12"),
        ("r.example:", "must be user:password"),
        (f"r.example: {_SECRET}", "must be user:password"),
        (f"r.example: {{password: {_SECRET}}}", "r.example has no user"),
        (f"r.example: {{user: a, pasword: {_SECRET}}}", "it takes user and password, each once, and nothing else"),
        (f"r.example: {{user: a, {_SECRET}: b}}", "it takes user and password"),
        (f"r.example: {{user: a, user: b, password: {_SECRET}}}", "each once"),
        (f"r.example: {{user: a, password: [{_SECRET}]}}", "belongs: line 1, column 32"),
        ("r.example: {user: a, password: {env: X, file: Y}}", "neither a text nor"),
        ("r.example: {user: a, password: {env: ''}}", "neither a text nor"),
        (f"r.example: {{user: a, password: {{text: {_SECRET}}}}}", "it takes env and file"),
        (f"{_SECRET} x: a:b", "the key of entry 1 is no registry's host"),
        (f"a:{_SECRET}@r.example: b:c", "the key of entry 1 is no registry's host"),
        ("? [r.example]\n: a:b", "line 1, column 3"),
        (f"r.example: a:{_SECRET}\nR.EXAMPLE:443: c:d", "it names r.example twice"),
        (f"r.example/one: a:{_SECRET}\nr.example/two: c:d", "it names r.example twice; paths do not part them"),
        (f'{{"r.example": "a:b", "r.example": "c:{_SECRET}"}}', "it names r.example twice"),
    ],
)
def test_a_map_that_is_wrong_is_refused_without_showing_it(
    provider: BasicProvider, ask: Asker, text: str, why: str
) -> None:
    for question in (
        lambda: provider.registries(ask.context(registries=text)),
        lambda: provider.get(ask.request("r.example", registries=text)),
    ):
        with pytest.raises(OcibuildError) as caught:
            question()
        assert "BASIC_REGISTRIES" in str(caught.value)
        assert why in str(caught.value)
        assert _SECRET not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert provider.match("r.example", ask.context(registries=text).options) is Match.GENERIC


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    try:
        read_map(Secret(text), "BASIC_REGISTRIES")
    except (UsageError, CredentialError) as error:
        assert "BASIC_REGISTRIES" in str(error)  # noqa: PT017  # a few texts are maps


def test_a_variable_that_is_not_set_is_named(provider: BasicProvider, ask: Asker) -> None:
    text = "r.example: {user: a, password: {env: NO_SUCH}}"

    with pytest.raises(CredentialsUnavailable, match=r"r\.example: the environment variable NO_SUCH is not set"):
        provider.get(ask.request("r.example", registries=text))


def test_a_file_that_cannot_be_read_is_named(provider: BasicProvider, ask: Asker, tmp_path: Path) -> None:
    for name in (str(tmp_path / "missing"), str(tmp_path), "nul\\0"):
        text = f'r.example: {{user: a, password: {{file: "{name}"}}}}'
        with pytest.raises(CredentialError, match=r"BASIC_REGISTRIES, r\.example: cannot read"):
            provider.get(ask.request("r.example", registries=text))


def test_a_file_that_is_too_long_is_refused(provider: BasicProvider, ask: Asker, tmp_path: Path) -> None:
    long = tmp_path / "long"
    text = f"r.example: {{user: a, password: {{file: {long}}}}}"

    long.write_text("x" * 65536 + "\n")
    assert provider.get(ask.request("r.example", registries=text))
    long.write_text("x" * 65537 + "\n")
    with pytest.raises(CredentialError, match="longer than 64 KiB"):
        provider.get(ask.request("r.example", registries=text))


def test_a_path_in_a_key_is_dropped_with_a_warning(
    provider: BasicProvider, ask: Asker, caplog: pytest.LogCaptureFixture
) -> None:
    text = "quay.io/team: a:b\nother.example/x: a:b"

    assert provider.get(ask.request("quay.io", registries=text))
    assert caplog.messages == ["BASIC_REGISTRIES: /team is ignored, as BuildKit has one login for all of quay.io"]


def test_a_hundred_questions_parse_it_once(provider: BasicProvider, ask: Asker) -> None:
    text = "\n".join(f"r{number}.example: a:b" for number in range(200))
    options = ask.context(registries=text).options

    read_map.cache_clear()
    assert all(provider.match(f"r{number}.example", options) is Match.SPECIFIC for number in range(100))
    assert read_map.cache_info().misses == 1
