"""`LOGIN=PASS` with `PASS` and `REG_URL`."""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_basic.logins import split_pass, written_credential
from ocibuild_core.plugin import CredentialError, CredentialsUnavailable, Match, OcibuildError, Secret, UsageError

if TYPE_CHECKING:
    from basic_support import Asker
    from ocibuild_basic.provider import BasicProvider

HUB = "docker.io"


@pytest.mark.parametrize(
    ("text", "user", "password"),
    [
        pytest.param("alice:secret", "alice", "secret", id="plain"),
        pytest.param("alice:a:b::c", "alice", "a:b::c", id="colons in the password: the first one parts"),
        pytest.param("alice: a b ", "alice", " a b ", id="spaces of the password are kept"),
        pytest.param("alice:secret\n", "alice", "secret", id="a trailing newline"),
        pytest.param("alice:secret\r\n", "alice", "secret", id="a trailing CR LF"),
        pytest.param("org+robot$x:t", "org+robot$x", "t", id="nothing is decoded or expanded"),
        pytest.param("alice:pässwörd €", "alice", "pässwörd €", id="non-ASCII"),
        pytest.param("alice:\udcff\udc80", "alice", "\udcff\udc80", id="bytes that are no UTF-8"),
        pytest.param("_json_key:{\n 1\n}\n", "_json_key", "{\n 1\n}", id="a key file keeps its lines"),
        pytest.param("AWS:" + "x" * 65536, "AWS", "x" * 65536, id="64 KiB"),
    ],
)
def test_pass_gives_user_and_password(provider: BasicProvider, ask: Asker, text: str, user: str, password: str) -> None:
    credential = provider.get(ask.request(HUB, pass_=text))

    assert credential
    assert credential.username == user
    assert credential.secret.reveal() == password
    assert credential.detail == f"user {user} from PASS"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("alicesecret", "PASS must be user:password", id="no colon"),
        pytest.param(":secret", "user name is empty", id="empty user"),
        pytest.param("alice:", "password is empty", id="empty password: BuildKit would go anonymous"),
        pytest.param("alice:\n", "password is empty", id="a line end is no password"),
        pytest.param("ali ce:secret", "white space or a control character", id="space in the user"),
        pytest.param(" alice:secret", "white space or a control character", id="space before the user"),
        pytest.param("ali\x07ce:secret", "white space or a control character", id="control character in the user"),
        pytest.param("alice:sec\nret", "line end", id="newline within"),
        pytest.param("alice:secret\n\n", "line end", id="exactly one newline is taken off"),
        pytest.param("_json_key_base64:sec\nret", "line end", id="only a key file has lines"),
        pytest.param("alice:" + "secret" * 11000, "longer than 64 KiB", id="too long"),
        pytest.param("alice:secret\ud800", "surrogate", id="half of a surrogate pair"),
        pytest.param("", "LOGIN=PASS but PASS is empty", id="empty, as an unset variable of Concourse arrives"),
        pytest.param(" \n\t", "LOGIN=PASS but PASS is empty", id="white space"),
    ],
)
def test_a_bad_pass_is_an_error_that_does_not_show_it(
    provider: BasicProvider, ask: Asker, text: str, says: str
) -> None:
    given = {"pass_": text} if text else {}

    with pytest.raises(CredentialError) as caught:
        provider.get(ask.request(HUB, named_as="pass", **given))

    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_stripped_line_end_is_said_once(
    provider: BasicProvider, ask: Asker, caplog: pytest.LogCaptureFixture
) -> None:
    provider.get(ask.request(HUB, pass_="alice:secret\n"))
    provider.get(ask.request(HUB, pass_="alice:secret\n"))

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "PASS ends with a line end" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("text", ['"alice:secret"', "'alice:secret'\n"])
def test_quotation_marks_that_were_left_there_are_taken_as_they_are_and_warned_of(
    provider: BasicProvider, ask: Asker, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    found = provider.get(ask.request(HUB, pass_=text))

    assert found
    assert f"{found.username}:{found.secret.reveal()}" == text.rstrip("\n")
    assert "PASS stands in quotation marks" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("text", ['alice:"secret"', "\"alice:secret'", "alice:'"])
def test_other_quotation_marks_are_nobodys_business(
    provider: BasicProvider, ask: Asker, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    assert provider.get(ask.request(HUB, pass_=text))
    assert caplog.records == []


@given(
    user=st.text(
        st.characters(exclude_categories=["C", "Z"], exclude_characters=":"),
        min_size=1,
    ),
    password=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1),
)
def test_any_user_and_password_survive(user: str, password: str) -> None:
    credential = written_credential(*split_pass(Secret(f"{user}:{password}"), "PASS"), registry=HUB, origin="PASS")

    wire = base64.b64encode(f"{credential.username}:{credential.secret.reveal()}".encode())
    assert base64.b64decode(wire).decode() == f"{user}:{password}"


@given(st.text())
def test_no_text_breaks_it_or_is_shown(text: str) -> None:
    marked = Secret(f"{text[:2]}Zq7{text}")
    try:
        written_credential(*split_pass(marked, "PASS"), registry=HUB, origin="PASS")
    except CredentialError as error:
        assert "Zq7" not in str(error)  # noqa: PT017  # most texts are fine


@pytest.mark.parametrize(
    ("url", "registry"),
    [
        ("docker.io", HUB),
        ("index.docker.io", HUB),
        ("registry-1.docker.io", HUB),
        ("https://index.docker.io/v1", HUB),
        ("https://index.docker.io/v1/", HUB),
        ("https://r.example/v2/", "r.example"),
        ("http://r.example:5000", "r.example:5000"),
        ("R.Example", "r.example"),
        ("r.example:443", "r.example"),
        ("localhost:5077", "localhost:5077"),
        ("[::1]:5000", "[::1]:5000"),
    ],
)
def test_reg_url_names_the_registry_in_any_spelling(
    provider: BasicProvider, ask: Asker, caplog: pytest.LogCaptureFixture, url: str, registry: str
) -> None:
    given = {"pass_": "alice:secret", "registry": url}

    assert list(provider.registries(ask.context(**given))) == [registry]
    assert provider.get(ask.request(registry, **given))
    assert provider.get(ask.request("other.example", **given)) is None
    assert not caplog.records


def test_without_reg_url_it_is_docker_hub(provider: BasicProvider, ask: Asker) -> None:
    assert list(provider.registries(ask.context(pass_="alice:secret"))) == [HUB]
    assert provider.get(ask.request("r.example", pass_="alice:secret")) is None


def test_a_path_is_dropped_from_reg_url_with_a_warning(
    provider: BasicProvider, ask: Asker, caplog: pytest.LogCaptureFixture
) -> None:
    given = {"pass_": "alice:secret", "registry": "r.example/team"}

    assert provider.get(ask.request("r.example", **given))
    assert caplog.messages == ["REG_URL: /team is ignored, as BuildKit has one login for all of r.example"]


@pytest.mark.parametrize(
    "url",
    ["https://alice:secret@r.example", "r.example?secret", "https://r.example/#x", "r example", "unix:///r", "ftp://r"],
)
def test_a_reg_url_that_is_no_registry_is_an_error(provider: BasicProvider, ask: Asker, url: str) -> None:
    given = {"pass_": "alice:password", "registry": url}

    for question in (
        lambda: provider.registries(ask.context(**given)),
        lambda: provider.get(ask.request("r.example", **given)),
    ):
        with pytest.raises(UsageError, match="REG_URL") as caught:
            question()
        assert "alice:secret" not in str(caught.value)
    assert provider.match("r.example", ask.context(**given).options) is Match.GENERIC


def test_another_port_is_another_registry(
    provider: BasicProvider, ask: Asker, caplog: pytest.LogCaptureFixture
) -> None:
    given = {"pass_": "alice:secret", "registry": "localhost"}

    assert provider.get(ask.request("localhost:5077", **given)) is None
    assert provider.get(ask.request("docker.io", **given)) is None
    assert caplog.messages == []  # another may know it: when nobody does, the host says so


def test_pass_is_not_used_when_nobody_asked_for_it(provider: BasicProvider, ask: Asker) -> None:
    given: dict[str, Any] = {"pass_": "alice:secret", "registry": "123456789012.dkr.ecr.eu-west-1.amazonaws.com"}
    registry = given["registry"]

    assert provider.get(ask.request(registry, explicit=False, **given)) is None
    assert provider.notices(ask.context(explicit=False, **given)) == ["PASS is ignored: set LOGIN=PASS"]
    assert provider.notices(ask.context(explicit=False)) == []
    assert provider.registries(ask.context(explicit=False, **given)) == ()
    # SPECIFIC would be a conflict with the plugin for such registries, over a variable that is not even used.
    assert provider.match(registry, ask.context(**given).options) is Match.GENERIC


def test_login_pass_without_pass_ends_the_run(provider: BasicProvider, ask: Asker) -> None:
    assert list(provider.registries(ask.context(named_as="pass", registry="r.example"))) == ["r.example"]
    with pytest.raises(CredentialsUnavailable, match="LOGIN=PASS but PASS is empty"):
        provider.get(ask.request("r.example", named_as="pass", registry="r.example"))
    # The keyring of this machine is not what is amiss, so nobody hears of it for the other registries.
    assert provider.get(ask.request("other.example", named_as="pass", registry="r.example")) is None


def test_login_pass_is_content_with_user_and_password(provider: BasicProvider, ask: Asker) -> None:
    credential = provider.get(ask.request(HUB, named_as="pass", user="alice", password="secret"))

    assert credential
    assert credential.detail == "user alice from BASIC_PASSWORD"


def test_pass_comes_before_user_and_password(provider: BasicProvider, ask: Asker) -> None:
    credential = provider.get(ask.request(HUB, pass_="alice:secret", user="bob", password="other"))

    assert credential
    assert credential.username == "alice"


def test_errors_name_the_spelling_that_was_used(
    provider: BasicProvider, ask: Asker, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(OcibuildError, match=r"^PASS: cannot log in to docker\.io"):
        provider.get(ask.request(HUB, pass_=":secret"))
    assert "secret" not in caplog.text
