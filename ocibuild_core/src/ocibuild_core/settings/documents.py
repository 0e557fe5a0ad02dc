"""Files of settings: which there are, and their parsed top level."""

from __future__ import annotations

import os
import stat
from types import MappingProxyType

from ocibuild_core.errors import UsageError
from ocibuild_core.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

FOUND_NAME = "ocibuild.yml"
_LARGEST = 1024 * 1024


class SettingsFile(NamedTuple):
    """One parsed file.

    Args:
        name: how messages call it.
        values: its top level.
        trusted: the user named it or keeps it in his own directory; one that lies beside the sources is not.
    """

    name: str
    trusted: bool
    values: Mapping[str, object] = MappingProxyType({})


def find_files(*, config: str | None, env: Mapping[str, str], directory: str | None) -> tuple[SettingsFile, ...]:
    """The files of settings that apply, highest precedence first.

    Args:
        config: what `--config` named; it stands in for the file beside the sources.
        env: for the user's own directory (`XDG_CONFIG_HOME`, `HOME`).
        directory: where a file is found by itself; None where there is no such place.

    Raises UsageError when a file is unreadable or malformed, or when the named one is not there.
    """
    beside = None if directory is None else f"{directory.rstrip('/')}/{FOUND_NAME}"
    found = []
    if config:
        found.append(read_file(config, trusted=True))
    elif beside and _is_file(beside):
        found.append(read_file(beside, trusted=False))
    return (*found, *own_files(env))


def own_files(env: Mapping[str, str]) -> tuple[SettingsFile, ...]:
    """`~/.config/ocibuild.yml`, if it is there.

    Raises UsageError as `find_files`, and when somebody else could have written it: it says which programs are run and
    where passwords are shown.
    """
    base = env.get("XDG_CONFIG_HOME") or (f"{env['HOME']}/.config" if env.get("HOME") else "")
    path = f"{base}/{FOUND_NAME}"
    return (_read(path, trusted=True, refuse=_refuse_others_file),) if base and _is_file(path) else ()


def read_file(path: str | Path, *, trusted: bool) -> SettingsFile:
    """Parse one file; an empty one is an empty mapping."""
    return _read(path, trusted=trusted, refuse=lambda *_: None)


def _read(path: str | Path, *, trusted: bool, refuse: Callable[[str, os.stat_result], None]) -> SettingsFile:
    from ocibuild_core.settings.yaml_text import parse_values  # noqa: PLC0415  # only a file of settings needs it

    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  # `--help` has no need of pathlib
            status = os.fstat(file.fileno())
            refuse(str(path), status)
            if status.st_size > _LARGEST:
                raise UsageError(f"{path}: larger than 1 MiB", do="this is hardly a file of settings")
            text = file.read()
    except OSError as error:
        raise UsageError(f"cannot read {path}", why=error.strerror or str(error)) from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not YAML", why="it is not UTF-8") from None
    values = parse_values(text, named=str(path))
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise UsageError(f"{path}: a mapping is expected at the top", do="write KEY: VALUE lines")
    return SettingsFile(name=str(path), values=values, trusted=trusted)


def _refuse_others_file(path: str, status: os.stat_result) -> None:
    """As ssh does with its configuration (`read_config_file` in readconf.c of OpenSSH).

    A user's private group has his number and no other member; there umask lets the group write.
    """
    of_others = stat.S_IWOTH if status.st_gid == status.st_uid else stat.S_IWGRP | stat.S_IWOTH
    if status.st_uid not in (0, os.geteuid()):
        why, do = f"it belongs to user {status.st_uid}", "make it yours, or name it, if you trust it: --config FILE"
    elif status.st_mode & of_others:
        why, do = "others may write to it", f"chmod go-w {path}"
    else:
        return
    raise UsageError(f"{path} is not read", why=f"it says where passwords are shown, and {why}", do=do)


def _is_file(path: str) -> bool:
    return os.path.isfile(path)  # noqa: PTH113  # see `find_files`
