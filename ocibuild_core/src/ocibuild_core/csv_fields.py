"""Fields joined by commas and quoted as CSV (RFC 4180) asks: how BuildKit's client and frontend take lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable


def join_fields(fields: Iterable[str]) -> str:
    """One line of CSV."""
    return ",".join(map(quote_field, fields))


def quote_field(text: str) -> str:
    """One field; in quotes where a reader would take it apart otherwise."""
    if not any(char in text for char in ',"\n\r') and text == text.lstrip():
        return text
    return '"' + text.replace('"', '""') + '"'


def split_fields(text: str, origin: str) -> list[str]:
    """The fields of one line of CSV. Raises UsageError naming `origin`, without the text: it may be a secret's."""
    from csv import Error, reader  # noqa: PLC0415  # only where such a line is given

    try:
        (fields,) = reader([text], strict=True)
    except (Error, ValueError):
        raise UsageError(f"{origin}: unbalanced quotes") from None
    return fields
