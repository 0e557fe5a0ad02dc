"""The catalog as a table, as one plugin's page, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocibuild_core.catalog import PluginStatus
from ocibuild_core.errors import UsageError
from ocibuild_core.option_docs import default_text, spelling_rows
from ocibuild_core.option_sources import collect_option
from ocibuild_core.spellings import Owner, spell, spelt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ocibuild_core.catalog import Catalog, PluginState
    from ocibuild_core.option_sources import OptionSources
    from ocibuild_core.options import Option

_HEADINGS = ("ID", "DISTRIBUTION", "VERSION", "API", "STATE", "OFFERS", "OPTIONS", "FROM")


def listing(catalog: Catalog) -> str:
    """A table of all plugins, and below it what is wrong with each that is not used."""
    rows = [_HEADINGS, *(_row(state, catalog) for state in catalog.plugins)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    problems = [str(state.error()) for state in catalog.plugins if state.problem]
    return "\n".join([*table, *("\n" + problem for problem in problems)])


def shown(state: PluginState, catalog: Catalog, sources: OptionSources, *, with_traceback: bool) -> str:
    """All about one plugin."""
    lines = [str(state.source), *_facts(state)]
    if state.problem:
        lines += ["", str(state.error())]
    if state.problem and state.problem.error and with_traceback:
        lines += ["", _traceback(state.problem.error)]
    for owner, summary, aliases in _owners(state, catalog):
        named = f"{owner} (also {', '.join(aliases)})" if aliases else str(owner)
        lines += ["", f"{named}: {summary}"]
        lines += [line for option in owner.options for line in _option(owner, option, sources)]
    return "\n".join(lines)


def as_json(catalog: Catalog) -> list[dict[str, Any]]:
    """The same as plain data."""
    return [_plugin_as_json(state, catalog) for state in catalog.plugins]


def _row(state: PluginState, catalog: Catalog) -> tuple[str, ...]:
    owners = [owner for owner, _, _ in _owners(state, catalog)]
    source = state.source
    return (
        source.id,
        source.distribution,
        source.version,
        str(state.hook_api or "-"),
        state.status.value,
        ", ".join(map(str, owners)) or "-",
        str(sum(len(owner.options) for owner in owners) or "-"),
        state.location or "-",
    )


def _facts(state: PluginState) -> Iterator[str]:
    yield f"  state     {state.status.value}"
    if state.location:
        yield f"  from      {state.location}"
    if state.hook_api:
        yield f"  hook API  {state.hook_api}"
    if state.seconds:
        yield f"  import    {state.seconds * 1000:.0f} ms"


def _owners(state: PluginState, catalog: Catalog) -> Iterator[tuple[Owner, str, Sequence[str]]]:
    """What a plugin offers, each with its summary and aliases."""
    if state.status is not PluginStatus.OK:
        return
    for provider in (loaded.provider for loaded in catalog.providers if loaded.source == state.source):
        yield Owner.of_provider(provider), provider.summary, provider.aliases
    for exporter in (loaded.exporter for loaded in catalog.exporters if loaded.source == state.source):
        yield Owner.of_exporter(exporter), exporter.summary, ()


def _option(owner: Owner, option: Option, sources: OptionSources) -> Iterator[str]:
    yield f"  {option.name}: {option.help}"
    for where, spelling in spelling_rows(option, spell(owner, option)):
        yield f"    {where:<13} {spelling}"
    yield f"    {'default':<13} {default_text(option) or '-'}"
    yield f"    {'now':<13} {_now(owner, option, sources)}"


def _now(owner: Owner, option: Option, sources: OptionSources) -> str:
    """The value that environment and files give, or what is wrong with it."""
    try:
        value, origin = collect_option(owner, option, sources)
    except UsageError as error:
        return f"invalid: {error.summary}"
    if origin:
        return f"{','.join(value) if isinstance(value, tuple) else value} (from {origin})"
    return "the default" if default_text(option) else "not set"


def _plugin_as_json(state: PluginState, catalog: Catalog) -> dict[str, Any]:
    owners = list(_owners(state, catalog))
    problem = state.problem
    error = state.error() if problem else None
    return {
        "id": state.source.id,
        "distribution": state.source.distribution,
        "version": state.source.version,
        "state": state.status.value,
        "hook_api": state.hook_api,
        "location": state.location,
        "import_seconds": round(state.seconds, 4),
        "offers": [
            {
                "kind": owner.kind.name.lower(),
                "name": owner.name,
                "summary": summary,
                "aliases": list(aliases),
                "options": [_option_as_json(option, owner) for option, _ in spelt(owner)],
            }
            for owner, summary, aliases in owners
        ],
        "problem": {"what": problem.what, "why": error.why, "do": error.do} if problem and error else None,
    }


def _option_as_json(option: Option, owner: Owner) -> dict[str, Any]:
    spellings = spell(owner, option)
    return {
        "name": option.name,
        "help": option.help,
        "type": option.type.value,
        "choices": list(option.choices),
        "default": default_text(option) or None,
        "flags": list(spellings.flags() or filter(None, (spellings.cli, spellings.cli_file))),
        "env": list(spellings.variables()),
        "yaml": ".".join(spellings.yaml),
        "request": list(spellings.json),
    }


def _traceback(error: BaseException) -> str:
    import traceback  # noqa: PLC0415  # 10 ms, for a failure alone

    return "".join(traceback.format_exception(error)).rstrip()
