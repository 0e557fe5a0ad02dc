"""What of a build's inputs BuildKit's client could not read: secrets, keys and caches of this machine."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from ocibuild_core.caching import exported_caches, imported_caches
from ocibuild_core.errors import UsageError
from ocibuild_core.inputs import LARGEST_SECRET, secret_fields
from ocibuild_core.places import is_directory, is_pipe, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocibuild_core.settings.model import BuildSettings

_OPENSSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_MARKS_OF_PEM = (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED")
_HEAD = 1024
"""How much of a key tells whether it is encrypted."""


def check_inputs(settings: BuildSettings, env: Mapping[str, str]) -> list[UsageError]:
    """All of it, so that nothing is started for a build that cannot work. Raises UsageError."""
    return [
        *_lacking_paths(settings),
        *_lacking_secrets(settings, env),
        *_lacking_keys(settings, env),
        *_lacking_caches(settings),
    ]


def _lacking_paths(settings: BuildSettings) -> Iterator[UsageError]:
    """A param that is set to nothing: BuildKit would take the variable of a secret's name in place of its file."""
    for pair in (*settings.secret_files, *settings.image_args):
        if not pair.value:
            yield UsageError(f"{pair.origin}: it is empty", do="give the path of a file, or leave it out")


def _lacking_secrets(settings: BuildSettings, env: Mapping[str, str]) -> Iterator[UsageError]:
    for fields in secret_fields(settings):
        name, path, variable = fields["id"], fields.get("src"), fields.get("env")
        if "PASS" in env and "PASS" in (variable, "" if path else name):
            yield UsageError(
                f"--secret id={name}: PASS is handed to no other program",
                why="it is the login's own",
                do="put the secret into another variable: --secret id=NAME,env=VARIABLE",
            )
        elif variable and variable not in env:
            yield UsageError(f"--secret env={variable}: the environment variable {variable} is not set")
        elif path == "":
            continue  # `_lacking_paths` tells
        elif not (path or variable or name in env or os.path.lexists(name)):
            yield UsageError(
                f"--secret id={name}: there is neither a variable nor a file {name}",
                do=f"say where it is: --secret id={name},src=FILE or id={name},env=VARIABLE",
            )
        elif not variable and (path or name not in env):
            yield from _unreadable_secret(settings, path or name)


def _unreadable_secret(settings: BuildSettings, path: str) -> Iterator[UsageError]:
    pair = next((pair for pair in settings.secret_files if pair.value == path), None)
    origin = pair.origin if pair else "--secret"
    why = unreadable(path)
    if pair and not os.path.lexists(path):
        yield UsageError(
            f"{origin}: cannot read the secret's file",
            why=f"{why}; the path is not shown, as it may be the secret itself",
            do=f"give the path of a file, or the secret itself as BUILDKIT_SECRETTEXT_{pair.key}",
        )
    elif why:
        yield UsageError(f"{origin}: cannot read the secret's file {path}", why=why, do="give the path of a file")
    elif is_pipe(path):
        yield UsageError(
            f"{origin}: the secret's file {path} is a pipe",
            why="it can be read only once, and each step reads a secret for itself",
            do="put it into a variable: --secret id=NAME,env=VARIABLE",
        )
    elif os.stat(path).st_size > LARGEST_SECRET:  # noqa: PTH116  # as a user wrote it
        yield UsageError(
            f"{origin}: the secret's file {path} is too large",
            why=f"BuildKit takes {LARGEST_SECRET // 1024} KiB at most",
            do="give the path of the secret itself",
        )


def _lacking_keys(settings: BuildSettings, env: Mapping[str, str]) -> Iterator[UsageError]:
    """What `ID[=SOCKET|KEY,…]` lacks; alone it means the agent (cmd/buildctl/build/ssh.go in moby/buildkit)."""
    origin = settings.origin("ssh")
    for text in settings.ssh:
        paths = [path for path in text.partition("=")[2].split(",") if path and not path.startswith("raw=")]
        for path in paths:
            if why := unreadable(path):
                do = "give the path of a key or of an agent's socket"
                yield UsageError(f"{origin} {text}: cannot read {path}", why=why, do=do)
            elif _is_locked(path):
                yield UsageError(
                    f"{origin} {text}: {path} has a passphrase",
                    why="BuildKit asks nobody for it",
                    do=f"hand the key to an agent (ssh-add {path}) and forward that: {origin} {text.partition('=')[0]}",
                )
        if not paths and not env.get("SSH_AUTH_SOCK"):
            do = f"start one (eval $(ssh-agent)), or give a key: {origin} ID=FILE"
            yield UsageError(f"{origin} {text}: there is no agent", why="SSH_AUTH_SOCK is not set", do=do)


def _is_locked(path: str) -> bool:
    """Whether a key is encrypted, as PEM tells it (RFC 1421, RFC 5958) or OpenSSH (PROTOCOL.key)."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116  # as a user wrote it
        return False  # an agent's socket
    with open(path, "rb") as file:  # noqa: PTH123  # as above
        head = file.read(_HEAD)
    _, is_openssh, body = head.partition(_OPENSSH)
    if not is_openssh:
        return any(mark in head for mark in _MARKS_OF_PEM)
    import binascii  # noqa: PLC0415  # only where a key is given

    try:
        told = binascii.a2b_base64(b"".join(body.split())[:64])
    except ValueError:
        return False  # BuildKit's to say what is wrong with it
    magic = b"openssh-key-v1\0"
    cipher = b"\0\0\0\x04none"
    return told.startswith(magic) and not told.startswith(magic + cipher)


def _lacking_caches(settings: BuildSettings) -> Iterator[UsageError]:
    """A local cache is a directory, which an export makes where there is none; what is not there is not imported."""
    for name, key, caches in (
        ("cache_from", "src", imported_caches(settings)),
        ("cache_to", "dest", exported_caches(settings)),
    ):
        places = (cache.attributes[key] for cache in caches if cache.type == "local")
        for place in places:
            if os.path.lexists(place) and not is_directory(place):
                yield UsageError(
                    f"{settings.origin(name)}: {place} is no directory",
                    why="a local cache is one: an OCI layout",
                    do=f"name a directory: {key}=DIRECTORY",
                )
