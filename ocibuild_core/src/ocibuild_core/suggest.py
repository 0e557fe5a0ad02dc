"""What to propose to somebody who named something that is not there. Loaded for an error message alone."""

from __future__ import annotations

import difflib
import re
from importlib import metadata
from typing import TYPE_CHECKING

from ocibuild_core import HOST_DISTRIBUTION
from ocibuild_core.hooks import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterable

_REQUIREMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")
_ALIASES = {"pass": "basic"}
"""Of shipped providers that are not installed: as Concourse's pipelines say it, LOGIN=PASS."""


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean '…'?`, or nothing when nothing is near."""
    return did_you_mean(near_name(name, known))


def did_you_mean(near: str) -> str:
    """The end of a message about a name that nobody knows; nothing when nothing is near."""
    return f"; did you mean {near!r}?" if near else ""


def near_name(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, or nothing."""
    return next(iter(difflib.get_close_matches(name.strip().lower(), list(known), n=1)), "")


def shipped_extra(name: str) -> str:
    """The extra of ours that brings the auth provider of this name, or nothing.

    No other distribution is ever proposed: whoever registers a likely name would be installed by those who mistype.
    """
    wanted = name.strip().lower()
    wanted = _ALIASES.get(wanted, wanted)
    names = (_REQUIREMENT_NAME.match(requirement) for requirement in _requirements(HOST_DISTRIBUTION))
    return wanted if f"{PROJECT}-{wanted}" in {found.group() for found in names if found} else ""


def module_hint(distribution: str, module: str) -> str:
    """How to get a module that a plugin could not import: its extra or its requirement, where its metadata tells.

    A requirement and the module that it brings often have the same name but for `-` and `_`; where they have not,
    the answer is to install the plugin anew, with all that it requires.
    """
    top = module.partition(".")[0]
    for requirement in _requirements(distribution):
        name = _REQUIREMENT_NAME.match(requirement)
        if name is None or not _names_module(name.group(), top):
            continue
        extra = _EXTRA.search(requirement)
        return f"pip install '{distribution}[{extra.group(1)}]'" if extra else f"pip install {name.group()}"
    return f"pip install --force-reinstall {distribution}"


def _names_module(requirement: str, module: str) -> bool:
    return re.sub(r"[-_.]+", "_", requirement).lower() == module.lower()


def _requirements(distribution: str) -> list[str]:
    try:
        return metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return []
