"""What a registry was asked, read from its own log."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request to a registry.

    Args:
        method: `GET`, `PUT`, …
        path: with its query.
        username: who was let in, or whose password was wrong; empty for nobody and for tokens without a subject.
        status: the HTTP status; 401 for all who were turned away.
        user_agent: the client, as it calls itself.
        host: what the client called the registry.
    """

    method: str
    path: str
    username: str
    status: int
    user_agent: str
    host: str


def read_requests(lines: Iterable[str]) -> tuple[Request, ...]:
    """The requests in the registry's JSON log, in the order in which they came in."""
    fields: dict[str, dict[str, object]] = {}
    for line in lines:
        entry = _entry(line)
        if "http.request.id" in entry:
            fields.setdefault(str(entry["http.request.id"]), {}).update(entry)
    return tuple(_request(entry) for entry in fields.values())


def _entry(line: str) -> dict[str, object]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _request(entry: dict[str, object]) -> Request:
    status = entry.get("http.response.status", 401)
    return Request(
        method=str(entry.get("http.request.method", "")),
        path=str(entry.get("http.request.uri", "")),
        username=str(entry.get("auth.user.name") or entry.get("username") or ""),
        status=status if isinstance(status, int) else 0,
        user_agent=str(entry.get("http.request.useragent", "")),
        host=str(entry.get("http.request.host", "")),
    )
