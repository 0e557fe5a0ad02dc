"""What a run of `build` begins with, and what follows from it alone."""

from __future__ import annotations

import os

from ocibuild_core.records import NamedTuple
from ocibuild_core.settings.documents import find_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ocibuild_core.catalog import Catalog
    from ocibuild_core.settings.documents import SettingsFile


class Start(NamedTuple):
    """Everything that is known before a plugin is loaded.

    Args:
        argv: the arguments.
        env: the user's environment.
        files: files of settings, highest precedence first.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    files: tuple[SettingsFile, ...]

    @property
    def is_bare(self) -> bool:
        """There are no arguments: a pipeline, which is never shown a display that redraws itself."""
        return not self.argv


def read_start(argv: Sequence[str]) -> Start:
    """How this process begins. Raises UsageError when a file of settings cannot be read or has unknown keys."""
    env = dict(os.environ)
    config = next(reversed(list(_values(argv, "--config"))), None)
    files = find_files(config=config, env=env, directory=_directory())
    if files:
        from ocibuild_core.errors import raise_all  # noqa: PLC0415  # most runs have no file of settings
        from ocibuild_core.settings.keys import unknown_keys  # noqa: PLC0415

        raise_all([error for file in files for error in unknown_keys(file)])
    return Start(argv=tuple(argv), env=env, files=files)


def _directory() -> str | None:
    """The current one; None when somebody has removed it: `--help` has no need of it."""
    try:
        return os.getcwd()  # noqa: PTH109  # see `find_files`
    except OSError:
        return None


def load_catalog(start: Start) -> Catalog:
    """The plugins that may be loaded. Raises OcibuildError when one that the user counts on is missing or broken."""
    from ocibuild_core.loader import load_plugins  # noqa: PLC0415  # an engine is launched before, if it can be
    from ocibuild_core.selection import select_plugins  # noqa: PLC0415
    from ocibuild_core.settings.reserved import reserved_spellings  # noqa: PLC0415

    blocked = tuple(_values(start.argv, "--no-plugin"))
    selection = select_plugins(env=start.env, no_plugin=blocked, files=start.files)
    catalog = load_plugins(selection, reserved=reserved_spellings())
    catalog.check_allowed()
    return catalog


def _values(argv: Sequence[str], flag: str) -> Iterator[str]:
    """The values of one flag, read before click can: plugins must be loaded to know all the others."""
    for position, argument in enumerate(argv):
        if argument == "--":
            return
        if argument == flag and position + 1 < len(argv):
            yield argv[position + 1]
        elif argument.startswith(f"{flag}="):
            yield argument.partition("=")[2]
