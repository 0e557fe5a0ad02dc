"""The plugins of a task image, as written in PLUGINS, and as pip wants them.

`ecr` is ours by its short name, `acme-login==1.2` a third party's by its requirement, `dist/acme.whl` one by its wheel.
A program as well: choice.py WHEELS PLUGINS prints the requirements of the image, one a line.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

CORE = "ocibuild-core[engine,fast,zstd]"
"""What every image has: the program, its engine, and the quick ways to unpack."""
_SEPARATOR = re.compile(r"\s+|,\s*(?![^\[]*\])(?=[A-Za-z0-9./])")
"""A comma between two plugins; not one within a requirement (`a[x,y]>=1,<2`)."""


def split_plugins(text: str) -> tuple[str, ...]:
    """The items of PLUGINS, in order."""
    return tuple(item for item in _SEPARATOR.split(text.strip()) if item)


def is_wheel(item: str) -> bool:
    """Whether a plugin is named by its wheel."""
    return item.endswith(".whl")


def requirement(item: str, wheels: Path) -> str:
    """What pip is asked for.

    Args:
        item: one of PLUGINS.
        wheels: the directory with all wheels: a short name is ours if its wheel is there.
    """
    if is_wheel(item):
        return str(wheels / Path(item).name)
    ours = any(wheels.glob(f"ocibuild_{item}-*.whl")) if item.isalnum() else False
    return f"ocibuild-{item}" if ours else item


def main() -> None:
    """Print the requirements of the image."""
    wheels, plugins = Path(sys.argv[1]), sys.argv[2]
    for line in (CORE, *(requirement(item, wheels) for item in split_plugins(plugins))):
        print(line)


if __name__ == "__main__":
    main()
