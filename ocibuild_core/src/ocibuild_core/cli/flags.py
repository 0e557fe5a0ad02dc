"""Command-line flags made from the table of settings, and help in groups."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from ocibuild_core.cli.line import flag_value
from ocibuild_core.settings.fields import DISPLAY, GROUPS, LOGIN, RARE, REPEATED, Field, Kind, default_text
from ocibuild_core.settings.table import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CONTEXT = next(field for field in FIELDS if field.name == "context")
_SWITCHES = {flag: field for field in FIELDS if field.kind is Kind.BOOL for flag in field.flags}
_FILE = Field(name="config", help="", group=DISPLAY, kind=Kind.PATH)
_WIDEST = 80
"""Of help where nothing else is said; also the width of what is no terminal."""


class GroupedOption(click.Option):
    """A flag that knows its heading in `--help`."""

    def __init__(self, *args: Any, group: str, **kwargs: Any) -> None:  # noqa: ANN401  # click's own signature
        super().__init__(*args, **kwargs)
        self.group = group


class GroupedCommand(click.Command):
    """A command whose help lists its flags under headings: the table's, the plugins', then what is seldom needed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with values for flags of a setting that is on or off (`--pull=false`).

        A flag of docker's that there is not here gets an answer of its own, no guess.
        """
        rest, said = _valued_flags(args)
        try:
            left = super().parse_args(ctx, rest)
        except click.NoSuchOption as error:
            from ocibuild_core.cli.foreign_flags import refusal_of  # noqa: PLC0415  # only for a message

            raise refusal_of(error.option_name) or error from None
        ctx.params |= said
        return left

    def get_help(self, ctx: click.Context) -> str:
        """The help, as wide as the terminal within click's bounds; click itself would load shutil to ask for that."""
        ctx.terminal_width = max(min(_columns(), ctx.max_content_width or _WIDEST) - 2, 50)
        return super().get_help(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One section a group."""
        groups: dict[str, list[tuple[str, str]]] = {title: [] for title in GROUPS}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record:
                groups.setdefault(getattr(param, "group", DISPLAY), []).append(record)
        groups[RARE] = groups.pop(RARE)
        for title, rows in groups.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _valued_flags(args: Sequence[str]) -> tuple[list[str], dict[str, bool]]:
    """The arguments without such flags, and what these say by setting, which click cannot know of."""
    end = args.index("--") if "--" in args else len(args)
    rest: list[str] = []
    said: dict[str, bool] = {}
    for word in args[:end]:
        flag, equals, text = word.partition("=")
        field = _SWITCHES.get(flag)
        value = flag_value(text) if equals else None
        if field and value is not None:
            said[field.name] = value
            continue
        rest.append(word)
        if field:
            said.pop(field.name, None)  # it is said again, without a value
    return [*rest, *args[end:]], said


def build_flags() -> Sequence[click.Parameter]:
    """The argument CONTEXT and a flag for each field that has one, then those that no setting stands behind."""
    argument = click.Argument(["context"], required=False, metavar="[CONTEXT]", shell_complete=_completer(_CONTEXT))
    flags = [_flag(field) for group in GROUPS for field in FIELDS if field.group == group and field.flags]
    config = GroupedOption(
        ["--config"],
        metavar="FILE",
        help="File of settings; stands in for ./ocibuild.yml.",
        group=DISPLAY,
        shell_complete=_completer(_FILE),
    )
    verbose = GroupedOption(["--verbose", "-v"], count=True, help="Say more; twice for still more.", group=DISPLAY)
    quiet = GroupedOption(["--quiet", "-q"], is_flag=True, help="Say nothing but errors.", group=DISPLAY)
    explain = GroupedOption(
        ["--explain"], is_flag=True, help="Say who logs in to which registry, and why; build nothing.", group=LOGIN
    )
    show = GroupedOption(
        ["--print", "show"],
        is_flag=True,
        help="Print the settings, where each came from, and buildctl's command; build nothing.",
        group=DISPLAY,
    )
    attest = GroupedOption(
        ["--attest"],
        metavar="type=TYPE[,ATTRS]",
        multiple=True,
        help="The same as --provenance and --sbom: type=provenance,mode=max.",
        group=RARE,
    )
    call = GroupedOption(["--call"], metavar="WHAT", help="check is the same as --check.", group=RARE)
    as_json = GroupedOption(["--json"], is_flag=True, help="With --print or --explain: as JSON.", group=DISPLAY)
    return [argument, *flags, attest, call, explain, config, show, as_json, verbose, quiet]


def _flag(field: Field) -> GroupedOption:
    kwargs: dict[str, Any] = {"metavar": field.metavar or None}
    if field.kind is Kind.BOOL:
        kwargs = {"is_flag": True, "default": None}
    elif field.kind in REPEATED:
        kwargs["multiple"] = True
    if field.kind is not Kind.BOOL:
        kwargs["shell_complete"] = _completer(field)
    return GroupedOption([*field.flags, field.name], help=_help(field), group=field.group, **kwargs)


def _completer(field: Field) -> Callable[[click.Context, click.Parameter, str], Any]:
    """What the shell is offered for the field; loaded when a shell asks."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> Any:  # noqa: ANN401  # click's
        del parameter
        from ocibuild_core.cli.completion import complete_field  # noqa: PLC0415  # `--help` has no need of it

        return complete_field(field, context, incomplete)

    return complete


def _columns() -> int:
    """The terminal's width, as shutil.get_terminal_size finds it."""
    chosen = os.environ.get("COLUMNS", "")
    if chosen.isdecimal() and int(chosen):
        return int(chosen)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or _WIDEST  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):  # none, closed, or no terminal
        return _WIDEST


def _help(field: Field) -> str:
    notes = []
    if field.env:
        # The spelling that people write: the longest is the one with underscores.
        notes.append("env " + max(field.env, key=len).upper())
    elif field.prefix:
        notes.append(f"env {field.prefix}…")
    if default := default_text(field):
        notes.append(f"default {default}")
    return field.help + (f"  [{', '.join(notes)}]" if notes else "")
