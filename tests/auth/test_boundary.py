"""Whatever a provider does comes out as an answer or as an error that names its plugin."""

# ruff: noqa: T201  # what is printed is what is tested

from __future__ import annotations

import sys
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from ocibuild_core.auth.boundary import GuardedProvider, Surroundings
from ocibuild_core.clock import SystemClock
from ocibuild_core.errors import CredentialError, OcibuildError, PluginError, UsageError
from ocibuild_core.plugin import (
    Credential,
    CredentialRequest,
    CredentialStore,
    Diagnostics,
    Finding,
    Match,
    Option,
    OptionType,
    ProviderContext,
    Secret,
    Severity,
    StoredCredential,
)
from support.auth_parts import Teller, credential, loaded, resolver_of

if TYPE_CHECKING:
    from collections.abc import Iterable

HOST = "r.example"
PLUGIN = "plugin 'a' (dist-a 1.2.3)"


def guarded(teller: Teller, *, timeout: float = 5, explicit: bool = True) -> GuardedProvider:
    surroundings = Surroundings(env={"HOME": "/h"}, clock=SystemClock(), timeout=timeout)
    return GuardedProvider(loaded(teller)[0], surroundings, options=None, named_as="teller" if explicit else "")


class OwnError(Exception):
    pass


class Group(BaseException):
    pass


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("hunter2 is wrong"),
        OwnError("hunter2"),
        KeyError("hunter2"),
        SystemExit("hunter2"),
        Group("hunter2"),
        GeneratorExit(),
        RecursionError(),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("where", ["get", "match", "names"])
def test_whatever_it_raises_is_its_fault(error: BaseException, where: str) -> None:
    teller = Teller("a", **{"get": credential(), where: error})  # type: ignore[arg-type]
    provider = guarded(teller)
    calls = {"get": lambda: provider.get(HOST), "match": lambda: provider.match(HOST), "names": provider.registries}
    with pytest.raises(PluginError) as caught:
        calls[where]()
    text = str(caught.value)
    assert PLUGIN in text
    assert type(error).__name__ in text
    assert "auth_parts.py, line" in text
    assert "hunter2" not in text
    assert caught.value.__cause__ is None
    assert caught.value.exit_code == 4


def test_the_traceback_of_a_fault_is_in_the_debug_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "ocibuild")
    with pytest.raises(PluginError):
        guarded(Teller("a", ValueError("deep inside"))).get(HOST)
    (record,) = caplog.records
    assert record.exc_info
    assert "deep inside" in str(record.exc_info[1])


@pytest.mark.parametrize("result", ["hunter2", b"hunter2", ("user", "hunter2"), {"hunter2": 1}, 5, object()])
def test_what_is_no_credential_is_its_fault_and_not_shown(result: object) -> None:
    with pytest.raises(PluginError) as caught:
        guarded(Teller("a", result)).get(HOST)
    assert PLUGIN in str(caught.value)
    assert f"returned a value of type {type(result).__name__} for {HOST}, not a Credential" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"username": ""}, "username is empty"),
        ({"secret": Secret("")}, "secret is empty"),
        ({"secret": "hunter2"}, "is a Secret"),
        ({"username": "a b"}, "white space"),
        ({"username": "a:b"}, "colon"),
        ({"username": "a\n"}, "white space or a control character"),
        ({"secret": Secret("x" * 70000)}, "longer than 65536 bytes"),
        ({"expires_at": datetime(2030, 1, 1)}, "no time zone"),  # noqa: DTZ001
    ],
)
def test_a_malformed_credential_is_its_fault_with_the_reason(fields: dict[str, Any], why: str) -> None:
    def get(request: CredentialRequest) -> Credential:
        del request
        given: dict[str, Any] = {"username": "u", "secret": Secret("long-enough")} | fields
        return Credential(**given)

    with pytest.raises(PluginError, match=why) as caught:
        guarded(Teller("a", get)).get(HOST)
    assert PLUGIN in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("match", [True, 1, "SPECIFIC", None, "no"])
def test_what_is_no_match_is_its_fault(match: object) -> None:
    with pytest.raises(PluginError, match=r"matched r.example with a value of type \w+, not a Match"):
        guarded(Teller("a", match=match)).match(HOST)


@pytest.mark.parametrize("names", [[5], ["a b"], [None], [HOST, ""]])
def test_what_is_no_registry_is_its_fault(names: list[Any]) -> None:
    with pytest.raises(PluginError, match=r"dist-a 1.2.3\): provider 'a' named .* as a registry"):
        guarded(Teller("a", names=names)).registries()


def test_registries_that_are_no_list_are_its_fault() -> None:
    with pytest.raises(PluginError, match="TypeError"):
        guarded(Teller("a", names=5)).registries()  # type: ignore[arg-type]


def test_a_malformed_match_of_an_automatic_one_is_passed_over() -> None:
    resolver = resolver_of(Teller("a", credential(), match="yes"), Teller("b", credential("b")))
    answer = resolver.resolve(HOST)
    assert answer.credential
    assert answer.credential.username == "b"


def test_a_fault_of_an_automatic_one_is_passed_over() -> None:
    assert resolver_of(Teller("a", SystemExit(1))).resolve(HOST).credential is None


@pytest.mark.parametrize("kind", [CredentialError, UsageError])
def test_an_error_of_the_family_keeps_its_words_and_gets_the_plugins_name(kind: type[OcibuildError]) -> None:
    error = kind("it is wrong", why="because", tried=["x", "y"], do="mend it")
    with pytest.raises(kind) as caught:
        guarded(Teller("a", error)).get(HOST)
    assert type(caught.value) is kind
    assert str(caught.value) == f"{PLUGIN}: it is wrong\n  why    because\n  tried  x, y\n  do     mend it"


def test_a_provider_called_otherwise_than_its_plugin_is_named_as_well() -> None:
    teller = Teller("a")
    record = loaded(teller)[0]
    teller.name = "other"
    surroundings = Surroundings(env={}, clock=SystemClock(), timeout=1)
    assert str(GuardedProvider(record, surroundings, options=None)) == f"'other' of {PLUGIN}"


def test_it_is_given_what_it_works_with() -> None:
    teller = Teller("a", credential(), options=(Option(name="region", help="Region", default="here"),))
    guarded(teller).get(HOST)
    request = teller.requests[0]
    assert (request.registry, request.env, request.explicit) == (HOST, {"HOME": "/h"}, True)
    assert request.options.text("region") == "here"
    assert 4 < request.remaining() <= 5
    assert request.log.name == "ocibuild.auth.a"


@pytest.mark.parametrize("secret", ["caf\udce9-long", "\ud800abcd"])
def test_bytes_that_are_no_utf8_cannot_be_handed_on(secret: str) -> None:
    with pytest.raises(CredentialError, match="not UTF-8") as caught:
        guarded(Teller("a", lambda _: credential(secret=secret))).get(HOST)
    assert "caf" not in str(caught.value)


@pytest.mark.parametrize(
    "secret", ["pässwörd", "密码密码", 'quo"te\\back', "new\nline", "x" * 65536, " spaces ", "a:b"]
)
def test_any_other_secret_is_taken_as_it_is(secret: str) -> None:
    found = guarded(Teller("a", lambda _: credential(secret=secret))).get(HOST)
    assert found
    assert found.secret.reveal() == secret


def test_what_it_prints_does_not_reach_stdout(capsys: pytest.CaptureFixture[str], caplog: Any) -> None:  # noqa: ANN401
    caplog.set_level("INFO", "ocibuild")

    def chatty(request: CredentialRequest) -> Credential:
        print("hello", request.registry)
        sys.stdout.write("half a line")
        sys.stdout.flush()
        return credential()

    before = sys.stdout
    guarded(Teller("a", chatty)).get(HOST)
    print("ours")
    assert sys.stdout is before
    assert capsys.readouterr().out == "ours\n"
    assert [record.getMessage() for record in caplog.records] == [
        f"{PLUGIN} printed: hello {HOST}",
        f"{PLUGIN} printed: half a line",
    ]


def test_others_still_print_while_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def chatty(request: CredentialRequest) -> Credential:
        del request
        inside.set()
        go_on.wait(10)
        print("theirs")
        return credential()

    thread = threading.Thread(target=guarded(Teller("a", chatty)).get, args=(HOST,))
    thread.start()
    inside.wait(10)
    print("ours")
    go_on.set()
    thread.join()
    assert capsys.readouterr().out == "ours\n"


def test_an_option_values_getter_used_wrongly_is_its_fault() -> None:
    option = Option(name="count", help="Count", type=OptionType.INT, default=3)
    teller = Teller("a", lambda request: request.options.text("count"), options=(option,))
    with pytest.raises(PluginError, match="option 'count' holds int, not str"):
        guarded(teller).get(HOST)


class Keeper(Teller, CredentialStore):
    kept: dict[str, Credential]

    def __init__(self, *args: Any, listed: object = (), **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.kept = {}
        self._listed = listed

    def store(self, request: CredentialRequest, credential: Credential) -> None:
        self.kept[request.registry] = credential

    def erase(self, request: CredentialRequest) -> bool:
        return self.kept.pop(request.registry, None) is not None

    def list(self, context: ProviderContext) -> Iterable[StoredCredential]:
        del context
        if self._listed:
            return self._listed  # type: ignore[return-value]
        return [StoredCredential(registry=name, username=item.username) for name, item in self.kept.items()]


def test_one_that_keeps_credentials_can_be_told_to() -> None:
    keeper = Keeper("a")
    provider = guarded(keeper)
    assert provider.stores
    provider.store(HOST, credential("me"))
    assert [(item.registry, item.username) for item in provider.list()] == [(HOST, "me")]
    assert [provider.erase(HOST), provider.erase(HOST)] == [True, False]


def test_one_that_keeps_none_says_so() -> None:
    provider = guarded(Teller("a"))
    assert not provider.stores
    with pytest.raises(PluginError, match="keeps no credentials"):
        provider.store(HOST, credential())


def test_a_malformed_listing_is_its_fault() -> None:
    with pytest.raises(PluginError, match="listed a value of type tuple"):
        guarded(Keeper("a", listed=[("r.example", "hunter2")])).list()


def test_a_match_is_asked_for_once() -> None:
    calls: list[str] = []

    class Counting(Teller):
        def match(self, registry: str, options: Any) -> Match:  # noqa: ANN401
            calls.append(registry)
            return super().match(registry, options)

    provider = guarded(Counting("a"))
    assert [provider.match(HOST) for _ in range(3)] == [Match.SPECIFIC] * 3
    assert calls == [HOST]


class Doctor(Teller, Diagnostics):
    def __init__(self, *found: object, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__("a", **kwargs)
        self._found = found

    def diagnose(self, context: ProviderContext) -> Iterable[Finding]:
        for item in self._found:
            if isinstance(item, BaseException):
                raise item
            if item == "hangs":
                threading.Event().wait(context.remaining() + 5)
            yield item  # type: ignore[misc]


def test_one_that_looks_at_its_surroundings_is_asked() -> None:
    finding = Finding(severity=Severity.WARNING, what="it is cold", do="heat")
    assert guarded(Doctor(finding)).diagnose() == (finding,)
    assert guarded(Teller("a")).diagnose() == ()


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ("hunter2", "diagnosed with a value of type str"),
        (RuntimeError("hunter2"), "raised RuntimeError in diagnose"),
    ],
)
def test_a_diagnosis_that_is_none_is_its_fault(found: object, words: str) -> None:
    with pytest.raises(PluginError, match=words) as caught:
        guarded(Doctor(found)).diagnose()
    assert "hunter2" not in str(caught.value)


def test_a_diagnosis_that_hangs_is_left_behind() -> None:
    with pytest.raises(CredentialError, match=r"no answer within 0\.1 s"):
        guarded(Doctor("hangs"), timeout=0.1).diagnose()


@pytest.mark.parametrize(
    "fields",
    [
        {"severity": "ok", "what": "x"},
        {"severity": Severity.OK, "what": " "},
        {"severity": Severity.OK, "what": "two\nlines"},
        {"severity": Severity.FAILURE, "what": "bad"},
    ],
)
def test_a_finding_is_one_line_and_has_a_remedy_unless_all_is_well(fields: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Finding(**fields)
