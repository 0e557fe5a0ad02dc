"""What the user's docker config says for a registry, honoured as docker does."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.auth.config_files import parse_config
from ocibuild_core.auth.docker_config import UserConfig, load_user_config
from ocibuild_core.errors import CredentialError, UsageError
from ocibuild_core.plugin import Credential, CredentialKind
from support.helpers import HelperDirectory

if TYPE_CHECKING:
    from pathlib import Path

HOST = "r.example"


@pytest.fixture
def helpers(tmp_path: Path) -> HelperDirectory:
    return HelperDirectory(tmp_path / "bin")


def encoded(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def config(*documents: dict[str, Any], env: dict[str, str] | None = None) -> UserConfig:
    files = tuple(parse_config(json.dumps(document).encode(), f"file {n}") for n, document in enumerate(documents))
    return UserConfig(files, env=env or {}, timeout=5)


def first(found: UserConfig, registry: str = HOST) -> Credential | None:
    entries = found.entries(registry)
    return entries[0].credential() if entries else None


def pair(credential: Credential | None) -> tuple[str, str] | None:
    return (credential.username, credential.secret.reveal()) if credential else None


@given(
    user=st.text(st.characters(min_codepoint=33, exclude_characters=":", exclude_categories=["C", "Z"]), min_size=1),
    password=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
)
def test_a_login_is_read_as_docker_wrote_it(user: str, password: str) -> None:
    assert pair(first(config({"auths": {HOST: encoded(f"{user}:{password}")}}))) == (user, password)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (encoded("u:p:with:colons"), ("u", "p:with:colons")),
        (encoded("u:ends with newline\n"), ("u", "ends with newline\n")),
        (encoded("u:padded\0\0"), ("u", "padded")),
        ({"auth": "dTpw\ncDpw\r\n"}, ("u", "pp:p")),
        ({"username": "u", "password": "p"}, ("u", "p")),
        ({"auth": encoded("u:p")["auth"], "username": "x", "password": "y"}, ("u", "p")),
        ({"AUTH": encoded("u:p")["auth"]}, ("u", "p")),
        ({}, None),
        (None, None),
        ({"email": "u@example.org"}, None),
        ({"auth": ""}, None),
        ({"auth": None}, None),
    ],
)
def test_the_forms_of_an_entry(entry: object, expected: tuple[str, str] | None) -> None:
    assert pair(first(config({"auths": {HOST: entry}}))) == expected


def test_an_identity_token_counts_more_than_the_password_beside_it() -> None:
    found = first(config({"auths": {HOST: {**encoded("00000000-0000-0000-0000-000000000000:"), "identitytoken": "t"}}}))
    assert found
    assert (found.kind, found.username, found.secret.reveal()) == (CredentialKind.IDENTITY_TOKEN, "", "t")


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"auth": "hunter2!"}, "no base64"),
        ({"auth": "aHVudGVyMg"}, "no base64"),
        (encoded("hunter2"), "not user:password"),
        (encoded(":hunter2"), "username is empty"),
        (encoded("u:"), "secret is empty"),
        (encoded("hunter2 x:p"), "white space"),
        ({"auth": base64.b64encode(b"u:\xff\xfe").decode()}, "no UTF-8"),
        ({"auth": ["hunter2"]}, "must be texts"),
        ("hunter2", "no JSON object"),
        ({"registrytoken": "hunter2"}, "no credential helper can hand on"),
        ({"auth": encoded("u:p")["auth"], "registrytoken": "hunter2"}, "no credential helper can hand on"),
    ],
)
def test_a_bad_entry_is_an_error_when_its_registry_is_needed(entry: object, why: str) -> None:
    with pytest.raises(CredentialError) as caught:
        first(config({"auths": {HOST: entry}}))
    text = str(caught.value)
    assert why in text
    assert "file 0" in text
    assert HOST in text
    assert "hunter2" not in text
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("key", "asked", "is_found"),
    [
        ("https://index.docker.io/v1/", "docker.io", True),
        ("docker.io", "docker.io", True),
        ("index.docker.io", "docker.io", True),
        ("R.Example", HOST, True),
        ("https://r.example", HOST, True),
        ("http://r.example/v2/", HOST, True),
        ("r.example:443", HOST, True),
        ("r.example:5000", HOST, False),
        ("r.example", "r.example:5000", False),
        ("r.example/team", HOST, True),
        ("https://r.example/team", HOST, True),
        ("https://index.docker.io/v1/access-token", "docker.io", False),
        ("sub.r.example", HOST, False),
        ("not a host", HOST, False),
        ("", HOST, False),
    ],
)
def test_which_key_means_which_registry(key: str, asked: str, *, is_found: bool) -> None:
    assert (first(config({"auths": {key: encoded("u:p")}}), asked) is not None) is is_found


@pytest.mark.parametrize("order", [1, -1])
def test_the_exact_key_is_preferred_wherever_it_stands(order: int) -> None:
    keys = [HOST, f"https://{HOST}", f"{HOST}:443", f"{HOST}/team"][::order]
    found = first(config({"auths": {key: encoded(f"u:{key}") for key in keys}}))
    assert pair(found) == ("u", HOST)


@pytest.mark.parametrize("order", [1, -1])
def test_docker_hubs_own_key_is_preferred_wherever_it_stands(order: int) -> None:
    keys = ["docker.io", "https://index.docker.io/v1/"][::order]
    found = first(config({"auths": {key: encoded(f"u:{key}") for key in keys}}), "docker.io")
    assert pair(found) == ("u", "https://index.docker.io/v1/")


def test_a_helper_for_one_registry_is_asked_by_the_key_of_the_file(helpers: HelperDirectory) -> None:
    helpers.add("mine", user="m", secret="from-helper")
    found = config({"credHelpers": {"https://R.example": "mine"}, "auths": {HOST: {}}}, env=helpers.env)
    assert pair(first(found)) == ("m", "from-helper")
    assert helpers.questions("mine") == ["https://R.example"]


def test_a_store_is_asked_for_all_other_registries(helpers: HelperDirectory) -> None:
    helpers.add("store", user="s", secret="from-store")
    found = config({"credsStore": "store", "auths": {HOST: encoded("u:masked")}}, env=helpers.env)
    assert pair(first(found)) == ("s", "from-store")
    assert pair(first(found, "docker.io")) == ("s", "from-store")
    assert helpers.questions("store") == [HOST, "https://index.docker.io/v1/"]


def test_a_store_masks_the_entries_even_when_it_has_nothing(helpers: HelperDirectory) -> None:
    helpers.add("store", message="credentials not found in native keychain", status=1)
    found = config({"credsStore": "store", "auths": {HOST: encoded("u:masked")}}, env=helpers.env)
    assert first(found) is None


def test_a_helper_for_the_registry_comes_before_the_store(helpers: HelperDirectory) -> None:
    helpers.add("store", user="s", secret="x")
    helpers.add("mine", user="m", secret="x")
    found = config({"credsStore": "store", "credHelpers": {HOST: "mine"}}, env=helpers.env)
    assert pair(first(found)) == ("m", "x")


def test_an_empty_helper_means_the_file_also_beside_a_store(helpers: HelperDirectory) -> None:
    helpers.add("store", user="s", secret="x")
    found = config({"credsStore": "store", "credHelpers": {HOST: ""}, "auths": {HOST: encoded("u:p")}}, env=helpers.env)
    assert pair(first(found)) == ("u", "p")


def test_our_own_helper_counts_as_absent_and_the_entry_answers() -> None:
    found = config({"credsStore": "ocibuild", "credHelpers": {HOST: "ocibuild"}, "auths": {HOST: encoded("u:p")}})
    assert pair(first(found)) == ("u", "p")


def test_without_helpers_the_entries_answer() -> None:
    found = config({"credsStore": "store", "credHelpers": {HOST: "x"}, "auths": {HOST: encoded("u:p")}})
    assert pair(first(found.without_helpers())) == ("u", "p")


@pytest.mark.parametrize("key", ["registrytoken", "registryToken", "RegistryToken"])
def test_a_registrytoken_is_refused_also_beside_a_helper(helpers: HelperDirectory, key: str) -> None:
    """Docker keeps it, whatever the helper answers, and takes its name in any case."""
    helpers.add("store", user="s", secret="x")
    found = config({"credsStore": "store", "auths": {HOST: {key: "hunter2"}}}, env=helpers.env)
    with pytest.raises(CredentialError, match="registrytoken"):
        first(found)
    with pytest.raises(CredentialError, match="registrytoken"):
        first(config({"auths": {HOST: {key: "hunter2"}}}))


def test_a_missing_store_is_a_warning_and_the_next_one_answers(
    helpers: HelperDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    found = config({"credsStore": "gone"}, {"auths": {HOST: encoded("u:p")}}, env=helpers.env)
    assert [pair(entry.credential()) for entry in found.entries(HOST)] == [None, ("u", "p")]
    (record,) = caplog.records
    assert record.getMessage() == (
        "file 0 names credsStore 'gone', but docker-credential-gone is not on PATH; install docker-credential-gone, "
        "or take it out of the docker config"
    )


def test_a_missing_helper_of_a_needed_registry_is_an_error(helpers: HelperDirectory) -> None:
    with pytest.raises(CredentialError) as caught:
        first(config({"credHelpers": {HOST: "gone"}}, env=helpers.env))
    text = str(caught.value)
    assert "file 0: docker-credential-gone is not on PATH" in text
    assert HOST in text


def test_a_failing_store_is_a_warning(helpers: HelperDirectory, caplog: pytest.LogCaptureFixture) -> None:
    helpers.add("store", message="error getting credentials - err: exit status 1, out: `locked`", status=1)
    assert first(config({"credsStore": "store"}, env=helpers.env)) is None
    assert "locked" in caplog.text
    assert caplog.records[0].levelname == "WARNING"


def test_a_failing_helper_of_a_needed_registry_is_an_error(helpers: HelperDirectory) -> None:
    helpers.add("mine", message="the vault is sealed", status=1)
    with pytest.raises(CredentialError, match="the vault is sealed") as caught:
        first(config({"credHelpers": {HOST: "mine"}}, env=helpers.env))
    assert str(caught.value).startswith("file 0: docker-credential-mine failed for r.example")


def test_the_registries_of_the_config_are_known() -> None:
    found = config(
        {"auths": {"A.example": {}, "bad key": {}}, "credHelpers": {"b.example:443": "x"}}, {"auths": {"c": {}}}
    )
    assert set(found.registries()) == {"a.example", "b.example", "c"}


def test_proxies_become_build_args_in_both_cases() -> None:
    found = config({"proxies": {"default": {"httpProxy": "http://p:1", "noProxy": "x,y", "other": "z"}}})
    assert found.proxies() == {
        "HTTP_PROXY": "http://p:1",
        "http_proxy": "http://p:1",
        "NO_PROXY": "x,y",
        "no_proxy": "x,y",
    }


def test_proxies_of_a_daemon_come_before_the_default() -> None:
    found = config({"proxies": {"default": {"httpProxy": "a"}, "tcp://d:1": {"httpProxy": "b"}}})
    assert found.proxies("tcp://d:1")["HTTP_PROXY"] == "b"
    assert found.proxies("tcp://e:1")["HTTP_PROXY"] == "a"
    assert config({}).proxies() == {}


class Home:
    """A home with configs in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.env = {"HOME": str(directory), "XDG_RUNTIME_DIR": str(directory / "run")}

    def write(self, path: str, document: object) -> Path:
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(document if isinstance(document, str) else json.dumps(document))
        file.chmod(0o600)
        return file


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def load(home: Home, **env: str) -> tuple[UserConfig, list[str]]:
    warnings: list[str] = []
    return load_user_config(home.env | env, timeout=5, warn=warnings.append), warnings


def test_the_variable_comes_before_docker_before_podman(home: Home) -> None:
    home.write(".docker/config.json", {"auths": {"b": encoded("docker:p"), "c": encoded("docker:p")}})
    home.write("run/containers/auth.json", {"auths": {name: encoded("podman:p") for name in "abcd"}})
    variable = json.dumps({"auths": {"c": encoded("variable:p")}})
    found, warnings = load(home, DOCKER_AUTH_CONFIG=variable)
    users = {name: entry.credential().username for name in "abcd" if (entry := found.entries(name)[0])}  # type: ignore[union-attr]
    assert users == {"a": "podman", "b": "docker", "c": "variable", "d": "podman"}
    assert warnings == []


def test_a_named_docker_config_replaces_that_of_the_home(home: Home) -> None:
    home.write(".docker/config.json", {"auths": {HOST: encoded("home:p")}})
    home.write("other/config.json", {"auths": {HOST: encoded("other:p")}})
    found, _ = load(home, DOCKER_CONFIG=str(home.directory / "other"))
    assert pair(first(found)) == ("other", "p")


def test_a_malformed_variable_is_ignored_with_a_warning(home: Home) -> None:
    home.write(".docker/config.json", {"auths": {HOST: encoded("home:p")}})
    found, warnings = load(home, DOCKER_AUTH_CONFIG='{"auths": {"r.example": hunter2}}')
    assert pair(first(found)) == ("home", "p")
    assert len(warnings) == 1
    assert warnings[0].startswith("DOCKER_AUTH_CONFIG is ignored: no valid JSON at line 1, column 25")
    assert "hunter2" not in warnings[0]


def test_the_variable_holds_entries_alone(home: Home) -> None:
    found, _ = load(home, DOCKER_AUTH_CONFIG='{"credsStore": "x", "credHelpers": {"r.example": "x"}}')
    assert found.entries(HOST) == []


def test_a_bad_entry_for_another_registry_is_a_warning_that_names_the_registry_alone(home: Home) -> None:
    home.write(".docker/config.json", {"auths": {"bad.example": {"auth": "hunter2!"}, HOST: encoded("u:p")}})
    found, warnings = load(home)
    assert pair(first(found)) == ("u", "p")
    (warning,) = warnings
    assert "the entry for bad.example is dropped: its 'auth' is no base64" in warning
    assert "hunter2" not in warning


def test_keys_of_paths_in_podmans_file_are_warned_of(home: Home) -> None:
    path = home.write("auth.json", {"auths": {"r.example/team": encoded("t:p"), HOST: encoded("u:p")}})
    found, warnings = load(home, REGISTRY_AUTH_FILE=str(path))
    assert pair(first(found)) == ("u", "p")
    assert warnings == [f"{path}: r.example/team is ignored, as BuildKit knows one credential a host, not one a path"]


def test_keys_of_paths_count_in_dockers_own_file_alone_and_last(home: Home) -> None:
    """There `r.example/team` is what an old `docker login` left, and docker takes it for all of r.example."""
    login = {"r.example/team": encoded("t:p")}
    home.write(".docker/config.json", {"auths": login, "credHelpers": {"other.example/x": "none-such"}})
    found, warnings = load(home)
    assert pair(first(found)) == ("t", "p")
    assert found.entries("other.example") == []
    assert warnings == []

    home.write(".docker/config.json", {"auths": {**login, f"http://{HOST}": encoded("u:p")}})
    assert pair(first(load(home)[0])) == ("u", "p")
    (home.directory / ".docker" / "config.json").unlink()
    assert load(home, DOCKER_AUTH_CONFIG=json.dumps({"auths": login}))[0].entries(HOST) == []


def test_a_malformed_podman_file_is_an_error(home: Home) -> None:
    path = home.write("auth.json", "{")
    with pytest.raises(UsageError, match=str(path)):
        load(home, REGISTRY_AUTH_FILE=str(path))


def test_nothing_at_all_is_no_config(home: Home) -> None:
    found, warnings = load(home)
    assert found.files == ()
    assert warnings == []


def test_a_thousand_entries_are_looked_up() -> None:
    many = {f"r{n}.example": encoded("u:p") for n in range(1000)}
    found = config({"auths": many})
    assert all(found.entries(f"r{n}.example") for n in range(1000))


def test_a_helper_does_not_see_what_is_ours_to_read(tmp_path: Path) -> None:
    program = tmp_path / "docker-credential-mine"
    program.write_text('#!/bin/sh\nprintf \'{"Username":"u","Secret":"%s"}\' "$PASS-$DOCKER_AUTH_CONFIG-$OWN"\n')
    program.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PASS": "a:b", "DOCKER_AUTH_CONFIG": "{}", "OWN": "his"}
    assert pair(first(config({"credHelpers": {HOST: "mine"}}, env=env))) == ("u", "--his")
