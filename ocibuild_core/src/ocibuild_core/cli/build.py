"""`build`: from arguments, environment and files to a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from ocibuild_core import __version__
from ocibuild_core.cli.flags import GroupedCommand, build_flags
from ocibuild_core.cli.plugin_flags import given_flags, plugin_flags
from ocibuild_core.loader import load_plugins
from ocibuild_core.selection import select_plugins
from ocibuild_core.settings.documents import find_files
from ocibuild_core.settings.reserved import reserved_spellings
from ocibuild_core.terminal import NORMAL, QUIET, Talk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


_HELP = """\
Build a Dockerfile into an OCI image.

CONTEXT is the directory to build, the current one by default. Every flag can be set by its environment variable; flags
win. BuildKit's log goes to stdout, everything else to stderr.
"""

_EPILOG = "Exit codes: 1 build, 2 usage, 3 login, 4 plugin, 5 engine, 6 export, 128+n signal n."


def build_command(argv: Sequence[str]) -> click.Command:
    """The command, with a flag for each option of each installed plugin.

    Args:
        argv: its arguments: which plugins may be loaded must be known before their flags are.
    """
    env = dict(os.environ)
    config = _flag_value(argv, "--config")
    files = find_files(config=config, env=env, directory=os.getcwd())  # noqa: PTH109  # see `find_files`
    selection = select_plugins(env=env, no_plugin=tuple(_flag_values(argv, "--no-plugin")), files=files)
    catalog = load_plugins(selection, reserved=reserved_spellings())
    catalog.check_allowed()

    def run(**values: Any) -> None:  # noqa: ANN401  # click hands over whatever the flags gave
        from ocibuild_core.cli.run import run_build  # noqa: PLC0415  # `--help` has no need of it

        level = QUIET if values["quiet"] else NORMAL + values["verbose"]
        options = given_flags(click.get_current_context())
        run_build(
            flags=values, option_flags=options, env=env, files=files, catalog=catalog, talk=Talk(level), bare=not argv
        )

    command = GroupedCommand(
        "build",
        params=[*build_flags(), *plugin_flags(catalog)],
        callback=run,
        help=_HELP,
        epilog=_EPILOG,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    return click.version_option(__version__, message="ocibuild %(version)s")(command)


def _flag_value(argv: Sequence[str], flag: str) -> str | None:
    return next(iter(reversed(list(_flag_values(argv, flag)))), None)


def _flag_values(argv: Sequence[str], flag: str) -> Iterator[str]:
    """The values of one flag, read before click can: plugins must be loaded to know all the others."""
    for position, argument in enumerate(argv):
        if argument == "--":
            return
        if argument == flag and position + 1 < len(argv):
            yield argv[position + 1]
        elif argument.startswith(f"{flag}="):
            yield argument.partition("=")[2]
