"""Write docs/plugins/reference.md from the public surface and its docstrings; `--check` says whether it is current."""

from __future__ import annotations

import ast
import enum
import inspect  # noqa: TID251  # a tool, never on the way to `--help`
import re
import sys
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ForwardRef

from generated import write_or_check
from ocibuild_core.option_docs import docs_row, spelling_rows
from ocibuild_core.spellings import Owner, OwnerKind, spell

from ocibuild_core import hooks, plugin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TARGET = Path(__file__).parents[1] / "docs" / "plugins" / "reference.md"

SECTIONS = {
    "Auth providers": (
        "AuthProvider",
        "Match",
        "ProviderContext",
        "CredentialRequest",
        "Credential",
        "CredentialKind",
        "InteractiveLogin",
        "LoginRequest",
        "LoginUI",
        "CredentialStore",
        "StoredCredential",
        "Diagnostics",
        "Finding",
        "Severity",
    ),
    "Exporters": ("Exporter", "ExportRequest", "ExportPlan", "BuildOutput", "ExportResults", "Artifact"),
    "Options": ("Option", "OptionType", "OptionValues"),
    "Errors": (
        "OcibuildError",
        "UsageError",
        "CredentialError",
        "CredentialsUnavailable",
        "ExportError",
    ),
    "Helpers": ("Secret", "Clock", "SystemClock", "parse_registry", "RegistryAddress"),
    "The plugin itself": ("hookimpl", "HOOK_API"),
}

INTRODUCTION = """\
# Reference: `ocibuild_core.plugin`

Everything here is imported from `ocibuild_core.plugin`, the only module of core that a plugin imports.
"""

NOTE = "Written by `scripts/plugin_reference.py` from the code; change the docstrings, not this page.\n"

EXAMPLE_OWNER = Owner(kind=OwnerKind.PROVIDER, name="example", options=())
EXAMPLES = (
    plugin.Option(name="region", help="Where the registry is", default="north", env=("REGION",)),
    plugin.Option(name="public", help="Public registries, too", type=plugin.OptionType.BOOL),
    plugin.Option(name="password", help="Password of the user", type=plugin.OptionType.SECRET),
)


def page() -> str:
    """The whole page."""
    left_out = set(plugin.__all__) - {name for names in SECTIONS.values() for name in names}
    if left_out:
        raise SystemExit(f"plugin_reference.py: no section for {', '.join(sorted(left_out))}")
    parts = [INTRODUCTION, "## Hooks\n", *(_hook(name) for name in ("ocibuild_auth_providers", "ocibuild_exporters"))]
    for title, names in SECTIONS.items():
        parts += [f"## {title}\n", *(_entry(name) for name in names)]
        if title == "Options":
            parts.append(_spellings())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + f"\n\n{NOTE}"


def _hook(name: str) -> str:
    hook = getattr(hooks, name)
    return f"### `{name}() -> {_annotation(inspect.signature(hook).return_annotation)}`\n\n{_markdown(hook.__doc__)}"


def _entry(name: str) -> str:
    thing = getattr(plugin, name)
    if name in ("HOOK_API", "hookimpl"):
        shown = f"`{name}`" if name == "hookimpl" else f"`{name} = {thing}`"
        return f"### {shown}\n\n{_markdown(_attribute_docs(hooks)[name])}"
    if not isinstance(thing, type):
        return f"### `{name}{_signature(thing)}`\n\n{_markdown(thing.__doc__)}"
    lines = [f"### `{name}`\n", _bases(thing), _markdown(thing.__doc__, _types(thing))]
    if issubclass(thing, enum.Enum):
        lines.append(_members(thing))
    if issubclass(thing, plugin.OcibuildError) and thing is not plugin.OcibuildError:
        lines.append(f"Exit code {thing.exit_code}.\n")
    lines += [_method(member, value) for member, value in vars(thing).items() if _is_public_method(member, value)]
    return "\n".join(line for line in lines if line)


def _bases(thing: type) -> str:
    own = [base.__name__ for base in thing.__bases__ if base.__name__ in plugin.__all__]
    return f"A `{own[0]}`, with all that it has.\n" if own else ""


def _is_public_method(name: str, value: object) -> bool:
    return inspect.isfunction(value) and not name.startswith("_")


def _method(name: str, function: object) -> str:
    abstract = " (to be written)" if getattr(function, "__isabstractmethod__", False) else ""
    return f"#### `{name}{_signature(function)}`{abstract}\n\n{_markdown(function.__doc__)}"


def _members(kind: type[enum.Enum]) -> str:
    documented = _attribute_docs(sys.modules[kind.__module__], kind.__name__)
    rows = [f"| `{member.name}` | {documented.get(member.name, '')} |" for member in kind]
    return "\n".join(["| member | meaning |", "|---|---|", *rows, ""])


def _attribute_docs(module: object, class_name: str = "") -> dict[str, str]:
    """The texts that stand below assignments, by the name assigned to."""
    body = ast.parse(inspect.getsource(module)).body  # type: ignore[arg-type]
    if class_name:
        (found,) = [node for node in body if isinstance(node, ast.ClassDef) and node.name == class_name]
        body = found.body
    documented = {}
    for statement, following in pairwise(body):
        if isinstance(statement, ast.Assign) and isinstance(following, ast.Expr):
            target, text = statement.targets[0], following.value
            if isinstance(target, ast.Name) and isinstance(text, ast.Constant) and isinstance(text.value, str):
                documented[target.id] = " ".join(inspect.cleandoc(text.value).split())
    return documented


def _signature(function: object) -> str:
    signature = inspect.signature(function)  # type: ignore[arg-type]
    parameters = [
        parameter.replace(annotation=_Text(_annotation(parameter.annotation)))
        if parameter.annotation is not parameter.empty
        else parameter
        for name, parameter in signature.parameters.items()
        if name != "self"
    ]
    returns = signature.return_annotation
    shown = signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty)
    arrow = "" if returns is inspect.Signature.empty else f" -> {_annotation(returns)}"
    return f"{shown}{arrow}"


class _Text:
    """An annotation that is printed as it was written."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _annotation(annotation: object) -> str:
    if isinstance(annotation, ForwardRef):  # what a named tuple makes of a text
        annotation = annotation.__forward_arg__
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _types(thing: type) -> Mapping[str, str]:
    """The types of a record's fields, by name, as they are written."""
    annotations: dict[str, Any] = vars(thing).get("__annotations__", {})
    return {name: _annotation(annotation) for name, annotation in annotations.items()}


def _markdown(docstring: str | None, types: Mapping[str, str] | None = None) -> str:
    """A docstring of the house's style as Markdown: sections become lists, indented code becomes blocks."""
    return "\n".join(_blocks(inspect.cleandoc(docstring or ""), types or {})) + "\n"


def _blocks(text: str, types: Mapping[str, str]) -> Iterator[str]:
    for block in re.split(r"\n\n(?=\S)", text):
        title, _, rest = block.partition("\n")
        if title in ("Args:", "Attributes:", "Raises:", "Returns:"):
            yield from _items(title, rest, types)
        elif block.startswith(">>>"):
            yield f"```python\n{block}\n```\n"
        else:
            yield from _paragraphs(block)


def _items(title: str, rest: str, types: Mapping[str, str]) -> Iterator[str]:
    if title in ("Raises:", "Args:"):
        yield {"Raises:": "Raises", "Args:": "Fields and arguments"}[title] + ":\n"
    for item in re.split(r"\n(?=\S)", textwrap.dedent(rest)):
        name, _, meaning = item.partition(": ")
        kind = f" (`{types[name]}`)" if name in types else ""
        yield f"- `{name}`{kind}: {' '.join(meaning.split())}"
    yield ""


def _paragraphs(block: str) -> Iterator[str]:
    lines = block.split("\n")
    code = [line for line in lines if line.startswith("    ")]
    prose = [line for line in lines if not line.startswith("    ")]
    yield "\n".join(prose).strip() + "\n"
    if code:
        yield "```python\n" + textwrap.dedent("\n".join(code)) + "\n```\n"


def _spellings() -> str:
    header = "| command line | environment | YAML | meaning | default |\n|---|---|---|---|---|"
    rows = "\n".join(docs_row(option, spell(EXAMPLE_OWNER, option)) for option in EXAMPLES)
    order = ", then ".join(where for where, _ in spelling_rows(EXAMPLES[0], spell(EXAMPLE_OWNER, EXAMPLES[0])))
    return f"""\
### Spellings

Of a provider `example` these options

{header}
{rows}

are looked for in this order: {order}.
The first that says something wins; an empty value says nothing. The request is the one of `ocibuild task`.

A secret takes no value on the command line: `--…-file` names a file, or `-` for stdin; YAML names where it is,
`{{env: NAME}}` or `{{file: PATH}}`. An exporter's options are written `--output NAME,key=value`; the rest is the same,
with `exporters` for `auth`.

Two plugins whose options give one flag or one variable cannot be used together, so `env` is for names that were
the plugin's own before. A variable that belongs to everybody (`HTTPS_PROXY`, `GITHUB_TOKEN`, `AWS_REGION`) is read from
`request.env`.

The flags and variables of core itself (`build --help`) are taken, too.
"""


if __name__ == "__main__":
    sys.exit(write_or_check(TARGET.parent, {TARGET.name: page()}))
