"""The entry points `build` and `ocibuild`: errors become messages and exit codes here and nowhere else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import click


def build() -> None:
    """The program `build`."""
    from ocibuild_core.cli.build import build_command  # noqa: PLC0415  # `ocibuild` has no need of it

    _run(lambda: build_command(sys.argv[1:]), "build")


def ocibuild() -> None:
    """The program `ocibuild`."""
    from ocibuild_core.cli.group import ocibuild_group  # noqa: PLC0415  # `build` has no need of it

    _run(ocibuild_group, "ocibuild")


def _run(make_command: Callable[[], click.Command], name: str) -> None:
    """Run a command and end the process with the right code."""
    import click  # noqa: PLC0415  # with the imports above it is the one heavy import of the start

    from ocibuild_core.errors import OcibuildError  # noqa: PLC0415
    from ocibuild_core.terminal import Talk  # noqa: PLC0415

    try:
        sys.exit(make_command().main(prog_name=name, standalone_mode=False) or 0)
    except OcibuildError as error:
        Talk().error(error)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
