"""The user's own docker config: what it says for a registry, honoured as docker does, read and never written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocibuild_core.auth.config_files import (
    ConfigFile,
    docker_config_path,
    fields_of,
    parse_config,
    podman_config_paths,
    read_config,
)
from ocibuild_core.auth.running_helpers import HelpersClosed, RunningHelpers
from ocibuild_core.child_environment import for_user_program
from ocibuild_core.errors import CredentialError, UsageError
from ocibuild_core.late_logging import get_logger
from ocibuild_core.records import NamedTuple
from ocibuild_core.registry.hosts import DOCKER_HUB, docker_key, normalise, split
from ocibuild_core.secret import Secret
from ocibuild_core.terminal import NOTICE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocibuild_core.credentials import Credential

_log = get_logger("ocibuild.auth")
HELPER_LASTING = 240.0
"""Seconds that a helper's answer is kept: it has no end that we could know, and BuildKit asks anew after 4 min 50 s."""


class FileEntry(NamedTuple):
    """A credential that stands in the config itself."""

    who: str
    reason: str
    registry: str
    entry: Any
    binding: bool = True
    lasting: float | None = None

    def credential(self) -> Credential | None:
        """What the entry holds; None for the empty markers that docker leaves beside helpers."""
        return _decode(self.entry, f"{self.who}: the entry for {self.registry}")


class HelperEntry(NamedTuple):
    """A credential helper that the config names.

    Args:
        binding: named for this registry alone (`credHelpers`): then its failure is an error.
    """

    who: str
    reason: str
    helper: str
    server: str
    env: Mapping[str, str]
    timeout: float
    running: RunningHelpers
    binding: bool
    token_entry: Any = None
    lasting: float | None = HELPER_LASTING

    def credential(self) -> Credential | None:
        """What the helper has."""
        from ocibuild_core.auth.user_helpers import HelperMissing, ask_helper  # noqa: PLC0415  # most users have none

        _refuse_registry_token(self.token_entry, f"{self.who}: the entry for {self.server}")
        try:
            env = for_user_program(self.env)
            return ask_helper(self.helper, self.server, env=env, timeout=self.timeout, running=self.running)
        except HelpersClosed:
            raise
        except HelperMissing as error:
            if not self.binding:
                _log.warning("%s names credsStore %r, but %s; %s", self.who, self.helper, error.summary, error.do)
                return None
            raise CredentialError(f"{self.who}: {error.summary}", why=self.reason, do=error.do) from None
        except CredentialError as error:
            if not self.binding:
                _log.warning("%s: %s", self.who, error)
                return None
            raise CredentialError(f"{self.who}: {error.summary}", why=error.why, do=error.do) from None


class UserConfig:
    """All configs of the user, in the order in which they are asked.

    Args:
        files: the configs.
        env: the user's environment, for his helpers.
        timeout: seconds for one helper call.
    """

    def __init__(self, files: tuple[ConfigFile, ...] = (), *, env: Mapping[str, str], timeout: float) -> None:
        self.files = files
        self._env = env
        self._timeout = timeout
        self._running = RunningHelpers()
        self._auth_keys = [_by_registry(file.auths) for file in files]
        self._helper_keys = [_by_registry(_of_hosts(file.cred_helpers)) for file in files]

    def entries(self, registry: str) -> list[FileEntry | HelperEntry]:
        """What the configs say for a registry, in order; empty when they say nothing."""
        return [entry for position in range(len(self.files)) if (entry := self._entry(position, registry))]

    def registries(self) -> tuple[str, ...]:
        """The registries that have an entry or a helper of their own."""
        return tuple(dict.fromkeys(name for keys in (*self._auth_keys, *self._helper_keys) for name in keys))

    def without_helpers(self) -> UserConfig:
        """The same without the helpers: for a process that is itself such a helper, so that none asks in circles."""
        files = tuple(file._replace(cred_helpers={}, creds_store="") for file in self.files)
        return UserConfig(files, env=self._env, timeout=self._timeout)

    def close(self) -> None:
        """End the helpers that still run, and ask no more."""
        self._running.close()

    def proxies(self, daemon: str = "") -> dict[str, str]:
        """Build arguments from `proxies`, as docker makes them.

        Args:
            daemon: the daemon's address, for settings of its own; without such, `default` holds.

        Source: docker/cli, configfile.ParseProxyConfig: each in upper and lower case.
        """
        merged = {address: proxy for file in self.files for address, proxy in file.proxies.items()}
        proxy = merged.get(daemon) or merged.get("default") or {}
        found: dict[str, str] = {}
        for key, name in _PROXY_ARGS.items():
            if proxy.get(key):
                found |= {name: proxy[key], name.lower(): proxy[key]}
        return found

    def _entry(self, position: int, registry: str) -> FileEntry | HelperEntry | None:
        file = self.files[position]
        entry_key = self._auth_keys[position].get(registry)
        entry = file.auths.get(entry_key) if entry_key is not None else None
        helper_key = self._helper_keys[position].get(registry)
        if helper_key is not None and file.cred_helpers[helper_key]:
            reason = f"its credHelpers name {file.cred_helpers[helper_key]!r} for {helper_key}"
            return HelperEntry(
                who=file.name,
                reason=reason,
                helper=file.cred_helpers[helper_key],
                server=helper_key,
                binding=True,
                token_entry=entry,
                env=self._env,
                timeout=self._timeout,
                running=self._running,
            )
        # An empty helper means: look into the file (docker/cli, configfile.GetCredentialsStore).
        if helper_key is None and file.creds_store:
            reason = f"its credsStore is {file.creds_store!r}"
            return HelperEntry(
                who=file.name,
                reason=reason,
                helper=file.creds_store,
                server=docker_key(registry),
                binding=False,
                token_entry=entry,
                env=self._env,
                timeout=self._timeout,
                running=self._running,
            )
        if entry_key is None:
            return None
        return FileEntry(who=file.name, reason=f"its auths have {entry_key}", registry=registry, entry=entry)


def load_user_config(
    env: Mapping[str, str], *, timeout: float, warn: Callable[[str], None] | None = None
) -> UserConfig:
    """Read `DOCKER_AUTH_CONFIG`, docker's config and podman's, in this order of precedence.

    Raises:
        UsageError: a file is malformed, or it was named and cannot be read.
    """
    say = warn or _warn
    files = [file for source in (_from_variable, _from_docker, _from_podman) for file in source(env, say)]
    for file in files:
        _warn_of_bad_entries(file, say)
    return UserConfig(tuple(files), env=env, timeout=timeout)


def _warn(text: str) -> None:
    _log.warning("%s", text)


def _from_variable(env: Mapping[str, str], warn: Callable[[str], None]) -> list[ConfigFile]:
    """`DOCKER_AUTH_CONFIG`: entries of `auths` alone (docker/cli, configfile, `dockerEnvConfig`)."""
    text = env.get("DOCKER_AUTH_CONFIG", "")
    if not text:
        return []
    try:
        config = parse_config(text.encode(errors="surrogateescape"), "DOCKER_AUTH_CONFIG")
    except UsageError as error:
        warn(f"DOCKER_AUTH_CONFIG is ignored: {error.why}")
        return []
    _log.log(NOTICE, "DOCKER_AUTH_CONFIG comes before the docker config, for %d registries", len(config.auths))
    return [ConfigFile(name=config.name, auths=_of_hosts(config.auths))]


def _from_docker(env: Mapping[str, str], warn: Callable[[str], None]) -> list[ConfigFile]:
    path, named = docker_config_path(env)
    config = read_config(path, named=named, warn=warn) if path else None
    return [config] if config else []


def _from_podman(env: Mapping[str, str], warn: Callable[[str], None]) -> list[ConfigFile]:
    paths, named = podman_config_paths(env)
    found = [config for path in paths if (config := read_config(path, named=named, warn=warn))]
    for config in found:
        scoped = [key for key in (*config.auths, *config.cred_helpers) if _registry_of(key) is None]
        if scoped:
            warn(f"{config.name}: {scoped[0]} is ignored, as BuildKit knows one credential a host, not one a path")
    return [config._replace(auths=_of_hosts(config.auths), creds_store="", proxies={}) for config in found]


def _warn_of_bad_entries(config: ConfigFile, warn: Callable[[str], None]) -> None:
    for key, entry in config.auths.items():
        try:
            _decode(entry, config.name)
        except CredentialError as error:
            warn(f"the docker config {config.name}: the entry for {normalise(key) or 'a key'} is dropped: {error.why}")


def _by_registry(entries: Mapping[str, Any]) -> dict[str, str]:
    """The key that means a registry: its exact name first, as docker prefers it, else in the file's order.

    A key of a path is the last choice, and means the whole host (docker/cli, cli/config/credentials/file_store.go,
    `ConvertToHostname`). Docker Hub's has two beside the login that hold no password.
    """
    found: dict[str, str] = {}
    for key in sorted(entries, key=_is_of_path):
        address = split(key)
        if address is None or (address.path and address.registry == DOCKER_HUB):
            continue
        if address.registry not in found or key == docker_key(address.registry):
            found[address.registry] = key
    return found


def _of_hosts(entries: Mapping[str, Any]) -> dict[str, Any]:
    """The entries whose key names a whole registry: where others don't count."""
    return {key: entry for key, entry in entries.items() if _registry_of(key) is not None}


def _is_of_path(key: str) -> bool:
    address = split(key)
    return bool(address and address.path)


def _registry_of(key: str) -> str | None:
    """The registry that a key covers; None for keys of a path in it."""
    address = split(key)
    return address.registry if address and not address.path else None


def _decode(entry: object, what: str) -> Credential | None:
    """The credential of an `auths` entry (docker/cli, cli/config/configfile, `decodeAuth`)."""
    if entry is None:
        return None
    from ocibuild_core.credentials import Credential, CredentialKind  # noqa: PLC0415  # many users have no entry

    if not isinstance(entry, dict):
        raise _bad(what, "it is no JSON object")
    fields = fields_of(entry)
    texts = {name: fields.get(name) or "" for name in ("auth", "username", "password", "identitytoken")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise _bad(what, "its values must be texts")
    _refuse_registry_token(entry, what)
    user, password = _split_auth(texts["auth"], what) if texts["auth"] else (texts["username"], texts["password"])
    try:
        if texts["identitytoken"]:
            return Credential(
                username="",
                secret=Secret(texts["identitytoken"]),
                kind=CredentialKind.IDENTITY_TOKEN,
                detail="an identity token",
            )
        if not user and not password:
            return None
        return Credential(username=user, secret=Secret(password), detail=f"user {user}")
    except (ValueError, UnicodeError) as error:
        raise _bad(what, str(error)) from None


def _split_auth(auth: str, what: str) -> tuple[str, str]:
    import base64  # noqa: PLC0415  # only where somebody has such an entry
    import binascii  # noqa: PLC0415

    # Go's decoder skips line ends inside base64 (https://pkg.go.dev/encoding/base64#Encoding.Decode).
    try:
        plain = base64.b64decode(auth.replace("\n", "").replace("\r", ""), validate=True).decode()
    except binascii.Error:
        raise _bad(what, "its 'auth' is no base64") from None
    except ValueError:
        raise _bad(what, "its 'auth' holds bytes that are no UTF-8") from None
    user, colon, password = plain.partition(":")
    if not colon:
        raise _bad(what, "its 'auth' is not user:password")
    return user, password.strip("\0")


def _refuse_registry_token(entry: object, what: str) -> None:
    if isinstance(entry, dict) and fields_of(entry).get("registrytoken"):
        raise _bad(what, "it holds a 'registrytoken', which no credential helper can hand on to BuildKit")


def _bad(what: str, why: str) -> CredentialError:
    return CredentialError(f"{what} is malformed", why=why, do="log in again with docker login, or mend the entry")


_PROXY_ARGS = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "noProxy": "NO_PROXY",
    "ftpProxy": "FTP_PROXY",
    "allProxy": "ALL_PROXY",
}
