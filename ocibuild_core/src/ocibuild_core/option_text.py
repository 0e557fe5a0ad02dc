"""How the value of an option is read: from text, and from what a YAML file or a request holds.

Pure; every function raises ValueError with the reason alone and never repeats the value, which may be a secret.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocibuild_core.options import OptionType
from ocibuild_core.secret import Secret
from ocibuild_core.settings.values import (
    items_of,
    json_items,
    kind_of,
    parse_bool,
    parse_duration,
    scalar_text,
    split_list,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ocibuild_core.options import Option, OptionValue

# Eighteen digits fit every 64-bit integer and keep `int()` from its limit on long texts.
_INT = r"(?a)[+-]?[0-9]{1,18}"


def parse_text(option: Option, text: str) -> OptionValue:
    """The value of one text, by the option's type."""
    if option.type is OptionType.CHOICE:
        return _choice(option.choices, text)
    return _READERS[option.type](text)


def parse_list(texts: Sequence[str]) -> tuple[str, ...]:
    """The items of all texts together: between commas, trimmed, empty ones dropped; `{…}` protects its commas.

    A text may also be a JSON array or object, which is read as `parse_document` does.
    """
    return tuple(item for text in texts for item in _kept(_split(text)))


def parse_document(option: Option, value: object) -> OptionValue:
    """The value of what a YAML file or a request holds: a scalar, or for a list also a sequence or a mapping.

    A mapping gives `key=value` items, of a list one for each of its values; what is nested deeper becomes JSON.
    """
    if option.type is OptionType.LIST and isinstance(value, dict | list | tuple):
        return _kept(_items(value))
    if isinstance(value, dict | list | tuple):
        kind = "a mapping" if isinstance(value, dict) else "a list"
        raise ValueError(f"{kind} where one value is expected")  # noqa: TRY004  # one class for all reasons
    return parse_text(option, scalar_text(value))


def refuse_wrong_type(option: Option, value: object) -> None:
    """Raise ValueError for what no request may hold for an option: a program made it, which leaves out no quotes."""
    types, wanted = _IN_REQUEST.get(option.type, ((str,), "a text"))
    if type(value) not in types:
        raise ValueError(f"{kind_of(value)} where {wanted} is expected")
    for item in _flat(value):
        if isinstance(item, int | float):
            raise ValueError(f"{kind_of(item)} where a text is expected")  # noqa: TRY004  # one class for all reasons


def _flat(value: object) -> Iterator[object]:
    """The items of a list; of a mapping its values, and the items of those that are lists."""
    if isinstance(value, dict):
        for held in value.values():
            yield from _flat(held) if isinstance(held, list) else (held,)
    elif isinstance(value, list):
        yield from value


def _split(text: str) -> tuple[str, ...]:
    whole = json_items(text, "[{", _items)
    return split_list(text) if whole is None else whole


def _items(value: dict[Any, object] | Sequence[object]) -> tuple[str, ...]:
    if not isinstance(value, dict):
        return items_of(value)
    # Not so in `items_of`: a key of settings has one value, and the last would win without a word.
    pairs = (
        (key, item) for key, held in value.items() for item in (held if isinstance(held, list | tuple) else (held,))
    )
    return tuple(text for key, item in pairs for text in items_of({key: item}))


def _kept(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(text for item in items if (text := item.strip()))


def _int(text: str) -> int:
    if not re.fullmatch(_INT, text.strip()):
        raise ValueError("not a whole number")
    return int(text)


def _path(text: str) -> Path:
    if "\0" in text:
        raise ValueError("a path cannot hold a NUL character")
    return Path(text)


def _choice(choices: Sequence[str], text: str) -> str:
    for choice in choices:
        if choice.lower() == text.strip().lower():
            return choice
    raise ValueError(f"use one of {', '.join(choices)}")


_IN_REQUEST: dict[OptionType, tuple[tuple[type, ...], str]] = {
    OptionType.BOOL: ((bool,), "true or false"),
    OptionType.INT: ((int, str), "a whole number"),
    OptionType.DURATION: ((int, float, str), "a duration"),
    OptionType.LIST: ((str, list, dict), "a list or a text"),
}
"""What a request may hold for an option; for the other types a text."""

_READERS: dict[OptionType, Callable[[str], OptionValue]] = {
    OptionType.TEXT: str,
    OptionType.INT: _int,
    OptionType.BOOL: parse_bool,
    OptionType.PATH: _path,
    OptionType.DURATION: parse_duration,
    OptionType.LIST: lambda text: parse_list([text]),
    OptionType.SECRET: Secret,
}
