"""Command-line flags made from the table of settings, and help in groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ocibuild_core.option_docs import help_line, metavar
from ocibuild_core.settings.table import FIELDS, GROUPS, Field, Kind
from ocibuild_core.spellings import Owner, spelt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ocibuild_core.catalog import Catalog
    from ocibuild_core.options import Option
    from ocibuild_core.spellings import Spellings

_DISPLAY = GROUPS[-1]
_PLUGIN = "plugin_"
_REPEATED = (Kind.LIST, Kind.PAIRS)


class GroupedOption(click.Option):
    """A flag that knows its heading in `--help`."""

    def __init__(self, *args: Any, group: str, **kwargs: Any) -> None:  # noqa: ANN401  # click's own signature
        super().__init__(*args, **kwargs)
        self.group = group


class GroupedCommand(click.Command):
    """A command whose help lists its flags under headings: the table's, then the plugins'."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One section a group."""
        groups: dict[str, list[tuple[str, str]]] = {title: [] for title in GROUPS}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record:
                groups.setdefault(getattr(param, "group", _DISPLAY), []).append(record)
        for title, rows in groups.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def build_flags() -> Sequence[click.Parameter]:
    """The argument CONTEXT and a flag for each field that has one, then those that no setting stands behind."""
    argument = click.Argument(["context"], required=False, metavar="[CONTEXT]")
    flags = [_flag(field) for group in GROUPS for field in FIELDS if field.group == group and field.flags]
    config = GroupedOption(
        ["--config"], metavar="FILE", help="File of settings; stands in for ./ocibuild.yml.", group=_DISPLAY
    )
    verbose = GroupedOption(["--verbose", "-v"], count=True, help="Say more; twice for still more.", group=_DISPLAY)
    quiet = GroupedOption(["--quiet", "-q"], is_flag=True, help="Say nothing but errors.", group=_DISPLAY)
    return [argument, *flags, config, verbose, quiet]


def plugin_flags(catalog: Catalog) -> Sequence[click.Parameter]:
    """The flags of every option of every provider, under a heading of their own."""
    return [
        flag
        for loaded in catalog.providers
        for option, spellings in spelt(Owner.of_provider(loaded.provider))
        for flag in _option_flags(option, spellings, f"{loaded.provider.name}: {loaded.provider.summary}")
    ]


def split_plugin_values(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Sequence[str]]]:
    """What click parsed, taken apart: fields of the table by name, options of plugins by spelling."""
    core = {name: value for name, value in values.items() if not name.startswith(_PLUGIN)}
    options = {
        name.removeprefix(_PLUGIN).replace("_", "-"): value
        for name, value in values.items()
        if name.startswith(_PLUGIN) and value
    }
    return core, {f"--{name}": value if isinstance(value, tuple) else (str(value),) for name, value in options.items()}


def _option_flags(option: Option, spellings: Spellings, group: str) -> Iterator[GroupedOption]:
    for spelling in spellings.flags():
        name = _PLUGIN + spelling.removeprefix("--").replace("-", "_")
        kwargs: dict[str, Any] = {"multiple": True, "metavar": metavar(option)}
        if not kwargs["metavar"]:
            kwargs = {"is_flag": True, "default": None, "flag_value": "true", "type": str}
        text = f"Switch off {spellings.cli}." if spelling == spellings.cli_off else help_line(option, spellings)
        yield GroupedOption([spelling, name], help=text, group=group, **kwargs)


def _flag(field: Field) -> GroupedOption:
    kwargs: dict[str, Any] = {"metavar": field.metavar or None}
    if field.kind is Kind.BOOL:
        kwargs = {"is_flag": True, "default": None}
    elif field.kind in _REPEATED:
        kwargs["multiple"] = True
    return GroupedOption([*field.flags, field.name], help=_help(field), group=field.group, **kwargs)


def _help(field: Field) -> str:
    notes = []
    if field.env:
        # The spelling that people write: the longest is the one with underscores.
        notes.append("env " + max(field.env, key=len).upper())
    elif field.prefix:
        notes.append(f"env {field.prefix}…")
    if field.default not in (None, (), False):
        notes.append(f"default {_default_text(field)}")
    return field.help + (f"  [{', '.join(notes)}]" if notes else "")


def _default_text(field: Field) -> str:
    return f"{field.default:g}s" if isinstance(field.default, float) else str(field.default)
