"""Reads the docker and podman configs of the user: bounded, checked, never written."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ocibuild_core.errors import UsageError
from ocibuild_core.places import closed
from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_BYTES = 8 * 1024 * 1024
"""The largest config that is read. One with a thousand registries is 200 KB."""

OWN_HELPER = "ocibuild"
"""The helper whose answers come from here: naming it in the user's config says nothing new."""

PROGRAM = f"docker-credential-{OWN_HELPER}"
"""Its program."""

_SECRET_FIELDS = ("auth", "password", "identitytoken", "registrytoken")


class ConfigFile(NamedTuple):
    """One config as it is written; keys of registries as they are spelled there.

    Args:
        name: for people: its path, or the variable that holds it.
        auths: entry by key; an entry may be of any type, as it is judged only when it is needed.
        cred_helpers: helper by key; an empty one means that `auths` is asked.
        creds_store: the helper for all other registries, or empty.
        proxies: settings by daemon address or `default`.
    """

    name: str
    auths: Mapping[str, Any] = MappingProxyType({})
    cred_helpers: Mapping[str, str] = MappingProxyType({})
    creds_store: str = ""
    proxies: Mapping[str, Mapping[str, str]] = MappingProxyType({})

    def __repr__(self) -> str:
        return f"ConfigFile(name={self.name!r})"  # the rest may hold passwords

    def holds_secrets(self) -> bool:
        """Whether somebody who reads it learns a credential."""
        entries = [fields_of(entry) for entry in self.auths.values() if isinstance(entry, dict)]
        return any(entry.get(name) for entry in entries for name in _SECRET_FIELDS)


def fields_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a JSON object by their names in lower case.

    Go's decoder takes a field in any case (https://pkg.go.dev/encoding/json#Unmarshal).
    """
    return {key.lower(): value for key, value in document.items()}


def docker_config_path(env: Mapping[str, str]) -> tuple[Path | None, bool]:
    """Where docker's config is, and whether the user said so.

    Source: docker/cli, cli/config, `Dir`: `$DOCKER_CONFIG`, else `.docker` in the home directory.
    """
    if env.get("DOCKER_CONFIG"):
        return Path(env["DOCKER_CONFIG"]) / "config.json", True
    home = env.get("HOME") or _home_of_user()
    return (Path(home) / ".docker" / "config.json" if home else None), False


def podman_config_paths(env: Mapping[str, str]) -> tuple[list[Path], bool]:
    """Where podman's logins may be, in its order, and whether the user said so.

    Source: containers-auth.json(5).
    """
    if env.get("REGISTRY_AUTH_FILE"):
        return [Path(env["REGISTRY_AUTH_FILE"])], True
    home = env.get("HOME") or _home_of_user()
    places = (
        env.get("XDG_RUNTIME_DIR") or _podman_runtime(),
        env.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else ""),
    )
    return [
        Path(place) / "auth.json" if place.startswith("/run/containers/") else Path(place) / "containers" / "auth.json"
        for place in places
        if place
    ], False


def _podman_runtime() -> str:
    """Empty where root's podman has closed the directory: then podman keeps nothing of this user there."""
    place = f"/run/containers/{os.geteuid()}"
    return "" if closed(place) else place


def read_config(path: Path, *, named: bool, warn: Callable[[str], None]) -> ConfigFile | None:
    """Read the config at `path`; None when there is none.

    Args:
        path: the file; links are followed, as secrets are mounted so in Kubernetes.
        named: the user named this place: then it must be readable.
        warn: told of what is odd but no obstacle.

    Raises:
        UsageError: it is no config.
    """
    try:
        content, info = _read(path)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        if named and path.parent.is_file():
            raise UsageError(
                f"the docker config {path} cannot be read",
                why=f"{path.parent} is a file",
                do="name the directory of config.json in DOCKER_CONFIG, not the file",
            ) from None
        return None
    except OSError as error:
        if named:
            raise UsageError(
                f"the docker config {path} cannot be read", why=error.strerror or str(error), do="make it readable"
            ) from None
        warn(f"the docker config {path} is ignored: {error.strerror or error}")
        return None
    config = parse_config(content, str(path))
    if config.holds_secrets() and info.st_mode & stat.S_IROTH:
        warn(f"the docker config {path} holds secrets and every user of this machine may read it: chmod 600 {path}")
    if info.st_uid not in (0, os.geteuid()):
        warn(f"the docker config {path} belongs to another user (uid {info.st_uid})")
    return config


def parse_config(content: bytes, name: str) -> ConfigFile:
    """Read a config's text. An empty one is an empty config.

    Raises:
        UsageError: it is malformed; says where, never what stands there.
    """
    document = _parse_json(content, name)
    if document is None:
        return ConfigFile(name=name)
    if not isinstance(document, dict):
        raise _malformed(name, f"it is a JSON {_json_type(document)}, not an object")
    fields = fields_of(document)
    store = fields.get("credsstore") or ""
    helpers = _object(fields, "credHelpers", name)
    proxies = _object(fields, "proxies", name)
    if not isinstance(store, str) or not all(isinstance(helper, str) for helper in helpers.values()):
        raise _malformed(name, "'credsStore' and the values of 'credHelpers' must be texts")
    if not all(isinstance(proxy, dict) for proxy in proxies.values()):
        raise _malformed(name, "the values of 'proxies' must be objects")
    return ConfigFile(
        name=name,
        auths=_object(fields, "auths", name),
        cred_helpers={key: helper for key, helper in helpers.items() if helper != OWN_HELPER},
        creds_store="" if store == OWN_HELPER else store,
        proxies={
            address: {key: value for key, value in proxy.items() if isinstance(value, str)}
            for address, proxy in proxies.items()
        },
    )


def _read(path: Path) -> tuple[bytes, os.stat_result]:
    # Not blocking: a FIFO in the place of the file must not hang the build.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        info = os.fstat(descriptor)
        if stat.S_ISCHR(info.st_mode):
            return b"", info  # /dev/null: the usual way to say "no config"
        if not stat.S_ISREG(info.st_mode):
            raise UsageError(f"the docker config {path} is no regular file", do="put a file there, or nothing")
        with open(descriptor, "rb", closefd=False) as file:  # a descriptor has no path
            content = file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_BYTES:
        raise UsageError(
            f"the docker config {path} is larger than {MAX_BYTES // 1024 // 1024} MB",
            do="point DOCKER_CONFIG to the directory of a real one",
        )
    return content, info


def _parse_json(content: bytes, name: str) -> Any:  # noqa: ANN401  # JSON
    import json  # noqa: PLC0415  # many users have no config

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _malformed(name, f"it is not UTF-8, from byte {error.start} on") from None
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        # The error's own text and document are dropped: the document holds secrets.
        raise _malformed(name, f"no valid JSON at line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise _malformed(name, f"no valid JSON ({type(error).__name__})") from None


def _object(fields: Mapping[str, Any], field_name: str, name: str) -> dict[str, Any]:
    value = fields.get(field_name.lower())
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _malformed(name, f"{field_name!r} is a JSON {_json_type(value)}, not an object")
    return value


def _json_type(value: object) -> str:
    names = {list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "value")


def _malformed(name: str, why: str) -> UsageError:
    return UsageError(f"the docker config {name} is malformed", why=why, do="mend it, or point DOCKER_CONFIG elsewhere")


def _home_of_user() -> str:
    import pwd  # noqa: PLC0415  # only where HOME is missing

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return ""
