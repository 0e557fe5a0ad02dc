"""What a process is told about logins without a command line: the environment and the user's own file of settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocibuild_core.auth.login import DEFAULT_TIMEOUT, LoginSettings, parse_login
from ocibuild_core.errors import UsageError
from ocibuild_core.option_sources import Document, OptionSources
from ocibuild_core.selection import Selection, select_plugins
from ocibuild_core.settings.values import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

KEEPER_ENV = "OCIBUILD_CREDENTIAL_STORE"
KEEPER_KEY = "credential-store"
LOGIN_ENV = "LOGIN"
TIMEOUT_ENV = "LOGIN_TIMEOUT"

_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambient:
    """All of it.

    Args:
        login: who logs in.
        selection: which plugins may be loaded.
        options: where the options of providers come from.
        keeper: the provider that keeps credentials, or empty.
    """

    login: LoginSettings
    selection: Selection
    options: OptionSources
    keeper: str = ""


def user_settings_path(env: Mapping[str, str]) -> Path | None:
    """The user's own file of settings; None without a home."""
    base = env.get("XDG_CONFIG_HOME") or (f"{env['HOME']}/.config" if env.get("HOME") else "")
    return Path(base) / "ocibuild.yml" if base else None


def read_ambient(env: Mapping[str, str]) -> Ambient:
    """Read the environment and the user's file.

    Raises:
        UsageError: something in them is malformed.
    """
    document = _user_document(env)
    values = document.values if document else {}
    name = document.name if document else ""
    plugins = _mapping(values, "plugins", name)
    return Ambient(
        login=_login(env, values, name),
        selection=select_plugins(
            env=env,
            file=name,
            file_allow=_texts(plugins, "allow", name) if "allow" in plugins else None,
            file_block=_texts(plugins, "block", name),
        ),
        options=OptionSources(env=env, yaml=[document] if document else []),
        keeper=env.get(KEEPER_ENV) or _text(values, KEEPER_KEY, name),
    )


def _login(env: Mapping[str, str], values: Mapping[str, Any], name: str) -> LoginSettings:
    from_env = env.get(LOGIN_ENV, "").strip()
    return parse_login(
        [from_env] if from_env else _texts(values, "login", name),
        origin=LOGIN_ENV if from_env else f"{name}: login",
        registries={key: str(value) for key, value in _mapping(values, "registries", name).items()},
        registries_origin=f"{name}: registries",
        timeout=_timeout(env, values, name),
    )


def _timeout(env: Mapping[str, str], values: Mapping[str, Any], name: str) -> float:
    text, origin = env.get(TIMEOUT_ENV, ""), TIMEOUT_ENV
    if not text:
        text, origin = _text(values, "login-timeout", name), f"{name}: login-timeout"
    if not text:
        return DEFAULT_TIMEOUT
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{origin}={text!r}: {error}") from None


def _user_document(env: Mapping[str, str]) -> Document | None:
    path = user_settings_path(env)
    try:
        content = path.read_bytes()[: _MAX_BYTES + 1] if path else b""
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be read", why=error.strerror or str(error)) from None
    if len(content) > _MAX_BYTES:
        raise UsageError(f"{path} is larger than {_MAX_BYTES // 1024} KiB")
    return Document(name=str(path), values=_parse_yaml(content, str(path))) if content.strip() else None


def _parse_yaml(content: bytes, name: str) -> Mapping[str, Any]:
    import yaml  # 20 ms that only a file of settings costs

    try:
        document = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UsageError(f"{name}{where}: not YAML") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise UsageError(f"{name}: a mapping of settings is expected")
    return {str(key): value for key, value in document.items()}


def _mapping(values: Mapping[str, Any], key: str, name: str) -> Mapping[str, Any]:
    value = values.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{name}: {key}: a mapping is expected")
    return {str(inner): item for inner, item in value.items()}


def _texts(values: Mapping[str, Any], key: str, name: str) -> list[str]:
    value = values.get(key)
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in items):
        raise UsageError(f"{name}: {key}: a list of names is expected")
    return items


def _text(values: Mapping[str, Any], key: str, name: str) -> str:
    value = values.get(key)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{name}: {key}: a text is expected")
    return str(value)
