"""Files of settings: which there are, and their parsed top level."""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING

from ocibuild_core.errors import UsageError
from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
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
        found.append((config, True))
    elif beside and _is_file(beside):
        found.append((beside, False))
    own = _user_file(env)
    if own and _is_file(own):
        found.append((own, True))
    if not found:
        return ()
    from pathlib import Path  # noqa: PLC0415  # most runs have no file of settings, and `--help` has no need of it

    return tuple(read_file(Path(name), trusted=trusted) for name, trusted in found)


def user_file(env: Mapping[str, str]) -> Path | None:
    """`~/.config/ocibuild.yml`; None without a home."""
    from pathlib import Path  # noqa: PLC0415  # see `find_files`

    own = _user_file(env)
    return Path(own) if own else None


def read_file(path: Path, *, trusted: bool) -> SettingsFile:
    """Parse one file; an empty one is an empty mapping."""
    from ocibuild_core.settings.yaml_text import parse_values  # noqa: PLC0415  # only a file of settings needs it

    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{path}: larger than 1 MiB", do="this is hardly a file of settings")
        text = path.read_text(encoding="utf-8")
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


def _user_file(env: Mapping[str, str]) -> str:
    base = env.get("XDG_CONFIG_HOME") or (f"{env['HOME']}/.config" if env.get("HOME") else "")
    return f"{base}/{FOUND_NAME}" if base else ""


def _is_file(path: str) -> bool:
    return os.path.isfile(path)  # noqa: PTH113  # see `find_files`
