"""Logging in with a service account's key, with a user's login, and with a token that is at hand."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fake_google import SCOPE, Cloud, Internet
from fake_google.asking import REGISTRY, Asker
from ocibuild_core.plugin import Credential, CredentialError, CredentialKind
from ocibuild_testkit.clock import FakeClock

EMAIL = "builder@project.iam.gserviceaccount.com"


def test_a_key_becomes_a_token_of_its_service_account(ask: Asker, cloud: Cloud, key: dict[str, str]) -> None:
    credential = ask(key_json=json.dumps(key))

    token = cloud.alive(credential.secret.reveal())
    assert token is not None
    assert token.principal == EMAIL
    assert token.scopes == {SCOPE}
    assert credential.username == "oauth2accesstoken"
    assert credential.kind is CredentialKind.BASIC
    assert credential.detail == f"service account {EMAIL} via GCR_KEY_JSON"
    assert credential.expires_at is not None
    assert abs(credential.expires_at - token.expires_at) < timedelta(seconds=5)


def test_a_key_file_is_found_by_googles_variable(ask: Asker, key: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(key))
    ask.env["GOOGLE_APPLICATION_CREDENTIALS"] = str(path)
    assert ask().detail == f"service account {EMAIL} via GOOGLE_APPLICATION_CREDENTIALS ({path})"


def test_a_key_whose_line_ends_a_template_has_made_true_ones_is_read(ask: Asker, key: dict[str, str]) -> None:
    text = json.dumps(key).replace("\\n", "\n")
    assert "-----\n" in text
    assert ask(key_json=text).detail == f"service account {EMAIL} via GCR_KEY_JSON"
    assert json.loads(ask(key_json=text, key_as="password").secret.reveal()) == key


def test_the_options_key_wins_over_googles_variable(ask: Asker, key: dict[str, str]) -> None:
    ask.env["GOOGLE_APPLICATION_CREDENTIALS"] = "/nowhere"
    assert ask(key_json=json.dumps(key)).detail.endswith("via GCR_KEY_JSON")


def test_one_login_serves_all_registries_and_threads(ask: Asker, cloud: Cloud, key: dict[str, str]) -> None:
    got: list[Credential] = []
    text = json.dumps(key)
    threads = [
        threading.Thread(target=lambda host=host: got.append(ask(host, key_json=text)))
        for host in (REGISTRY, "gcr.io", "eu.gcr.io", "us-docker.pkg.dev") * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == len(threads)
    assert len({credential.secret for credential in got}) == 1
    assert cloud.asked == ["oauth2 jwt-bearer"]


def test_another_key_is_another_login(ask: Asker, cloud: Cloud, key: dict[str, str]) -> None:
    first = ask(key_json=json.dumps(key))
    second = ask(key_json=json.dumps(cloud.service_account("other@project.iam.gserviceaccount.com")))
    assert first.secret != second.secret
    assert second.detail.startswith("service account other@")


@pytest.mark.parametrize(("minutes_left", "logins"), [(11, 1), (9, 2)])
def test_a_token_is_renewed_before_it_gets_short(
    minutes_left: int, logins: int, ask: Asker, cloud: Cloud, key: dict[str, str]
) -> None:
    clock = ask.clock = FakeClock(datetime.now(UTC))
    text = json.dumps(key)
    ask(key_json=text)
    clock.advance((cloud.lifetime - timedelta(minutes=minutes_left)).total_seconds())
    ask(key_json=text)
    assert len(cloud.asked) == logins


def test_a_key_can_be_the_password_itself(ask: Asker, cloud: Cloud, key: dict[str, str]) -> None:
    credential = ask(key_json=json.dumps(key, indent=2), key_as="password")
    assert credential.username == "_json_key"
    assert json.loads(credential.secret.reveal()) == key
    assert credential.expires_at is None
    assert credential.detail == f"key of service account {EMAIL} via GCR_KEY_JSON"
    assert cloud.asked == []


def test_a_key_file_can_be_the_password_itself(ask: Asker, key: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(key))
    ask.env["GOOGLE_APPLICATION_CREDENTIALS"] = str(path)
    assert json.loads(ask(key_as="password").secret.reveal()) == key


def test_only_a_key_can_be_a_password(ask: Asker, cloud: Cloud) -> None:
    with pytest.raises(CredentialError, match="GCR_KEY_JSON is of type authorized_user"):
        ask(key_json=json.dumps(cloud.user("alice@example.com")), key_as="password")
    with pytest.raises(CredentialError, match="no key was found"):
        ask(key_as="password")


def test_a_users_login_becomes_a_token_of_the_user(ask: Asker, cloud: Cloud) -> None:
    gcloud = Path(ask.env["HOME"], ".config/gcloud/application_default_credentials.json")
    gcloud.parent.mkdir(parents=True)
    gcloud.write_text(json.dumps(cloud.user("alice@example.com")))
    credential = ask()
    token = cloud.alive(credential.secret.reveal())
    assert token is not None
    assert token.principal == "alice@example.com"
    assert credential.detail == f"user alice@example.com via {gcloud}"


def test_a_token_at_hand_is_handed_on(ask: Asker, cloud: Cloud) -> None:
    credential = ask(access_token=" ya29.at-hand\n")
    assert credential.username == "oauth2accesstoken"
    assert credential.secret.reveal() == "ya29.at-hand"
    assert credential.expires_at is None
    assert credential.detail == "access token from GCR_ACCESS_TOKEN"
    assert cloud.asked == []


@pytest.mark.parametrize("text", [" \n", "two words", '{"type": "service_account"}', '"ya29.quoted"', "tökén"])
def test_what_is_no_token_is_refused_without_being_shown(text: str, ask: Asker) -> None:
    with pytest.raises(CredentialError, match="GCR_ACCESS_TOKEN holds no access token") as caught:
        ask(access_token=text)
    assert text.strip() not in str(caught.value) or not text.strip()


def test_a_key_that_was_replaced_is_refused(ask: Asker, cloud: Cloud, key: dict[str, str]) -> None:
    cloud.keys[EMAIL].clear()
    with pytest.raises(CredentialError) as caught:
        ask(key_json=json.dumps(key))
    assert str(caught.value) == (
        f"Google gave no token to service account {EMAIL} via GCR_KEY_JSON for {REGISTRY}\n"
        "  why    invalid_grant: Invalid JWT Signature.\n"
        "  do     the key was deleted or replaced: make a new one for the service account"
    )


def test_a_key_that_somebody_else_made_is_refused(ask: Asker, cloud: Cloud, key: dict[str, str]) -> None:
    forged = Cloud().service_account(EMAIL)
    cloud.keys[EMAIL][key["private_key_id"]] = cloud.keys[EMAIL].pop(key["private_key_id"])
    with pytest.raises(CredentialError, match="Invalid JWT Signature"):
        ask(key_json=json.dumps({**forged, "private_key_id": key["private_key_id"]}))


def test_an_account_that_is_gone_is_refused(ask: Asker, cloud: Cloud, key: dict[str, str]) -> None:
    del cloud.keys[EMAIL]
    with pytest.raises(CredentialError, match="it may have been deleted"):
        ask(key_json=json.dumps(key))


@pytest.mark.parametrize(("minutes", "says"), [(-20, "20 min ahead of"), (70, "70 min behind")])
def test_a_wrong_clock_is_named(minutes: int, says: str, ask: Asker, cloud: Cloud, key: dict[str, str]) -> None:
    cloud.ahead = timedelta(minutes=minutes)
    with pytest.raises(CredentialError, match="reasonable timeframe") as caught:
        ask(key_json=json.dumps(key))
    assert f"set this machine's clock: it is {says} the server's" in str(caught.value)


def test_a_wrong_clock_is_not_blamed_for_everything(ask: Asker, cloud: Cloud, key: dict[str, str]) -> None:
    cloud.ahead = timedelta(minutes=20)
    cloud.keys[EMAIL].clear()
    with pytest.raises(CredentialError, match="the key was deleted or replaced"):
        ask(key_json=json.dumps(key))


@pytest.mark.parametrize("field", ["private_key", "client_email", "token_uri"])
def test_half_a_key_is_refused(field: str, ask: Asker, key: dict[str, str]) -> None:
    del key[field]
    with pytest.raises(CredentialError, match="GCR_KEY_JSON holds no usable credentials"):
        ask(key_json=json.dumps(key))


@pytest.mark.parametrize("mangled", ["-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n", "", 3, None])
def test_a_mangled_key_is_refused(mangled: object, ask: Asker, key: dict[str, str]) -> None:
    with pytest.raises(CredentialError, match="GCR_KEY_JSON holds no usable credentials"):
        ask(key_json=json.dumps({**key, "private_key": mangled}))


def test_a_user_whose_login_is_over_is_told_to_log_in_again(ask: Asker, cloud: Cloud) -> None:
    login = cloud.user("alice@example.com")
    cloud.users.clear()
    with pytest.raises(CredentialError, match="expired or revoked") as caught:
        ask(key_json=json.dumps(login))
    assert "run `gcloud auth application-default login` again" in str(caught.value)


def test_a_user_who_must_prove_himself_again_is_told_so_and_no_browser_opens(ask: Asker, cloud: Cloud) -> None:
    login = cloud.user("alice@example.com")
    cloud.needs_reauthentication = True
    with pytest.raises(CredentialError, match="Reauthentication is needed") as caught:
        ask(key_json=json.dumps(login))
    assert "run `gcloud auth application-default login` again" in str(caught.value)
    assert cloud.asked == ["oauth2 refresh_token"]


def test_a_token_that_is_over_when_it_comes_is_refused(ask: Asker, cloud: Cloud, key: dict[str, str]) -> None:
    cloud.lifetime = timedelta(seconds=0)
    with pytest.raises(CredentialError, match="had expired when it came"):
        ask(key_json=json.dumps(key))


def test_a_refusal_holds_for_the_other_registries_and_is_tried_afresh_later(
    ask: Asker, cloud: Cloud, key: dict[str, str]
) -> None:
    """The registries of one build cost one refusal; a build that goes on for hours is not refused for ever."""
    clock = ask.clock = FakeClock(datetime.now(UTC))
    text = json.dumps(key)
    keys = dict(cloud.keys[EMAIL])
    cloud.keys[EMAIL].clear()
    for registry in (REGISTRY, "gcr.io", "eu.gcr.io", "us-docker.pkg.dev"):
        with pytest.raises(CredentialError, match=f"Google gave no token .* for {registry}\n") as caught:
            ask(registry, key_json=text)
        assert "make a new one" in caught.value.do
    assert cloud.asked == ["oauth2 jwt-bearer"]

    other = cloud.service_account("other@project.iam.gserviceaccount.com")
    assert ask(key_json=json.dumps(other)).detail.startswith("service account other@")
    cloud.keys[EMAIL].update(keys)
    clock.advance(10)
    assert ask(key_json=text).username == "oauth2accesstoken"


def test_a_server_that_is_down_is_waited_for_once(ask: Asker, internet: Internet, key: dict[str, str]) -> None:
    internet.busy = 100
    for registry in (REGISTRY, "gcr.io", "eu.gcr.io"):
        with pytest.raises(CredentialError, match=f"no Google token for {registry}\n"):
            ask(registry, key_json=json.dumps(key))
    assert internet.busy == 96


def test_who_waits_for_another_login_waits_no_longer_than_it_may(
    ask: Asker, internet: Internet, key: dict[str, str]
) -> None:
    internet.hangs = True
    text = json.dumps(key)

    def hang() -> None:
        with pytest.raises(CredentialError, match="no answer in time"):
            ask(key_json=text, seconds=2)

    first = threading.Thread(target=hang)
    first.start()
    while not internet.proxy.asked:
        time.sleep(0.01)
    with pytest.raises(CredentialError, match="the login that another registry had started took too long"):
        ask("gcr.io", key_json=text, seconds=0.2)
    first.join()
