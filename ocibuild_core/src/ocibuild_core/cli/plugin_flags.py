"""The command-line flags of the installed providers, made from their options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ocibuild_core.cli.flags import GroupedOption
from ocibuild_core.option_docs import help_line, metavar
from ocibuild_core.options import OptionType
from ocibuild_core.spellings import Owner, spelt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocibuild_core.catalog import Catalog
    from ocibuild_core.options import Option
    from ocibuild_core.spellings import Spellings


# For the shell's completion alone: what is there is checked where it is read. One for all, for each looks for
# translations of its name.
_PATH = click.Path(allow_dash=True)


class PluginFlag(GroupedOption):
    """A flag that remembers which spellings it stands for; its value is read by `given_flags`, not by its name."""

    def __init__(self, option: Option, spellings: Spellings, group: str) -> None:
        self.spellings = spellings
        super().__init__(
            ["/".join(spellings.flags()) if spellings.cli_off else (spellings.cli or spellings.cli_file)],
            help=help_line(option, spellings),
            group=group,
            **_kind(option),
        )

    def given(self, value: object) -> Mapping[str, Sequence[str]]:
        """What was said with this flag, as `OptionSources.cli` takes it."""
        if isinstance(value, bool):
            return {self.spellings.cli if value else self.spellings.cli_off: ("true",)}
        return {self.spellings.cli or self.spellings.cli_file: value} if isinstance(value, tuple) and value else {}


def plugin_flags(catalog: Catalog) -> list[PluginFlag]:
    """A flag for each option of each provider that has one; a secret whose file another option names has none."""
    return [
        PluginFlag(option, spellings, f"Login with {owner.name}")
        for owner in (Owner.of_provider(loaded.provider) for loaded in catalog.providers)
        for option, spellings in spelt(owner)
        if spellings.flags()
    ]


def given_flags(context: click.Context) -> Mapping[str, Sequence[str]]:
    """What the command line said about options of plugins, as `OptionSources.cli` takes it."""
    given: dict[str, Sequence[str]] = {}
    for parameter in context.command.params:
        if isinstance(parameter, PluginFlag) and parameter.name:
            given.update(parameter.given(context.params.get(parameter.name)))
    return given


def _kind(option: Option) -> dict[str, Any]:
    if option.type is OptionType.BOOL:
        return {"default": None}
    kind: dict[str, Any] = {"multiple": True, "metavar": metavar(option)}
    if option.type in (OptionType.PATH, OptionType.SECRET):
        kind["type"] = _PATH
    if option.choices:
        kind["shell_complete"] = _complete(option.choices)
    return kind


def _complete(choices: Sequence[str]) -> object:
    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        del context, parameter
        return [choice for choice in choices if choice.startswith(incomplete.lower())]

    return complete
