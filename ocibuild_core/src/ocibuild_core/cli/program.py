"""The program `build`, from its arguments to its end."""

from __future__ import annotations

import os

from ocibuild_core.cli.line import COMPLETION, read_plain_line
from ocibuild_core.cli.start import load_catalog, read_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def run_program(argv: Sequence[str]) -> object:
    """Build what the arguments say. Raises OcibuildError, or what click raises.

    click is not loaded for a plain command line: that, and the flags of all plugins, would take longer than all the
    rest of our own work before the solve.
    """
    if COMPLETION in os.environ:
        from ocibuild_core.cli.build import complete  # noqa: PLC0415  # see below

        return complete(argv)

    start = read_start(argv)
    line = read_plain_line(start.argv, start.env)
    if line is None:
        from ocibuild_core.cli.build import command_for  # noqa: PLC0415  # see above

        return command_for(start).main(prog_name="build", standalone_mode=False)

    from ocibuild_core.cli.head_start import HeadStart  # noqa: PLC0415  # `--help` has no need of it
    from ocibuild_core.cli.settle import settle  # noqa: PLC0415

    settled = settle(start, line)
    with HeadStart(settled, is_wanted=not line.show) as head_start:
        from ocibuild_core.cli.run import run_build  # noqa: PLC0415  # the engine starts meanwhile

        run_build(start, line, settled, load_catalog(start), launch=head_start.launch)
    return 0
