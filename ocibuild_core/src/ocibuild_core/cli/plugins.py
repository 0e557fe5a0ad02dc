"""`ocibuild plugins`: what is installed, in which state, and how to begin a new plugin."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ocibuild_core.cli.plugin_report import as_json, listing, shown
from ocibuild_core.errors import PluginError
from ocibuild_core.loader import load_plugins
from ocibuild_core.option_sources import Document, OptionSources
from ocibuild_core.selection import select_plugins
from ocibuild_core.settings.documents import own_files
from ocibuild_core.settings.reserved import reserved_spellings
from ocibuild_core.terminal import print_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocibuild_core.catalog import Catalog
    from ocibuild_core.settings.documents import SettingsFile


@click.group("plugins", invoke_without_command=True)
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
@click.option("--no-plugin", "blocked", multiple=True, metavar="ID", help="Leave this plugin out.")
@click.pass_context
def plugins(context: click.Context, *, json_: bool, blocked: Sequence[str]) -> None:
    """Show the installed plugins, in whatever state they are."""
    context.obj = blocked
    if context.invoked_subcommand is None:
        catalog = _catalog(blocked)
        print_result(json.dumps(as_json(catalog), indent=2) if json_ else listing(catalog))


@plugins.command()
@click.argument("plugin_id", metavar="ID")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
@click.option("--verbose", "-v", is_flag=True, help="Add the traceback of what went wrong.")
@click.pass_obj
def show(blocked: Sequence[str], *, plugin_id: str, json_: bool, verbose: bool) -> None:
    """Show one plugin, and every option of it with its spellings, its default and who sets it now."""
    catalog = _catalog(blocked)
    wanted = [state for state in catalog.plugins if state.source.id == plugin_id.strip().lower()]
    if not wanted:
        from ocibuild_core.suggest import nearest  # noqa: PLC0415  # only for a message

        known = dict.fromkeys(state.source.id for state in catalog.plugins)
        summary = f"no plugin {plugin_id!r} is installed{nearest(plugin_id, known)}"
        raise PluginError(summary, why=f"installed: {', '.join(known)}", do="see ocibuild plugins")
    if json_:
        rows = [row for row in as_json(catalog) if row["id"] == wanted[0].source.id]
        print_result(json.dumps(rows, indent=2))
        return
    documents = [Document(name=file.name, values=file.values) for file in _files()]
    sources = OptionSources(env=os.environ, yaml=documents)
    print_result("\n\n".join(shown(state, catalog, sources, with_traceback=verbose) for state in wanted))


@plugins.command()
@click.argument("name")
@click.option("--exporter", "kind", flag_value="exporter", help="An exporter instead of an auth provider.")
@click.option("--auth", "kind", flag_value="auth", default="auth", hidden=True)
@click.option("--directory", type=click.Path(path_type=Path), help="Where to write it.  [default ./ocibuild-NAME]")
def new(*, name: str, kind: str, directory: Path | None) -> None:
    """Write a new plugin: a distribution with provider, tests, README and CI file."""
    from ocibuild_core.cli.new_plugin import write_plugin  # noqa: PLC0415  # the listing has no need of it

    click.echo(write_plugin(name, kind, directory))


def _files() -> Sequence[SettingsFile]:
    """The user's own file alone: one that lies beside sources has no say in plugins."""
    return own_files(os.environ)


def _catalog(blocked: Sequence[str]) -> Catalog:
    selection = select_plugins(env=os.environ, no_plugin=blocked, files=_files())
    return load_plugins(selection, reserved=reserved_spellings())
