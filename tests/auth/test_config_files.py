"""Reading the user's docker and podman configs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.auth.config_files import (
    MAX_BYTES,
    docker_config_path,
    parse_config,
    podman_config_paths,
    read_config,
)
from ocibuild_core.errors import UsageError

if TYPE_CHECKING:
    from support.programs import ProgramRunner
    from support.strangers import Stranger
    from support.users import OrdinaryUser

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(["auths", "credHelpers", "credsStore", "proxies", "CREDSSTORE", "other"])


@given(document=JSON | st.dictionaries(FIELDS, JSON))
def test_any_json_is_a_config_or_a_usage_error(document: Any) -> None:  # noqa: ANN401
    try:
        config = parse_config(json.dumps(document).encode(), "c")
    except UsageError:
        return
    assert isinstance(config.creds_store, str)
    assert isinstance(config.auths, Mapping)


@given(content=st.binary(max_size=60))
def test_any_bytes_are_a_config_or_a_usage_error(content: bytes) -> None:
    try:
        parse_config(content, "c")
    except UsageError as error:
        assert "the docker config c is malformed" in str(error)  # noqa: PT017  # none is as good


def test_the_fields_are_found_in_any_case() -> None:
    config = parse_config(
        b'{"Auths": {"h": {}}, "credsstore": "x", "CREDHELPERS": {"g": "y"}, "Proxies": {"d": {"ftpProxy": "p"}}}',
        "c",
    )
    assert (dict(config.auths), config.creds_store, dict(config.cred_helpers)) == ({"h": {}}, "x", {"g": "y"})
    assert config.proxies == {"d": {"ftpProxy": "p"}}


@pytest.mark.parametrize("content", [b"", b" \n", b"{}", b"null", b'{"auths": null}', b"\xef\xbb\xbf{}"])
def test_nothing_is_an_empty_config(content: bytes) -> None:
    config = parse_config(content, "c")
    assert (config.auths, config.creds_store, config.cred_helpers) == ({}, "", {})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"auths": {"h": {"auth": "hunter2"}},}', "line 1, column"),
        (b'{\n"auths": hunter2\n}', "line 2, column 10"),
        (b'["hunter2"]', "a JSON array, not an object"),
        (b'"hunter2"', "a JSON string, not an object"),
        (b"7", "a JSON number, not an object"),
        (b'{"auths": ["hunter2"]}', "'auths' is a JSON array, not an object"),
        (b'{"credHelpers": "hunter2"}', "'credHelpers' is a JSON string"),
        (b'{"credHelpers": {"h": ["hunter2"]}}', "must be texts"),
        (b'{"credsStore": {"hunter2": 1}}', "must be texts"),
        (b'{"proxies": {"default": "hunter2"}}', "'proxies' must be objects"),
        (b'{"auths": "\xff hunter2"}', "not UTF-8, from byte 11 on"),
        (b"[" * 100000, "no valid JSON"),
        (b'{"x": ' + b"9" * 5000 + b"}", "no valid JSON"),
    ],
)
def test_a_malformed_config_is_an_error_without_its_content(content: bytes, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_config(content, "/home/u/.docker/config.json")
    text = str(caught.value)
    assert why in text
    assert "/home/u/.docker/config.json" in text
    assert "hunter2" not in text
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_our_own_helper_counts_as_absent() -> None:
    config = parse_config(b'{"credsStore": "ocibuild", "credHelpers": {"a": "ocibuild", "b": "x"}}', "c")
    assert (config.creds_store, dict(config.cred_helpers)) == ("", {"b": "x"})


@pytest.mark.parametrize(
    ("env", "path", "named"),
    [
        ({"DOCKER_CONFIG": "/d", "HOME": "/h"}, "/d/config.json", True),
        ({"DOCKER_CONFIG": "", "HOME": "/h"}, "/h/.docker/config.json", False),
        ({"HOME": "/"}, "/.docker/config.json", False),
    ],
)
def test_where_dockers_config_is(env: dict[str, str], path: str, *, named: bool) -> None:
    assert (str(docker_config_path(env)[0]), docker_config_path(env)[1]) == (path, named)


def test_without_a_home_the_users_own_is_asked_of_the_system() -> None:
    path, _ = docker_config_path({})
    assert path is None or path.name == "config.json"


def test_where_podmans_config_is() -> None:
    assert [str(path) for path in podman_config_paths({"REGISTRY_AUTH_FILE": "/a.json", "HOME": "/h"})[0]] == [
        "/a.json"
    ]
    assert [str(path) for path in podman_config_paths({"XDG_RUNTIME_DIR": "/run/user/7", "HOME": "/h"})[0]] == [
        "/run/user/7/containers/auth.json",
        "/h/.config/containers/auth.json",
    ]


@pytest.mark.parametrize("reason", ["", "Permission denied"])
def test_where_podman_keeps_logins_without_a_session(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where root's podman has closed the directory, an ordinary user's keeps none there."""
    monkeypatch.setattr("ocibuild_core.auth.config_files.closed", lambda _: reason)
    found = [str(path) for path in podman_config_paths({"HOME": "/h"})[0]]
    first = [] if reason else [f"/run/containers/{os.geteuid()}/auth.json"]
    assert found == [*first, "/h/.config/containers/auth.json"]


@pytest.fixture
def warnings() -> list[str]:
    return []


def test_no_file_is_no_config(tmp_path: Path, warnings: list[str]) -> None:
    assert read_config(tmp_path / "none", named=True, warn=warnings.append) is None
    (tmp_path / "file").touch()
    assert read_config(tmp_path / "file" / "config.json", named=False, warn=warnings.append) is None
    assert read_config(Path("/dev/null/config.json"), named=True, warn=warnings.append) is None
    assert warnings == []


def test_the_file_in_place_of_its_directory_is_said(tmp_path: Path, warnings: list[str]) -> None:
    """`DOCKER_CONFIG=~/.docker/config.json`: who wrote that has logins there, and must not go on without them."""
    file = tmp_path / "config.json"
    file.write_text('{"credsStore": "x"}')
    path, named = docker_config_path({"DOCKER_CONFIG": str(file)})
    assert path
    with pytest.raises(UsageError, match=f"{file} is a file") as caught:
        read_config(path, named=named, warn=warnings.append)
    assert "the directory of config.json" in caught.value.do


def test_a_link_is_followed(tmp_path: Path, warnings: list[str]) -> None:
    """As Kubernetes mounts secrets: config.json -> ..data/config.json -> ..2030/config.json."""
    (tmp_path / "..2030").mkdir()
    (tmp_path / "..2030" / "config.json").write_text('{"credsStore": "x"}')
    (tmp_path / "..data").symlink_to("..2030")
    (tmp_path / "config.json").symlink_to("..data/config.json")
    config = read_config(tmp_path / "config.json", named=True, warn=warnings.append)
    assert config
    assert config.creds_store == "x"


def test_dev_null_is_an_empty_config(tmp_path: Path, warnings: list[str]) -> None:
    (tmp_path / "config.json").symlink_to("/dev/null")
    config = read_config(tmp_path / "config.json", named=True, warn=warnings.append)
    assert config
    assert config.auths == {}


def test_a_pipe_does_not_hang(tmp_path: Path, warnings: list[str]) -> None:
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(UsageError, match="no regular file"):
        read_config(tmp_path / "config.json", named=False, warn=warnings.append)


def test_a_directory_is_no_config(tmp_path: Path, warnings: list[str]) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(UsageError, match="no regular file"):
        read_config(tmp_path / "config.json", named=False, warn=warnings.append)


def test_fifty_megabytes_are_refused_unread(tmp_path: Path, warnings: list[str]) -> None:
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(50 * 1024 * 1024)
    with pytest.raises(UsageError, match="larger than 8 MB"):
        read_config(path, named=True, warn=warnings.append)


def test_the_largest_one_that_is_taken(tmp_path: Path, warnings: list[str]) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b"{}" + b" " * (MAX_BYTES - 2))
    assert read_config(path, named=True, warn=warnings.append)


@pytest.mark.parametrize(("mode", "is_warned"), [(0o600, False), (0o640, False), (0o644, True), (0o604, True)])
def test_secrets_that_everybody_may_read_are_warned_of(
    tmp_path: Path, warnings: list[str], mode: int, *, is_warned: bool
) -> None:
    path = tmp_path / "config.json"
    for name in ("auth", "Auth", "identityToken"):
        path.write_text(f'{{"auths": {{"h": {{"{name}": "dTpw"}}}}}}')
        path.chmod(mode)
        assert read_config(path, named=False, warn=warnings.append)
        assert bool(warnings) is is_warned
        assert all("chmod 600" in text for text in warnings)
        warnings.clear()


def test_a_config_without_secrets_may_be_read_by_everybody(tmp_path: Path, warnings: list[str]) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"auths": {"h": {}}, "credsStore": "x"}')
    path.chmod(0o644)
    assert read_config(path, named=False, warn=warnings.append)
    assert warnings == []


AS_ANOTHER_USER = """
import sys
from pathlib import Path
from ocibuild_core.auth.config_files import read_config
try:
    config = read_config(Path(sys.argv[1]), named=sys.argv[2] == "named", warn=lambda text: print("warning:", text))
    print("config" if config else "none")
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("named", [True, False])
def test_an_unreadable_config_is_an_error_only_where_it_was_named(
    run: ProgramRunner, sandbox: Path, ordinary_user: OrdinaryUser, *, named: bool
) -> None:
    path = sandbox / "config.json"
    path.write_text("{}")
    path.chmod(0o000)
    sandbox.chmod(0o755)
    ended = run(
        sys.executable, "-c", AS_ANOTHER_USER, str(path), "named" if named else "", cwd=sandbox, user=ordinary_user
    ).succeeded()
    if named:
        assert ended.stdout.startswith(
            f"UsageError the docker config {path} cannot be read\n  why    Permission denied"
        )
    else:
        assert ended.stdout == f"warning: the docker config {path} is ignored: Permission denied\nnone\n"


def test_another_users_config_is_read_with_a_warning(sandbox: Path, warnings: list[str], stranger: Stranger) -> None:
    path = sandbox / "config.json"
    path.write_text("{}")
    uid = stranger.take(path)
    assert read_config(path, named=False, warn=warnings.append)
    assert warnings == [f"the docker config {path} belongs to another user (uid {uid})"]
