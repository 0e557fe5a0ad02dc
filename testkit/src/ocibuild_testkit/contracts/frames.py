"""Whose code is it: the plugin's own package, or something below it."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_KIT = __name__.rpartition(".")[0]


def package_of(record: object) -> str:
    """The top-level package that a provider or an exporter comes from."""
    return type(record).__module__.partition(".")[0]


def modules_of(record: object) -> tuple[str, ...]:
    """The modules that the host imports to get at `record`: its own, and those that entry points name."""
    package = package_of(record)
    named = (point.module for point in entry_points(group="ocibuild"))
    return tuple(dict.fromkeys((type(record).__module__, *(one for one in named if one.partition(".")[0] == package))))


def place_in_package(package: str, is_plumbing: Callable[[str], bool]) -> str | None:
    """Where in `package` the current call comes from, as `file:line`, or None when somebody else makes it.

    The nearest frame decides that is not plumbing: what an SDK does is the SDK's, whoever called it.

    Args:
        package: the plugin's top-level package.
        is_plumbing: whether a module, by name, only hands calls on.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # documented; `inspect` would be slow here
    while frame:
        name = frame.f_globals.get("__name__") or ""
        if not is_plumbing(name) and not name.startswith(_KIT):
            in_package = name == package or name.startswith(f"{package}.")
            return f"{frame.f_code.co_filename}:{frame.f_lineno}" if in_package else None
        frame = frame.f_back
    return None
