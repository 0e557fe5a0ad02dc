"""Whether what a hook returned is what the contract says: whole records with valid names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from ocibuild_core.exporting import Exporter
from ocibuild_core.options import Option
from ocibuild_core.plugin_problems import fault, printable
from ocibuild_core.providers import AuthProvider

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_NAME_RULE = "lower-case words of a-z and 0-9, joined by '-'"

RESERVED_NAMES = frozenset({"none"})
"""What `--login` and `--output` take to mean nothing at all."""

_Record = TypeVar("_Record", AuthProvider, Exporter)


def check_providers(records: Sequence[object]) -> tuple[AuthProvider, ...]:
    """The records as providers; raises `PluginFault` about the first that is not in order."""
    providers = tuple(_checked(record, AuthProvider) for record in records)  # type: ignore[type-abstract]
    for provider in providers:
        _check_aliases(provider)
    _check_unique(f"auth provider {name!r}" for provider in providers for name in (provider.name, *provider.aliases))
    return providers


def check_exporters(records: Sequence[object]) -> tuple[Exporter, ...]:
    """The records as exporters; raises `PluginFault` about the first that is not in order."""
    exporters = tuple(_checked(record, Exporter) for record in records)  # type: ignore[type-abstract]
    _check_unique(f"exporter {exporter.name!r}" for exporter in exporters)
    return exporters


def _checked(record: object, kind: type[_Record]) -> _Record:
    if not isinstance(record, kind):
        raise _wrong_type(record, kind)
    _check_name(record, kind)
    _check_summary(record, kind)
    _check_options(record, kind)
    return record


def _wrong_type(record: object, kind: type) -> Exception:
    if isinstance(record, type):
        what = f"the class {record.__name__!r}"
        why = f"an instance is wanted: {record.__name__}()"
    else:
        what = f"an object of type {type(record).__name__!r}"
        why = f"it must be an instance of a subclass of {kind.__name__}"
    return fault(printable(f"returns {what} where an {kind.__name__} is due"), why=printable(why))


def _check_name(record: AuthProvider | Exporter, kind: type) -> None:
    name = getattr(record, "name", None)
    if name is None:
        raise fault(printable(f"offers an {kind.__name__} without a name"), why=f"class {type(record).__name__}")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in RESERVED_NAMES:
        raise fault(printable(f"offers an {kind.__name__} with the invalid name {name!r}"), why=_rule_for(name))


def _rule_for(name: object) -> str:
    return f"{name!r} is reserved" if name in RESERVED_NAMES else f"a name is {_NAME_RULE}"


def _check_summary(record: AuthProvider | Exporter, kind: type) -> None:
    summary = getattr(record, "summary", None)
    if not isinstance(summary, str) or not summary.strip() or not summary.isprintable():
        raise fault(f"offers the {kind.__name__} {record.name!r} without a summary", why="it must be one line of text")


def _check_aliases(provider: AuthProvider) -> None:
    aliases = provider.aliases
    if not isinstance(aliases, tuple):
        raise fault(f"gives the provider {provider.name!r} aliases that are no tuple", why=type(aliases).__name__)
    for alias in aliases:
        if not isinstance(alias, str) or not _NAME.fullmatch(alias) or alias in RESERVED_NAMES:
            raise fault(printable(f"gives {provider.name!r} the invalid alias {alias!r}"), why=_rule_for(alias))


def _check_options(record: AuthProvider | Exporter, kind: type) -> None:
    options = record.options
    if not isinstance(options, tuple) or not all(isinstance(option, Option) for option in options):
        raise fault(
            f"offers the {kind.__name__} {record.name!r} with options of the wrong type",
            why="options is a tuple of Option",
        )
    _check_unique(f"option {option.name!r} of {record.name!r}" for option in options)


def _check_unique(things: Iterable[str]) -> None:
    seen: set[str] = set()
    for thing in things:
        if thing in seen:
            raise fault(f"offers {thing} twice")
        seen.add(thing)
