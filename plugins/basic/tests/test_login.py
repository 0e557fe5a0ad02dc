"""`ocibuild login` and `logout`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.plugin import Credential, CredentialError, CredentialsUnavailable, Secret, StoredCredential

if TYPE_CHECKING:
    from basic_support import Asker, SecretService
    from ocibuild_basic.provider import BasicProvider

HOST = "r.example"


@dataclass
class Person:
    """Somebody at a terminal, and the registry behind it: it takes one password."""

    answers: list[str]
    accepted: str = "secret"
    questions: list[str] = field(default_factory=list)
    verified: list[Credential] = field(default_factory=list)

    def ask(self, question: str) -> str:
        self.questions.append(question)
        if not self.answers:
            raise CredentialsUnavailable("no terminal to ask on")
        return self.answers.pop(0)

    def ask_secret(self, question: str) -> Secret:
        return Secret(self.ask(question))

    def say(self, text: str) -> None:
        raise AssertionError(text)

    def verify(self, registry: str, credential: Credential) -> None:
        assert registry == HOST
        self.verified.append(credential)
        if credential.secret.reveal() != self.accepted:
            raise CredentialError(f"{registry} refuses {credential.username}")


def test_it_asks_verifies_and_stores(provider: BasicProvider, ask: Asker, secret_service: SecretService) -> None:
    person = Person(answers=["alice ", "secret"])

    said = provider.login(ask.login(HOST), person)

    assert person.questions == [f"User name for {HOST}: ", f"Password or token of alice for {HOST}: "]
    assert said == f"alice is logged in to {HOST}, stored in the keyring (keyring.backends.SecretService.Keyring)"
    assert secret_service.run(f"import keyring; print(keyring.get_password({HOST!r}, 'alice'))") == "secret\n"
    credential = provider.get(ask.request(HOST, explicit=False))
    assert credential
    assert credential.username == "alice"


def test_what_was_given_is_not_asked_for(provider: BasicProvider, ask: Asker, secret_service: SecretService) -> None:
    del secret_service
    person = Person(answers=[])

    provider.login(ask.login(HOST, username="alice", secret="secret\n"), person)

    assert person.questions == []
    assert [credential.secret.reveal() for credential in person.verified] == ["secret"]


def test_what_the_registry_refuses_is_not_stored(
    provider: BasicProvider, ask: Asker, secret_service: SecretService
) -> None:
    with pytest.raises(CredentialError, match=r"r\.example refuses alice"):
        provider.login(ask.login(HOST), Person(answers=["alice", "wrong"]))

    assert list(provider.list(ask.context())) == []
    assert secret_service.run(f"import keyring; print(keyring.get_password({HOST!r}, 'alice'))") == "None\n"


def test_a_second_user_is_mentioned(provider: BasicProvider, ask: Asker, secret_service: SecretService) -> None:
    del secret_service
    provider.login(ask.login(HOST, username="alice", secret="secret"), Person(answers=[]))

    said = provider.login(ask.login(HOST, username="bob", secret="secret"), Person(answers=[]))

    assert said.endswith("; also stored: alice (choose with --basic-user)")


def test_without_a_keyring_nobody_is_asked_for_a_password(provider: BasicProvider, ask: Asker) -> None:
    person = Person(answers=["alice", "secret"])

    with pytest.raises(CredentialsUnavailable, match="no keyring back end"):
        provider.login(ask.login(HOST), person)
    assert person.questions == []


@pytest.mark.parametrize(("user", "password"), [("", "secret"), ("a b", "secret"), ("alice", ""), ("alice", "a\nb")])
def test_what_cannot_be_a_login_is_refused_before_the_registry_sees_it(
    provider: BasicProvider, ask: Asker, secret_service: SecretService, user: str, password: str
) -> None:
    del secret_service
    person = Person(answers=[user, password])

    with pytest.raises(CredentialError, match="cannot log in"):
        provider.login(ask.login(HOST), person)
    assert person.verified == []


def test_logout_forgets_one_user_or_all(provider: BasicProvider, ask: Asker, secret_service: SecretService) -> None:
    for user in ("alice", "bob", "carol"):
        provider.login(ask.login(HOST, username=user, secret="secret"), Person(answers=[]))

    assert provider.logout(ask.login(HOST, username="alice")) == f"forgotten for {HOST}: alice"
    assert [login.username for login in provider.list(ask.context())] == ["bob", "carol"]
    assert provider.logout(ask.login(HOST)) == f"forgotten for {HOST}: bob, carol"
    assert provider.logout(ask.login(HOST)) == f"nothing was stored for {HOST}"
    assert provider.logout(ask.login(HOST, username="alice")) == f"nothing was stored for {HOST}"
    assert secret_service.run(f"import keyring; print(keyring.get_credential({HOST!r}, None))") == "None\n"


def test_logout_of_a_user_by_name_reaches_what_another_program_stored(
    provider: BasicProvider, ask: Asker, secret_service: SecretService
) -> None:
    secret_service.run(f"import keyring; keyring.set_password({HOST!r}, 'alice', 'secret')")

    assert provider.logout(ask.login(HOST)) == f"nothing was stored for {HOST}"
    assert provider.logout(ask.login(HOST, username="alice")) == f"forgotten for {HOST}: alice"


def test_logout_from_docker_hub_reaches_what_stands_under_docker_s_own_key(
    provider: BasicProvider, ask: Asker, secret_service: SecretService
) -> None:
    secret_service.run("import keyring; keyring.set_password('https://index.docker.io/v1/', 'alice', 'secret')")

    assert provider.logout(ask.login("docker.io", username="alice")) == "forgotten for docker.io: alice"
    assert provider.get(ask.request("docker.io")) is None


def test_list_needs_no_keyring(provider: BasicProvider, ask: Asker, secret_service: SecretService) -> None:
    provider.store(ask.request(HOST), Credential(username="alice", secret=Secret("secret")))
    secret_service.lock()

    assert list(provider.list(ask.context())) == [StoredCredential(registry=HOST, username="alice")]
