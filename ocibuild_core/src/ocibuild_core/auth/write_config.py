"""Writes a plain docker config, with the secrets in it, for tools that know no credential helpers."""

from __future__ import annotations

import base64
import json
import os
import secrets
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocibuild_core.credentials import CredentialKind
from ocibuild_core.errors import UsageError
from ocibuild_core.registry.hosts import docker_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from ocibuild_core.credentials import Credential

NAME = "config.json"
MARK = "ocibuild"
"""The field that tells a file of ours, which the next call may replace, from a person's own. Docker ignores it."""

_MAX_EXISTING = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenConfig:
    """What was written.

    Args:
        path: the file.
        registries: whose credentials it holds.
        expires_at: when the first of them ends; None when none does, or nobody can say.
    """

    path: Path
    registries: tuple[str, ...]
    expires_at: datetime | None


def write_docker_config(directory: Path, credentials: Mapping[str, Credential]) -> WrittenConfig:
    """Write `config.json` (0600) into `directory`, which is made (0700) when it is not there.

    An existing one is replaced only if it was written here, and always as a whole: what links to it keeps the old.

    Args:
        directory: where; nobody else may write there.
        credentials: by registry.

    Raises:
        UsageError: the directory or what is in it will not do.
    """
    expires_at = min((one.expires_at for one in credentials.values() if one.expires_at), default=None)
    document = {
        "auths": {docker_key(registry): _entry(credential) for registry, credential in credentials.items()},
        MARK: {"expires_at": expires_at.isoformat() if expires_at else None},
    }
    with _opened(directory) as descriptor:
        _check_existing(descriptor, directory / NAME)
        _replace(descriptor, json.dumps(document, indent=2) + "\n")
    return WrittenConfig(path=directory / NAME, registries=tuple(credentials), expires_at=expires_at)


def _entry(credential: Credential) -> dict[str, str]:
    secret = credential.secret.reveal()
    if credential.kind is CredentialKind.IDENTITY_TOKEN:
        return {"identitytoken": secret}
    return {"auth": base64.b64encode(f"{credential.username}:{secret}".encode()).decode()}


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"{directory} cannot be used for a docker config", why=error.strerror or str(error)) from None
    try:
        _check_directory(descriptor, directory)
        yield descriptor
    except OSError as error:
        raise UsageError(f"{directory / NAME} cannot be written", why=error.strerror or str(error)) from None
    finally:
        os.close(descriptor)


def _check_directory(descriptor: int, directory: Path) -> None:
    info = os.fstat(descriptor)
    if info.st_uid not in (0, os.geteuid()):
        why = f"it belongs to another user (uid {info.st_uid})"
    elif info.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not info.st_mode & stat.S_ISVTX:
        why = "other users may write there, and could put a config of their own in its place"
    else:
        return
    raise UsageError(
        f"{directory} will not do for a docker config with secrets", why=why, do="name a directory of your own"
    )


def _check_existing(descriptor: int, path: Path) -> None:
    """Refuse to replace what a person or another program keeps there."""
    try:
        file = os.open(NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=descriptor)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _not_ours(path, f"it cannot be read without following a link: {error.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise _not_ours(path, "it is no regular file")
        content = os.read(file, _MAX_EXISTING)
    finally:
        os.close(file)
    document: Any = None
    with suppress(ValueError, RecursionError):
        document = json.loads(content)
    if not isinstance(document, dict) or MARK not in document:
        raise _not_ours(path, "it was not written by this command")


def _not_ours(path: Path, why: str) -> UsageError:
    return UsageError(f"{path} is there already and is left as it is", why=why, do="name another directory")


def _replace(directory: int, text: str) -> None:
    name = f".{NAME}.{secrets.token_hex(8)}"
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        with os.fdopen(file, "w", encoding="utf-8") as opened:
            os.fchmod(opened.fileno(), 0o600)
            opened.write(text)
        os.rename(name, NAME, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(OSError):
            os.unlink(name, dir_fd=directory)
        raise
