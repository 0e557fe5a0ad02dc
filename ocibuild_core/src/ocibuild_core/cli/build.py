"""`build` as a command of click: its help, and every command line that is not plain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ocibuild_core import __version__
from ocibuild_core.catalog import Catalog
from ocibuild_core.cli.flags import GroupedCommand, build_flags
from ocibuild_core.cli.line import Line
from ocibuild_core.cli.plugin_flags import given_flags, plugin_flags
from ocibuild_core.cli.start import Start, load_catalog, read_start
from ocibuild_core.errors import OcibuildError, UsageError
from ocibuild_core.terminal import NORMAL, QUIET

if TYPE_CHECKING:
    from collections.abc import Sequence


_HELP = """\
Build a Dockerfile into an OCI image.

CONTEXT is the directory to build, the current one by default. Where a flag names an environment variable, that sets
it, too; flags win. BuildKit's log goes to stdout, everything else to stderr.

\b
  build -t app --load .
  build --login ecr -o docker,dest=app.tar .
  build --login basic -t registry.example.com/app:1 --push .
"""

_EPILOG = "Exit codes: 1 build, 2 usage, 3 login, 4 plugin, 5 engine, 6 export, 128+n signal n."


def build_command(argv: Sequence[str]) -> click.Command:
    """The command for these arguments: which plugins may be loaded must be known before their flags are."""
    return command_for(read_start(argv))


def complete(argv: Sequence[str]) -> object:
    """Answer a shell that completes `build`. What is broken among files and plugins leaves core's own flags."""
    from ocibuild_core.cli.shells import complete_quietly  # noqa: PLC0415  # only when a shell asks

    try:
        command = build_command(argv)
    except OcibuildError:
        start = Start(argv=tuple(argv), env={}, files=())
        command = _command(start, Catalog())
    return complete_quietly(command, "build")


def command_for(start: Start) -> click.Command:
    """The command, with a flag for each option of each installed plugin."""
    return _command(start, load_catalog(start))


def _command(start: Start, catalog: Catalog) -> click.Command:

    def run(**values: Any) -> None:  # noqa: ANN401  # click hands over whatever the flags gave
        from ocibuild_core.cli.foreign_flags import with_buildx_flags  # noqa: PLC0415  # as above
        from ocibuild_core.cli.run import run_build  # noqa: PLC0415  # `--help` has no need of it
        from ocibuild_core.cli.settle import settle  # noqa: PLC0415
        from ocibuild_core.engine import launch  # noqa: PLC0415

        values = with_buildx_flags(values)
        form = "json" if values["json"] else "text"
        if values["json"] and not (values["show"] or values["explain"]):
            raise UsageError(
                "--json goes with --print or --explain", do="add one of them, or for logs: --progress rawjson"
            )
        line = Line(
            values,
            options=given_flags(click.get_current_context()),
            talk=QUIET if values["quiet"] else NORMAL + values["verbose"],
            explain=form if values["explain"] else "",
            show=form if values["show"] else "",
        )
        run_build(start, line, settle(start, line), catalog, launch=launch)

    command = GroupedCommand(
        "build",
        params=[*build_flags(), *plugin_flags(catalog)],
        callback=run,
        help=_HELP,
        epilog=_EPILOG,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110, "obj": catalog},
    )
    return click.version_option(__version__, message="ocibuild %(version)s")(command)
