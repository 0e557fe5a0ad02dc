"""Finds many texts in passing bytes: where they stand, and where one may have begun at the end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocibuild_core.auth.secret_forms import Needle

Span = tuple[int, int, int | None]
"""Start, end, and the phase of `Needle`."""

_PLAIN_RUN = rb"[A-Za-z0-9]+"
_SHORTEST_ANCHOR = 4
_LONGEST_ANCHOR = 24
_END = 4


class Needles:
    """A set of needles, prepared for the search. It never changes.

    The forms of one secret differ in their escapes alone, so most of them share a run of letters and digits: such an
    anchor is searched for once, and the needles around it only where it is found.
    """

    def __init__(self, needles: Iterable[Needle] = ()) -> None:
        self.all = frozenset(needles)
        self.longest = max((len(needle.text) for needle in self.all), default=0)
        self._texts = b"\0".join(needle.text for needle in self.all)
        self._bytes = frozenset(self._texts)
        self._beginnings = frozenset(needle.text[:size] for needle in self.all for size in range(1, _END))
        self._by_anchor: dict[bytes, list[Needle]] = {}
        for needle in sorted(self.all, key=lambda needle: (len(needle.text), needle.text)):
            known = next((anchor for anchor in self._by_anchor if anchor in needle.text), None)
            self._by_anchor.setdefault(known or _anchor(needle.text), []).append(needle)

    def spans(self, data: bytes) -> list[Span]:
        """Where needles stand, in order, overlapping ones as one; with a phase when all of it is base64."""
        found = [
            span
            for anchor, needles in self._by_anchor.items()
            if anchor in data
            for needle in needles
            for span in _spans_of(needle, data)
        ]
        merged: list[Span] = []
        for start, stop, phase in sorted(found, key=lambda span: span[:2]):
            if not merged or start >= merged[-1][1]:
                merged.append((start, stop, phase))
                continue
            first, last, earlier = merged[-1]
            merged[-1] = (first, max(last, stop), None if phase is None or earlier is None else earlier)
        return merged

    def first_open(self, data: bytes) -> int:
        """Where the earliest beginning of a needle stands that the end of the data cuts off; the end when none does."""
        if not data or data[-1] not in self._bytes:
            return len(data)
        # A needle that is cut off holds the last bytes of the data, or begins among them.
        end = data[-_END:]
        if end not in self._texts and not any(data[-size:] in self._beginnings for size in range(1, _END)):
            return len(data)
        return min(_open_at(data, needle) for needle in self.all)


def _spans_of(needle: Needle, data: bytes) -> Iterator[Span]:
    at = data.find(needle.text)
    start = stop = -1
    while at >= 0:
        first, last = max(0, at - needle.lead), min(len(data), at + len(needle.text) + needle.trail)
        if first >= stop > 0:
            yield start, stop, needle.phase
            start = first
        elif stop < 0:
            start = first
        # One upon itself (`abab` in `ababab`) is one span: a long run would cost a span for each byte.
        stop = last
        at = data.find(needle.text, at + 1)
    if stop > 0:
        yield start, stop, needle.phase


def _open_at(data: bytes, needle: Needle) -> int:
    # A whole needle is open, too, as long as the byte after it that belongs to it is to come.
    text, size = needle.text, len(data)
    for at in _beginnings(text, data, max(0, size - len(text) - needle.trail + 1)):
        if text.startswith(data[at : at + len(text)]):
            return max(0, at - needle.lead)
    return size


def _beginnings(text: bytes, data: bytes, start: int) -> Iterator[int]:
    """Where it may begin, from `start` on."""
    at = data.find(text[:_END], start)
    while at >= 0:
        yield at
        at = data.find(text[:_END], at + 1)
    yield from range(max(start, len(data) - _END + 1), len(data))


def _anchor(text: bytes) -> bytes:
    run = max(re.findall(_PLAIN_RUN, text), key=len, default=b"")
    return run[:_LONGEST_ANCHOR] if len(run) >= _SHORTEST_ANCHOR else text


def to_bytes(text: str) -> bytes:
    """As it stands in a log: bytes of the environment that are no UTF-8 come out as they came in."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        # Half a pair that stands for no byte: it came from JSON or YAML, not from the environment.
        return text.encode(errors="surrogatepass")
