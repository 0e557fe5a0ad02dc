"""Where settings are read from: the command line, the environment, a request, YAML. One class each, one question."""

from __future__ import annotations

import os

from ocibuild_core.errors import UsageError
from ocibuild_core.records import NamedTuple
from ocibuild_core.settings.fields import LISTS, Field, Kind, Scope
from ocibuild_core.settings.model import Pair
from ocibuild_core.settings.values import (
    json_items,
    kind_of,
    parse_bool,
    parse_duration,
    parse_size,
    split_list,
    split_mapping,
    split_outputs,
    split_pair,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Protocol

    class Source(Protocol):
        """One place that settings come from."""

        def find(self, field: Field) -> Found | None:
            """The field's value here, or None. Raises UsageError naming the spelling when it is malformed."""


class Found(NamedTuple):
    """A field's value in one source, parsed, and the spelling that gave it."""

    value: object
    origin: str


class CommandLine(NamedTuple):
    """Parsed flags: by field name a text, a sequence of texts, or True; absent when not given."""

    values: Mapping[str, object]
    env: Mapping[str, str]

    def find(self, field: Field) -> Found | None:
        """See `Source.find`."""
        value = self.values.get(field.name)
        if value is None or value == ():
            return None
        origin = field.flags[0] if field.flags else "the argument " + field.name.upper()
        if field.kind is Kind.PAIRS:
            read = self._pair_or_name if field.is_name_enough else _pair
            more = "=" if field.is_value_optional else ""
            pairs = (read(text if "=" in text else f"{text}{more}", origin) for text in _texts(value))
            return Found(tuple(pair for pair in pairs if pair), origin)
        if field.kind in LISTS:
            return Found(tuple(_texts(value)), origin)
        if field.kind is Kind.BOOL:
            return Found(bool(value), origin)
        return Found(parse_text(field, str(value), origin), origin)

    def _pair_or_name(self, text: str, origin: str) -> Pair | None:
        """`NAME=VALUE`, or `NAME` alone: its value in the environment, left out when it has none, as docker does."""
        if "=" in text or text not in self.env:
            return None if text and "=" not in text else _pair(text, origin)
        return Pair(key=text, value=self.env[text], origin=f"{origin} (from the environment)")


class Environment(NamedTuple):
    """Environment variables; an empty one counts as unset."""

    env: Mapping[str, str]

    def find(self, field: Field) -> Found | None:
        """See `Source.find`."""
        spelling = next((name for name in field.env if self.env.get(name)), None)
        prefixed = self._prefixed(field)
        if spelling is None:
            return Found(prefixed, f"{field.prefix}*") if prefixed else None
        value = parse_text(field, self.env[spelling], spelling)
        if field.kind is Kind.PAIRS and isinstance(value, tuple):
            value = (*value, *prefixed)
        return Found(value, spelling)

    def _prefixed(self, field: Field) -> tuple[Pair, ...]:
        """Variables such as `BUILD_ARG_name`: taken verbatim, also when empty."""
        if not field.prefix:
            return ()
        cut = len(field.prefix)
        names = (name for name in self.env if name.startswith(field.prefix) and len(name) > cut)
        if field.kind is Kind.NAMED:
            return tuple(Pair(key=name[cut:], value=name, origin=name) for name in names)
        return tuple(Pair(key=name[cut:], value=self.env[name], origin=name) for name in names)


class Document(NamedTuple):
    """A parsed YAML file or request: field keys to plain values.

    Args:
        values: the mapping.
        name: how to call it in messages (`ocibuild.yml`, `request`).
        is_request: keys are the request's, and match in any case.
        trusted: it may set fields of `Scope.HOST`.
    """

    values: Mapping[str, object]
    name: str
    is_request: bool = False
    trusted: bool = True

    def find(self, field: Field) -> Found | None:
        """See `Source.find`."""
        if field.kind is Kind.NAMED:
            return None
        key = field.request if self.is_request else field.name.replace("_", "-")
        value = self._lookup(key) if key else None
        if value is None or value == "":
            return None
        origin = f"{self.name}: {key}"
        if field.scope is Scope.HOST and not self.trusted:
            raise UsageError(
                f"{origin}: not allowed in a file that lies beside the sources",
                why="whoever can change the sources could choose logins, plugins or the engine",
                do="name the file with --config, or move the key to ~/.config/ocibuild.yml",
            )
        if self.is_request and field.kind is not Kind.BOOL:  # which says itself what it wants
            _refuse_numbers(value, origin)
        if field.kind is Kind.PATH and not self.trusted:
            _refuse_outside(str(value), self.name, origin)
        return Found(_from_document(field, value, origin), origin)

    def _lookup(self, key: str) -> object:
        if not self.is_request:
            return self.values.get(key)
        return last_in_any_case(self.values, key)


def last_in_any_case(values: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401  # JSON
    """The value of a key that may be written in any case; of several the last counts, as in Go's encoding/json."""
    return next((values[name] for name in reversed(list(values)) if name.lower() == key), None)


def _refuse_outside(path: str, file: str, origin: str) -> None:
    """A file that comes with the sources may name what is among them, nothing else of this machine."""
    directory = os.path.dirname(os.path.abspath(file))  # noqa: PTH100, PTH120  # pathlib costs the start 5 ms
    wanted = os.path.realpath(os.path.join(directory, path))  # noqa: PTH118
    if os.path.commonpath((wanted, os.path.realpath(directory))) != os.path.realpath(directory):
        raise UsageError(
            f"{origin}: {path!r} lies outside of {directory}",
            why="whoever can change the sources could put any file of this machine into the image",
            do="name the file of settings with --config, or the path on the command line",
        )


def _refuse_numbers(value: object, origin: str) -> None:
    """A request is made by a program: a number where a text belongs is a mistake there, people leave out quotes."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else (value,)
    if any(isinstance(item, int | float) and not isinstance(item, bool) for item in items):
        raise UsageError(f"{origin}: a number where a text is expected", do="put the value in quotes")


def parse_text(field: Field, text: str, origin: str) -> object:  # noqa: PLR0911  # one return a kind
    """One text as the field's kind reads it."""
    try:
        match field.kind:
            case Kind.BOOL:
                return parse_bool(text)
            case Kind.DURATION:
                return _timeout(text)
            case Kind.SIZE:
                return parse_size(text)
            case Kind.LIST:
                return split_list(text)
            case Kind.ITEMS:
                items = json_items(text)
                return (text,) if items is None else items
            case Kind.OUTPUTS:
                return split_outputs(text)
            case Kind.PAIRS:
                return tuple(_pair(item, origin) for item in split_mapping(text))
            case Kind.CHOICE:
                return _choice(field, text)
            case _:
                return text
    except ValueError as error:
        raise UsageError(f"{origin}={text!r}: {error}") from None


def _timeout(text: str) -> float:
    """All durations among the settings are times that something may take."""
    seconds = parse_duration(text)
    if not seconds:
        raise ValueError("too short: nothing is done in no time")
    return seconds


def _from_document(field: Field, value: object, origin: str) -> object:
    match field.kind, value:
        case Kind.BOOL, bool():
            return value
        case Kind.ATTRIBUTES, bool():
            return str(value).lower()
        case Kind.LIST | Kind.ITEMS | Kind.OUTPUTS, list():
            return tuple(_scalar(item, origin) for item in value)
        case Kind.PAIRS, dict():
            return tuple(
                Pair(key=checked_key(key, origin), value=_scalar(item, origin), origin=origin)
                for key, item in value.items()
            )
        case Kind.PAIRS, list():
            return tuple(_pair(_scalar(item, origin), origin) for item in value)
        case Kind.BOOL | Kind.PAIRS, _:
            raise _wrong_type(field, value, origin)
        case _:
            return parse_text(field, _scalar(value, origin), origin)


def checked_key(key: object, origin: str) -> str:
    """A key of a mapping, as `NAME=VALUE` could say it; raises UsageError. YAML takes `on` for true."""
    if not isinstance(key, str):
        raise UsageError(f"{origin}: {kind_of(key)} where a name is expected", do="put the name in quotes")
    if not key or "=" in key:
        raise UsageError(f"{origin}: {key!r} is no name", why="it is empty, or has a '='", do="write NAME: VALUE")
    return key


def refuse_unpassable(value: object, origin: str) -> None:
    """Raise UsageError for a text that no program can be given: with a NUL, or a surrogate that stands for no byte."""
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str) and not _is_passable(text):
            why = "a NUL, or half of a character, cannot be handed to a program"
            raise UsageError(f"{origin}: not a text that can be used", why=why, do="take it out")


def _is_passable(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _scalar(value: object, origin: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    do = "" if isinstance(value, dict | list) else "put the value in quotes"
    raise UsageError(f"{origin}: {kind_of(value)} where a text is expected", do=do)


def _wrong_type(field: Field, value: object, origin: str) -> UsageError:
    wanted = {Kind.BOOL: "true or false", Kind.PAIRS: "a mapping or a list of key=value"}[field.kind]
    return UsageError(f"{origin}: {kind_of(value)} where {wanted} is expected")


def _choice(field: Field, text: str) -> str:
    if text not in field.choices:
        raise ValueError("use one of " + ", ".join(field.choices))
    return text


def _pair(text: str, origin: str) -> Pair:
    try:
        key, value = split_pair(text)
    except ValueError as error:
        raise UsageError(f"{origin}: {error}", do="write NAME=VALUE") from None
    return Pair(key=key, value=value, origin=origin)


def _texts(value: object) -> Sequence[str]:
    return value if isinstance(value, tuple) else (str(value),)
