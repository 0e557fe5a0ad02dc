from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.child_environment import for_buildctl, for_buildkitd, for_user_program, search_path

PRIVATE = {
    "PASS": "alice:secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "eu-west-1",
    "ACTIONS_RUNTIME_TOKEN": "secret",
    "DOCKER_AUTH_CONFIG": "{}",
    "DOCKER_CONFIG": "/home/alice/.docker",
    "AZURE_CLIENT_SECRET": "secret",
    "GITHUB_TOKEN": "secret",
    "BUILDKIT_SECRETTEXT_x": "secret",
    "BUILDKIT_HOST": "tcp://elsewhere",
    "OTEL_TRACES_EXPORTER": "otlp",
    "USER": "alice",
    "XDG_RUNTIME_DIR": "/run/user/0",
    "LD_PRELOAD": "/evil.so",
}
COMMON = {
    "PATH": "/usr/bin",
    "HTTP_PROXY": "http://proxy",
    "https_proxy": "http://proxy",
    "no_proxy": "localhost",
    "SSL_CERT_FILE": "/etc/ca.pem",
}
CLIENT = {
    "HOME": "/home/alice",
    "LANG": "C.UTF-8",
    "LC_ALL": "C",
    "SSH_AUTH_SOCK": "/agent",
    "TERM": "xterm",
    "NO_COLOR": "1",
}
DAEMON = {"BUILDKIT_STEP_LOG_MAX_SIZE": "1000"}
USER = {**PRIVATE, **COMMON, **CLIENT, **DAEMON}


def daemon(user: dict[str, str], *caches: str) -> dict[str, str]:
    return for_buildkitd(user, programs=Path("/opt/bin"), runtime=Path("/r"), temporary=Path("/t"), cache_types=caches)


def test_the_client_gets_its_rows_and_nothing_else() -> None:
    assert for_buildctl(USER) == {**COMMON, **CLIENT, "GOGC": "400"}


def test_the_daemon_gets_its_rows_and_places_of_its_own() -> None:
    path = "/opt/bin:/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:/bin"
    own = {"PATH": path, "USER": "ocibuild", "XDG_CONFIG_HOME": "/r", "XDG_RUNTIME_DIR": "/r", "TMPDIR": "/t"}
    assert daemon(USER) == {**COMMON, **DAEMON, **own, "GOGC": "200"}


def test_how_go_collects_is_the_users_to_say() -> None:
    said = {"GOGC": "50", "GOMEMLIMIT": "100MiB", "GOMAXPROCS": "1"}
    for share in (for_buildctl(said), daemon(said)):
        assert share.items() >= said.items()


@pytest.mark.parametrize(
    ("cache", "client", "server"),
    [
        ("s3", {"AWS_SECRET_ACCESS_KEY", "AWS_REGION"}, {"AWS_SECRET_ACCESS_KEY", "AWS_REGION"}),
        ("azblob", set(), {"AZURE_CLIENT_SECRET"}),
        ("gha", {"ACTIONS_RUNTIME_TOKEN"}, set()),
        ("registry", set(), set()),
        ("local", set(), set()),
    ],
)
def test_a_cache_brings_what_it_needs(cache: str, client: set[str], server: set[str]) -> None:
    assert for_buildctl(USER, cache_types=[cache]).keys() - for_buildctl(USER).keys() == client
    assert daemon(USER, cache).keys() - daemon(USER).keys() == server


def test_the_client_gets_the_secrets_that_were_asked_for() -> None:
    added = for_buildctl(USER, secret_names=["GITHUB_TOKEN", "UNSET"]).keys() - for_buildctl(USER).keys()
    assert added == {"GITHUB_TOKEN"}


def test_not_even_by_name_is_pass_handed_on() -> None:
    assert "PASS" not in for_buildctl(USER, secret_names=["PASS"])


def test_a_program_of_the_users_choice_gets_his_environment_without_what_is_ours_to_read() -> None:
    withheld = {"PASS", "DOCKER_AUTH_CONFIG", "BUILDKIT_SECRETTEXT_x"}
    assert for_user_program(USER) == {name: value for name, value in USER.items() if name not in withheld}
    assert "GITHUB_TOKEN" not in for_user_program(USER, secret_names=["GITHUB_TOKEN"])


def test_the_search_path_has_no_relative_directory_and_no_double() -> None:
    assert search_path(".::bin:/usr/bin:/a", first=Path("/usr/bin")) == (
        "/usr/bin:/a:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:/bin"
    )


@given(st.dictionaries(st.text(), st.text()))
def test_nothing_is_made_up_or_changed(user: dict[str, str]) -> None:
    for share in (for_buildctl(user), for_user_program(user)):
        assert share.items() <= {"GOGC": "400", **user}.items()
