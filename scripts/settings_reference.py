"""Write docs/params.md, docs/cli.md and docs/ocibuild.schema.json from the table of settings; `--check` compares."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generated import write_or_check
from ocibuild_core.cli.flags import GroupedOption, build_flags
from ocibuild_core.settings.fields import GROUPS, Field, Kind, Scope, default_text
from ocibuild_core.settings.keys import SECTIONS, yaml_fields
from ocibuild_core.settings.table import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[1] / "docs"
_NOTE = "Written by `scripts/settings_reference.py` from the table of settings; change the table, not this page.\n"
_TYPES = {
    Kind.TEXT: "text",
    Kind.PATH: "path",
    Kind.BOOL: "boolean",
    Kind.LIST: "list",
    Kind.ITEMS: "text, or in YAML a list",
    Kind.OUTPUTS: "list, in which `key=value` belongs to the item before it",
    Kind.PAIRS: "list of `name=value`, or in YAML a map",
    Kind.NAMED: "text",
    Kind.DURATION: "duration",
    Kind.SIZE: "size",
    Kind.CHOICE: "choice",
    Kind.ATTRIBUTES: "true, false, or `key=value,…`",
}


def pages() -> dict[str, str]:
    """Name and text of each page."""
    return {
        "params.md": _params(),
        "cli.md": _cli(),
        "ocibuild.schema.json": json.dumps(schema(), indent=2) + "\n",
    }


def schema() -> dict[str, Any]:
    """JSON Schema of a file of settings (https://json-schema.org/draft/2020-12)."""
    properties = {key: {"description": field.help, **_value_schema(field)} for key, field in yaml_fields()}
    sections: dict[str, dict[str, Any]] = {
        key: {"description": text, "type": "object"} for key, text in SECTIONS.items()
    }
    sections["credential-store"]["type"] = "string"
    ids = {"type": "array", "items": {"type": "string"}}
    sections["plugins"] |= {"properties": {"allow": ids, "block": ids}, "additionalProperties": False}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ocibuild.yml",
        "type": "object",
        "properties": properties | sections,
        "additionalProperties": False,
    }


def _value_schema(field: Field) -> dict[str, Any]:
    scalar = {"type": ["string", "number"]}
    many = {"type": "array", "items": scalar}
    match field.kind:
        case Kind.BOOL:
            return {"type": "boolean"}
        case Kind.CHOICE:
            return {"enum": list(field.choices)}
        case Kind.ATTRIBUTES:
            return {"type": ["string", "boolean"]}
        case Kind.LIST | Kind.ITEMS | Kind.OUTPUTS:
            return {"anyOf": [scalar, many]}
        case Kind.PAIRS:
            return {"anyOf": [many, {"type": "object", "additionalProperties": scalar}]}
        case _:
            return scalar


def _params() -> str:
    lines = [
        "# Params",
        "",
        "Every way to say a setting: on the command line, in the environment, in the request of a Concourse task, in",
        "`ocibuild.yml`. The command line wins over the environment, that over YAML. An empty variable counts as",
        "unset. A key with an asterisk is refused in an `ocibuild.yml` that is merely found beside the sources: name",
        "that file with `--config`, or write the key into `~/.config/ocibuild.yml`.",
        "",
        "Booleans are `1 t T TRUE true True` and `0 f F FALSE false False`. Lists split at commas, except between `{`",
        "and `}`; a JSON array is a list, too, as Concourse makes one of a YAML list in `params`, and where pairs are",
        "expected, so is an object. In a request and in YAML a list may also be such a text, and pairs a mapping or a",
        "list of `key=value`. Variables that begin with a prefix are taken as they are, one pair each.",
    ]
    keys = {field.name: key for key, field in yaml_fields()}
    for group in GROUPS:
        lines += ["", f"## {group}", ""]
        for field in FIELDS:
            if field.group == group:
                lines += _param(field, keys.get(field.name, ""))
    lines += ["", "## Sections of a file", ""]
    lines += [f"* `{key}`\\*: {text}" for key, text in SECTIONS.items()]
    return "\n".join([*lines, "", _NOTE])


def _param(field: Field, key: str) -> Iterator[str]:
    star = "\\*" if field.scope is Scope.HOST else ""
    variables = [*(f"`{name}`" for name in field.env), *([f"`{field.prefix}…`"] if field.prefix else [])]
    default = f"; default `{text}`" if (text := default_text(field)) else ""
    choices = f" ({', '.join(f'`{one}`' for one in field.choices)})" if field.choices else ""
    yield f"### {field.name.replace('_', ' ')}"
    yield ""
    yield f"{field.help}"
    yield ""
    yield f"* type: {_TYPES[field.kind]}{choices}{default}"
    rows = (
        ("flag", ", ".join(f"`{flag}`" for flag in field.flags)),
        ("environment", ", ".join(variables)),
        ("request", f"`{field.request}`" if field.request else ""),
        ("YAML", f"`{key}`{star}" if key else ""),
    )
    yield from (f"* {name}: {text}" for name, text in rows if text)
    yield ""


def _cli() -> str:
    lines = ["# Command line of `build`", "", "`build [OPTIONS] [CONTEXT]`; also `ocibuild build`.", ""]
    lines += ["Flags of plugins come on top: `build --help` shows those of what is installed.", ""]
    lines += [
        "Shells complete these lines once they have read what `ocibuild completion bash` (or `zsh`, `fish`) prints.",
        "The wheel has man pages: `build(1)`, `ocibuild(1)`, `docker-credential-ocibuild(1)`.",
        "",
    ]
    by_group: dict[str, list[str]] = {title: [] for title in GROUPS}
    for flag in build_flags():
        if not isinstance(flag, GroupedOption):
            continue
        by_group[flag.group].append(_flag_row(flag))
    for title, rows in by_group.items():
        if rows:
            lines += [f"## {title}", "", "| flag | meaning |", "|---|---|", *rows, ""]
    return "\n".join([*lines, _NOTE])


def _flag_row(flag: GroupedOption) -> str:
    value = f" {flag.metavar}" if flag.metavar else ""
    spelt = ", ".join(f"`{name}{value}`" for name in flag.opts if name.startswith("-"))
    return "| {} | {} |".format(*(text.replace("|", "\\|") for text in (spelt, flag.help or "")))


if __name__ == "__main__":
    sys.exit(write_or_check(DOCS, pages()))
