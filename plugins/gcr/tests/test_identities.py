"""Finding the identity: what the options say, and what Google's tools have left."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from fake_google.asking import POOL, Asker
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.plugin import CredentialError, CredentialsUnavailable, UsageError
from ocibuild_gcr import identities, sdk

KEY = {"type": "service_account", "client_email": "a@p.iam.gserviceaccount.com", "private_key": "-----BEGIN"}


def test_every_type_of_file_has_its_maker() -> None:
    assert tuple(sdk._MAKERS) == identities.KINDS


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(KEY),
        json.dumps(KEY, indent=2) + "\n",
        f"\ufeff{json.dumps(KEY)}",
        base64.b64encode(json.dumps(KEY).encode()).decode(),
        base64.encodebytes(json.dumps(KEY).encode()).decode(),
    ],
    ids=["plain", "indented", "byte order mark", "base64", "base64 in lines"],
)
def test_a_key_is_read_however_it_is_dressed(text: str) -> None:
    assert identities.parse_json(text, "GCR_KEY_JSON") == KEY


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{not json, s3cret-part", "holds no JSON"),
        ("s3cret-part", "holds no JSON"),
        ("/etc/key.json", "it holds a path"),
        ("key.json", "it holds a path"),
        ("eyJhbGciOiJSUzI1NiJ9.s3cret-part.x", "it holds a token"),
        ("[1]", "holds no JSON"),
        ('{"a":' * 100_000, "holds no JSON"),
        (base64.b64encode(b"[1]").decode(), "no object"),
        ("{}", "it has no type"),
        ('{"type": 3}', "it has no type"),
        ('{"type": "gdch_service_account"}', "its type is 'gdch_service_account'"),
    ],
)
def test_what_is_no_key_is_refused_without_being_shown(text: str, says: str) -> None:
    with pytest.raises(CredentialError) as caught:
        identities.parse_json(text, "GCR_KEY_JSON")
    assert says in str(caught.value)
    assert "GCR_KEY_JSON" in caught.value.summary
    assert "s3cret-part" not in str(caught.value)


@given(st.text())
def test_any_text_is_either_an_object_or_a_clean_error(text: str) -> None:
    try:
        info = identities.parse_json(text, "GCR_KEY_JSON")
    except CredentialError:
        return
    assert info["type"] in identities.KINDS


def test_the_named_file_comes_before_gclouds(tmp_path: Path) -> None:
    named = write(tmp_path / "key.json", KEY)
    gcloud = write(tmp_path / ".config/gcloud/application_default_credentials.json", {"type": "authorized_user"})
    env = {"HOME": str(tmp_path)}

    found = identities.from_files(env)
    assert found is not None
    assert found.origin == str(gcloud)
    found = identities.from_files({**env, "GOOGLE_APPLICATION_CREDENTIALS": str(named)})
    assert found is not None
    assert found.origin == f"GOOGLE_APPLICATION_CREDENTIALS ({named})"
    assert found.info == KEY


def test_gclouds_folder_can_be_moved(tmp_path: Path) -> None:
    moved = write(tmp_path / "moved/application_default_credentials.json", {"type": "authorized_user"})
    found = identities.from_files({"HOME": "/nowhere", "CLOUDSDK_CONFIG": str(tmp_path / "moved")})
    assert found is not None
    assert found.origin == str(moved)


@pytest.mark.parametrize("env", [{}, {"HOME": "/nowhere"}, {"GOOGLE_APPLICATION_CREDENTIALS": ""}])
def test_without_a_file_there_is_no_identity(env: dict[str, str]) -> None:
    assert identities.from_files(env) is None


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "No such file or directory"), (b"", "holds no JSON"), (b"\xff\xfe{", "no UTF-8"), (b"[]", "holds no JSON")],
)
def test_a_named_file_that_is_no_good_is_an_error(content: bytes | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "named.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CredentialError) as caught:
        identities.from_files({"GOOGLE_APPLICATION_CREDENTIALS": str(path), "HOME": str(tmp_path)})
    assert not isinstance(caught.value, CredentialsUnavailable)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)


def test_a_named_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="cannot be read"):
        identities.from_files({"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path)})


@pytest.mark.parametrize(
    "spelling", [POOL, f"//iam.googleapis.com/{POOL}", f"https://iam.googleapis.com/{POOL}", f" {POOL}\n"]
)
def test_a_provider_is_known_in_all_of_googles_spellings(spelling: str) -> None:
    assert identities._audience(spelling) == f"//iam.googleapis.com/{POOL}"


@pytest.mark.parametrize(
    "provider",
    [
        "projects/my-project/locations/global/workloadIdentityPools/p/providers/x",
        "projects/١٢٣/locations/global/workloadIdentityPools/p/providers/x",
        f"https://evil.example/{POOL}",
        POOL.rpartition("/providers")[0],
        f"{POOL}/",
        "main",
    ],
)
def test_what_is_no_provider_is_refused(provider: str) -> None:
    with pytest.raises(UsageError, match="no workload identity provider"):
        identities._audience(provider)


@pytest.mark.parametrize("token", ["s3cret-part", "a.b.c", "a.e30", "..", "{}", "a.W10.c"])
def test_what_is_no_jwt_is_refused_without_being_shown(token: str, ask: Asker) -> None:
    with pytest.raises(CredentialError, match="GCR_OIDC_TOKEN holds no OIDC token") as caught:
        ask(oidc_token=token, workload_identity_provider=POOL)
    assert "s3cret-part" not in str(caught.value)


def test_an_oidc_token_needs_its_provider(ask: Asker) -> None:
    with pytest.raises(UsageError, match="set GCR_WORKLOAD_IDENTITY_PROVIDER"):
        ask(oidc_token="a.e30.c")


def test_a_provider_needs_a_token(ask: Asker) -> None:
    with pytest.raises(CredentialsUnavailable, match="id-token: write"):
        ask(workload_identity_provider=POOL)


@pytest.mark.parametrize(
    "options",
    [
        {"access_token": "ya29.at-hand", "key_json": "{}"},
        {"access_token": "ya29.at-hand", "oidc_token": "a.e30.c"},
        {"access_token": "ya29.at-hand", "impersonate_service_account": ("a@p.iam.gserviceaccount.com",)},
        {"key_json": "{}", "oidc_token": "a.e30.c"},
        {"key_json": "{}", "workload_identity_provider": POOL},
        {"key_json": "{}", "key_as": "password", "impersonate_service_account": ("a@p.iam.gserviceaccount.com",)},
        {"access_token": "ya29.at-hand", "key_as": "password"},
        {"oidc_token": "a.e30.c", "workload_identity_provider": POOL, "key_as": "password"},
    ],
    ids="+".join,
)
def test_two_ways_to_log_in_contradict_each_other(options: dict[str, Any], ask: Asker) -> None:
    with pytest.raises(UsageError, match="contradict each other") as caught:
        ask(**options)
    assert caught.value.summary.count("GCR_") == 2


def write(path: Path, info: dict[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(info))
    return path
