"""What is written about an option: the line in `--help`, the row in a reference page, the values to complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.options import OptionType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocibuild_core.options import Option
    from ocibuild_core.spellings import Spellings

_METAVARS: Mapping[OptionType, str] = {
    OptionType.TEXT: "TEXT",
    OptionType.INT: "N",
    OptionType.PATH: "PATH",
    OptionType.DURATION: "TIME",
    OptionType.LIST: "A,B,…",
    OptionType.SECRET: "FILE",
}


def metavar(option: Option) -> str:
    """What stands for the value: `TIME`, `a|b`; empty for a BOOL."""
    return "|".join(option.choices) or _METAVARS.get(option.type, "")


def default_text(option: Option) -> str:
    """The default as one would write it; empty when there is none."""
    value = option.default
    if value is None or value is False or value == ():
        return ""
    if isinstance(value, bool):
        return "true"
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}s" if option.type is OptionType.DURATION else str(value)


def help_line(option: Option, spellings: Spellings) -> str:
    """The help on one line, with the environment variables and the default."""
    default = default_text(option)
    notes = [f"env {', '.join(spellings.env)}", *([f"default {default}"] if default else [])]
    subject = f"{option.help}: a file, - is stdin" if option.type is OptionType.SECRET else option.help
    return f"{subject}.  [{'; '.join(notes)}]"


def spelling_rows(option: Option, spellings: Spellings) -> tuple[tuple[str, str], ...]:
    """Where an option can be set, highest precedence first, and how it is spelt there."""
    value = metavar(option)
    on_command_line = [f"{spelling} {value}".strip() for spelling in (spellings.cli, spellings.cli_file) if spelling]
    off = [spellings.cli_off] if spellings.cli_off else []
    return (
        ("command line", ", ".join([*on_command_line, *off])),
        ("request", ", ".join(name.lower() for name in spellings.variables())),
        ("environment", ", ".join(spellings.variables())),
        ("YAML", _yaml(option, spellings)),
    )


def docs_row(option: Option, spellings: Spellings) -> str:
    """One row of a Markdown table: flag, environment, YAML key, meaning, default."""
    cells = (
        _code(spellings.cli or spellings.cli_file),
        ", ".join(_code(name) for name in spellings.variables()),
        _code(".".join(spellings.yaml)),
        option.help + (f" ({', '.join(_code(choice) for choice in option.choices)})" if option.choices else ""),
        _code(default_text(option)),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _yaml(option: Option, spellings: Spellings) -> str:
    path = ".".join(spellings.yaml)
    return f"{path} ({{env: NAME}} or {{file: PATH}})" if option.type is OptionType.SECRET else path


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
