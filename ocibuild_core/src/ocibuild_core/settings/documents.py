"""Files of settings: which there are, and their parsed top level."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ocibuild_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def find_files(*, config: Path | None, env: Mapping[str, str], directory: Path) -> tuple[SettingsFile, ...]:
    """The files of settings that apply, highest precedence first.

    Args:
        config: what `--config` named; it stands in for the file beside the sources.
        env: for the user's own directory (`XDG_CONFIG_HOME`, `HOME`).
        directory: where a file is found by itself.

    Raises UsageError when a file is unreadable or malformed, or when the named one is not there.
    """
    files = []
    if config:
        files.append(read_file(config, trusted=True))
    elif (found := directory / FOUND_NAME).is_file():
        files.append(read_file(found, trusted=False))
    own = user_file(env)
    if own and own.is_file():
        files.append(read_file(own, trusted=True))
    return tuple(files)


def user_file(env: Mapping[str, str]) -> Path | None:
    """`~/.config/ocibuild.yml`; None without a home."""
    base = env.get("XDG_CONFIG_HOME") or (f"{env['HOME']}/.config" if env.get("HOME") else "")
    return Path(base) / FOUND_NAME if base else None


def read_file(path: Path, *, trusted: bool) -> SettingsFile:
    """Parse one file; an empty one is an empty mapping."""
    import yaml  # 20 ms that only a file of settings costs

    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{path}: larger than 1 MiB", do="this is hardly a file of settings")
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}", why=error.strerror or str(error)) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UsageError(f"{path}{where}: not YAML") from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise UsageError(f"{path}: a mapping is expected at the top", do="write KEY: VALUE lines")
    return SettingsFile(name=str(path), values=values, trusted=trusted)
