"""Flags of a build's settings for commands that are no build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ocibuild_core.settings.fields import REPEATED, Kind
from ocibuild_core.settings.table import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable

_FIELDS = {field.name: field for field in FIELDS}


def setting_flags(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A flag for each of these settings, as `build` has it; a parameter of the setting's name gets its value."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for field in (_FIELDS[name] for name in reversed(names)):
            kind: dict[str, Any] = {"metavar": field.metavar or None, "multiple": field.kind in REPEATED}
            if field.kind is Kind.BOOL:
                kind = {"is_flag": True, "default": None}
            command = click.option(*field.flags, field.name, help=field.help, **kind)(command)
        return command

    return add
