"""Who answers for a registry: the order, and what ends a run."""

from __future__ import annotations

import json

import pytest
from ocibuild_core.auth.answers import Answer, Outcome, Step
from ocibuild_core.auth.config_files import parse_config
from ocibuild_core.auth.docker_config import UserConfig
from ocibuild_core.errors import (
    CredentialError,
    CredentialsUnavailable,
    Failures,
    OcibuildError,
    PluginError,
    UsageError,
)
from ocibuild_core.plugin import Match
from support.auth_parts import Teller, broken, credential, resolver_of

HOST = "r.example"


def config_for(*hosts: str) -> UserConfig:
    # base64 of `config:in-the-file`
    auths = {host: {"auth": "Y29uZmlnOmluLXRoZS1maWxl"} for host in hosts}
    return UserConfig((parse_config(json.dumps({"auths": auths}).encode(), "config.json"),), env={}, timeout=5)


def user(answer: Answer | OcibuildError) -> str:
    assert isinstance(answer, Answer), answer
    return answer.credential.username if answer.credential else ""


def test_the_steps_in_their_order() -> None:
    """Each step answers when those before it are taken away."""
    pinned, explicit = Teller("pinned", credential("pinned")), Teller("explicit", credential("explicit"))
    automatic = Teller("automatic", credential("automatic"))
    everybody = (pinned, explicit, automatic)
    steps = [
        (resolver_of(*everybody, login=["explicit", f"pinned={HOST}"], config=config_for(HOST)), Step.PINNED, "pinned"),
        (resolver_of(*everybody, login=["explicit"], config=config_for(HOST)), Step.EXPLICIT, "explicit"),
        (resolver_of(*everybody, config=config_for(HOST)), Step.DOCKER_CONFIG, "config"),
        (resolver_of(automatic), Step.AUTOMATIC, "automatic"),
        (resolver_of(automatic, login=["none"]), Step.ANONYMOUS, ""),
    ]
    answers = [resolver.resolve(HOST) for resolver, _, _ in steps]
    assert [(answer.step, user(answer)) for answer in answers] == [(step, name) for _, step, name in steps]


def test_one_that_answers_leaves_those_after_it_unasked() -> None:
    first, second = Teller("first", credential("first")), Teller("second", credential("second"))
    answer = resolver_of(first, second, login=["first,second"]).resolve(HOST)
    assert user(answer) == "first"
    assert second.asked == []
    assert [(attempt.who, attempt.outcome) for attempt in answer.attempts] == [
        ("plugin 'first' (dist-first 1.2.3)", Outcome.ANSWERED),
        ("plugin 'second' (dist-second 1.2.3)", Outcome.NOT_ASKED),
        ("nobody", Outcome.NOT_ASKED),
    ]


def test_explicit_ones_are_asked_in_the_users_order() -> None:
    a, b = Teller("a", credential("a")), Teller("b", credential("b"))
    assert user(resolver_of(a, b, login=["b,a"]).resolve(HOST)) == "b"


def test_an_alias_names_its_provider() -> None:
    teller = Teller("basic-like", credential("alias"), aliases=("pass",))
    assert user(resolver_of(teller, login=["PASS"]).resolve(HOST)) == "alias"
    assert teller.requests[0].explicit


def test_who_does_not_match_is_never_asked() -> None:
    teller = Teller("a", credential(), match=Match.NO)
    resolver = resolver_of(teller, login=["a"])
    assert resolver.resolve(HOST).step is Step.ANONYMOUS
    assert teller.asked == []


def test_a_pin_asks_also_one_that_does_not_match() -> None:
    teller = Teller("a", credential("pinned"), match=Match.NO)
    assert user(resolver_of(teller, login=[f"a={HOST}"]).resolve(HOST)) == "pinned"


def test_a_pin_for_one_registry_says_nothing_of_others() -> None:
    teller = Teller("a", credential("a"))
    resolver = resolver_of(teller, login=["a=other.example,none"])
    assert resolver.resolve(HOST).step is Step.ANONYMOUS


def test_a_pinned_one_without_an_answer_ends_the_run() -> None:
    resolver = resolver_of(Teller("a", None), login=[f"a={HOST}"], config=config_for(HOST))
    with pytest.raises(CredentialsUnavailable, match=r"no credential for r.example"):
        resolver.require([HOST])


def test_an_explicit_one_that_is_made_for_the_registry_owes_an_answer() -> None:
    resolver = resolver_of(Teller("a", None, match=Match.SPECIFIC), login=["a"], config=config_for(HOST))
    with pytest.raises(CredentialsUnavailable, match=r"dist-a 1.2.3"):
        resolver.require([HOST])


def test_an_explicit_one_that_names_the_registry_owes_an_answer() -> None:
    resolver = resolver_of(Teller("a", None, match=Match.GENERIC, names=[HOST]), login=["a"])
    with pytest.raises(CredentialsUnavailable):
        resolver.require([HOST])


def test_an_explicit_one_owes_what_it_names_even_if_the_build_does_not_need_it() -> None:
    teller = Teller("a", None, match=Match.GENERIC, names=["https://Named.example/v2/"])
    with pytest.raises(CredentialsUnavailable, match=r"named.example"):
        resolver_of(teller, login=["a"]).require([])


def test_an_explicit_one_with_nothing_for_any_other_registry_lets_the_next_step_answer() -> None:
    teller = Teller("a", None, match=Match.GENERIC, names=["other.example"])
    assert user(resolver_of(teller, login=["a"], config=config_for(HOST)).resolve(HOST)) == "config"


@pytest.mark.parametrize("match", [Match.GENERIC, Match.SPECIFIC])
def test_an_explicit_one_that_fails_ends_the_run(match: Match) -> None:
    teller = Teller("a", CredentialError("the token was refused", do="get another"), match=match)
    with pytest.raises(CredentialError) as caught:
        resolver_of(teller, login=["a"], config=config_for(HOST)).require([HOST])
    assert str(caught.value) == "plugin 'a' (dist-a 1.2.3): the token was refused\n  do     get another"
    assert caught.value.exit_code == 3


def test_an_automatic_one_that_fails_is_passed_over_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ocibuild")
    failing = Teller("a", CredentialError("no network"), match=Match.SPECIFIC)
    answer = resolver_of(failing, Teller("b", credential("b"), match=Match.GENERIC)).resolve(HOST)
    assert user(answer) == "b"
    assert answer.attempts[0].outcome is Outcome.FAILED
    assert answer.attempts[0].detail == "plugin 'a' (dist-a 1.2.3): no network"
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_an_automatic_one_that_is_made_for_the_registry_comes_before_one_that_knows_any() -> None:
    generic = Teller("a-generic", credential("generic"), match=Match.GENERIC)
    specific = Teller("z-specific", credential("specific"), match=Match.SPECIFIC)
    assert user(resolver_of(generic, specific).resolve(HOST)) == "specific"


def test_two_automatic_ones_made_for_one_registry_are_an_error_that_names_both() -> None:
    with pytest.raises(PluginError) as caught:
        resolver_of(Teller("a", credential()), Teller("b", credential())).require([HOST])
    text = str(caught.value)
    assert all(part in text for part in ("dist-a 1.2.3", "dist-b 1.2.3", HOST, f"--login a={HOST}"))


def test_two_made_for_one_registry_do_no_harm_when_one_is_named() -> None:
    resolver = resolver_of(Teller("a", credential("a")), Teller("b", credential("b")), login=["b"])
    assert user(resolver.resolve(HOST)) == "b"


def test_two_made_for_one_registry_do_no_harm_when_the_docker_config_answers() -> None:
    resolver = resolver_of(Teller("a", credential()), Teller("b", credential()), config=config_for(HOST))
    assert user(resolver.resolve(HOST)) == "config"


def test_two_made_for_a_registry_that_nobody_needs_do_no_harm() -> None:
    resolver = resolver_of(
        Teller("a", credential(), match={"x.example": Match.SPECIFIC}),
        Teller("b", credential(), match={"x.example": Match.SPECIFIC}),
    )
    assert resolver.require([HOST])[HOST].step is Step.ANONYMOUS


def test_two_named_ones_that_name_the_same_registry_are_refused() -> None:
    a, b = Teller("a", credential("a"), names=[HOST]), Teller("b", credential("b"), names=[HOST + ":443"])
    with pytest.raises(UsageError, match=r"two logins .* r\.example") as caught:
        resolver_of(a, b, login=["a,b"]).require([])
    assert f"--login a={HOST}" in caught.value.do


def test_a_pin_decides_between_two_that_name_the_same_registry() -> None:
    a, b = Teller("a", credential("a"), names=[HOST]), Teller("b", credential("b"), names=[HOST])
    assert user(resolver_of(a, b, login=["a,b", f"b={HOST}"]).require([])[HOST]) == "b"


def test_a_name_that_is_not_installed_lists_those_that_are() -> None:
    with pytest.raises(PluginError) as caught:
        resolver_of(Teller("alpha"), login=["alhpa"])
    assert caught.value.exit_code == 4
    assert "did you mean 'alpha'" in str(caught.value)
    assert "installed: alpha" in str(caught.value)
    assert "--login" in str(caught.value)


def test_all_names_that_are_not_installed_are_told_at_once() -> None:
    with pytest.raises(Failures) as caught:
        resolver_of(Teller("alpha"), login=["beta,gamma=x.example"])
    assert "'beta'" in str(caught.value)
    assert "'gamma'" in str(caught.value)


def test_a_broken_plugin_that_was_named_ends_the_run_with_its_cause() -> None:
    with pytest.raises(PluginError) as caught:
        resolver_of(login=["alpha"], plugins=(broken("alpha"),))
    assert "No module named 'sdk'" in str(caught.value)
    assert "pip install sdk" in str(caught.value)


def test_a_broken_plugin_that_nobody_named_does_no_harm() -> None:
    assert resolver_of(plugins=(broken("alpha"),)).require([HOST])[HOST].step is Step.ANONYMOUS


def test_all_failures_of_named_ones_are_told_at_once() -> None:
    a = Teller("a", CredentialError("a is down"), match={"a.example": Match.SPECIFIC})
    b = Teller("b", CredentialsUnavailable("b has no key", tried=["env"]), match={"b.example": Match.SPECIFIC})
    c = Teller("c", credential(), names=CredentialError("c cannot say"))
    with pytest.raises(Failures) as caught:
        resolver_of(a, b, c, login=["a,b,c"]).require(["a.example", "b.example"])
    assert all(text in str(caught.value) for text in ("a is down", "b has no key", "c cannot say"))


def test_an_explicit_login_that_overrides_the_docker_config_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ocibuild")
    resolver_of(Teller("a", credential()), login=["a"], config=config_for(HOST)).resolve(HOST)
    (record,) = (record for record in caplog.records if record.levelno > 20)
    assert record.getMessage() == (
        "r.example: plugin 'a' (dist-a 1.2.3) answers, not config.json (its auths have r.example)"
    )


def test_a_push_without_a_credential_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    resolver_of(login=["none"]).require(["pulled.example"], pushed=["Pushed.example:443"])
    assert [record.getMessage() for record in caplog.records] == [
        "pushed.example: the build pushes to it, and there is no credential for it"
    ]


def test_no_provider_is_asked_for_a_registry_that_nobody_needs_or_named() -> None:
    a = Teller("a", credential(), match=Match.GENERIC, names=["named.example"])
    resolver_of(a, Teller("b", credential(), match=Match.GENERIC), login=["a"]).require(["needed.example"])
    assert sorted(a.asked) == ["named.example", "needed.example"]


def test_one_that_lacks_a_login_to_say_what_it_is_for_ends_the_run_where_it_is_of_no_use(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lacks = CredentialsUnavailable("no identity for the own registry")
    public = {"public.example": Match.GENERIC, "own.example": Match.SPECIFIC}
    resolver = resolver_of(Teller("cloud", names=lacks, match=public), login=["cloud"])

    with pytest.raises(CredentialsUnavailable, match="no identity for the own registry"):
        resolver.require(["docker.io"])
    assert resolver.resolve("public.example").credential is None
    assert resolver.require(["public.example", "docker.io"])["public.example"].credential is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "no identity for the own registry" in caplog.text
    with pytest.raises(CredentialsUnavailable, match=r"no credential for own\.example"):
        resolver.require(["public.example", "own.example"])


def test_one_whose_login_failed_ends_the_run_wherever_it_may_be_of_use(caplog: pytest.LogCaptureFixture) -> None:
    refused = CredentialError("the role may not be assumed", do="let its trust policy name the caller")
    resolver = resolver_of(Teller("cloud", names=refused, match={"public.example": Match.GENERIC}), login=["cloud"])

    with pytest.raises(CredentialError, match="the role may not be assumed") as caught:
        resolver.require(["public.example"])
    assert not isinstance(caught.value, Failures)
    with pytest.raises(CredentialError, match="the role may not be assumed"):
        resolver.resolve("public.example")
    assert caplog.records == []


def test_a_provider_that_names_what_it_does_not_match_is_at_fault() -> None:
    teller = Teller("a", credential(), match=Match.NO, names=[HOST])
    with pytest.raises(PluginError, match=r"names r.example but does not match it"):
        resolver_of(teller, login=["a"]).require([])


@pytest.mark.parametrize("name", ["https://u:hunter2@r.example", "not a host", 5])
def test_a_provider_that_names_no_registry_is_at_fault(name: object) -> None:
    teller = Teller("a", credential(), names=[name])  # type: ignore[list-item]
    with pytest.raises(PluginError, match="dist-a") as caught:
        resolver_of(teller, login=["a"]).require([])
    assert "hunter2" not in str(caught.value)


def test_the_decision_can_be_told_without_the_secret() -> None:
    answer = resolver_of(Teller("a", credential("me", "hunter2hunter2")), login=["a"]).resolve(HOST)
    text = json.dumps(answer.to_json()) + repr(answer) + str(answer)
    assert "hunter2" not in text
    assert answer.to_json()["username"] == "me"
    assert answer.to_json()["attempts"][0]["reason"] == "--login names it, and it is made for this registry"


def test_the_answer_is_under_the_one_name_of_the_registry() -> None:
    resolver = resolver_of(Teller("a", credential()), login=["a"])
    assert list(resolver.require(["R.Example:443", "r.example", "https://index.docker.io/v1/"])) == [HOST, "docker.io"]


def test_a_provider_knows_whether_it_was_named_for_the_registry_for_any_or_not_at_all() -> None:
    """A password without a registry must not go to one that the user did not mean."""
    teller = Teller("a")

    def asked_as(login: list[str], registry: str) -> tuple[bool, bool]:
        teller.requests.clear()
        resolver_of(teller, login=login).explain(registry)
        (request,) = teller.requests
        return request.explicit, request.pinned

    assert asked_as([f"a={HOST}"], HOST) == (True, True)
    assert asked_as([f"a={HOST}"], "other.example") == (False, False)
    assert asked_as(["a"], HOST) == (True, False)
    assert asked_as([], HOST) == (False, False)


@pytest.mark.parametrize(("login", "is_warned"), [(["named"], False), ([], True)])
def test_a_login_for_another_port_is_told_only_where_nobody_answers(
    login: list[str], *, is_warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    named = Teller("named", credential("named"), match=Match.GENERIC if login else Match.NO)
    resolver_of(named, login=login, config=config_for(f"{HOST}:5000")).resolve(HOST)
    said = [f"no login for {HOST}; there is one for {HOST}:5000, which is another registry"]
    assert caplog.messages == (said if is_warned else [])


@pytest.mark.parametrize(("config", "is_warned"), [([HOST], False), ([], True)])
def test_so_is_one_that_a_named_provider_has_for_another_port(
    config: list[str], *, is_warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The provider itself cannot know who is asked after it."""
    named = Teller("named", match=Match.GENERIC, names=[f"{HOST}:5000"])
    foreign = Teller("foreign", match=Match.NO, names=OSError("not to be asked"))
    resolver_of(named, foreign, login=["named,foreign"], config=config_for(*config)).resolve(HOST)
    said = [f"no login for {HOST}; there is one for {HOST}:5000, which is another registry"]
    assert caplog.messages == (said if is_warned else [])
