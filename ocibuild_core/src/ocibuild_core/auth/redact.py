"""Masks every known secret in what passes by, also one that is cut by the end of a read."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ocibuild_core.auth.secret_forms import Needle, forms, to_bytes
from ocibuild_core.secret import MASK, Secret

if TYPE_CHECKING:
    from ocibuild_core.providers import Credential

_MASK = MASK.encode()
_BASE64_STARS = b"Kioq"  # decodes to three stars
_PREFIX = 4
_MOST_HELD = 1024 * 1024


class Redactor:
    """All secrets of a run. Safe for any number of threads; a secret added later is masked from then on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._needles: tuple[Needle, ...] = ()

    def add(self, secret: Secret, username: str = "") -> None:
        """Mask this secret and its forms from now on.

        Args:
            secret: an empty one is ignored; one of 1 to 3 characters is masked in the base64 of `user:secret` alone.
            username: who it belongs to.
        """
        if not secret:
            return
        new = forms(secret.reveal(), username)
        with self._lock:
            self._needles = tuple(dict.fromkeys((*self._needles, *new)))

    def add_credential(self, credential: Credential) -> None:
        """Mask a credential's secret."""
        self.add(credential.secret, credential.username)

    def text(self, text: str) -> str:
        """A whole text, masked."""
        return self.bytes(to_bytes(text)).decode(errors="surrogateescape")

    def bytes(self, content: bytes) -> bytes:
        """Whole content, masked."""
        stream = self.stream()
        return stream.feed(content) + stream.flush()

    def stream(self) -> RedactingStream:
        """For content that comes in pieces: one for each stream."""
        return RedactingStream(self)

    @property
    def needles(self) -> tuple[Needle, ...]:
        """What is looked for; holds secrets."""
        return self._needles


class RedactingStream:
    """One stream of bytes on its way through.

    What could be the beginning of a secret is held back until more comes, or until `flush`.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = b""

    def feed(self, content: bytes) -> bytes:
        """Take a piece; gives what may be shown."""
        data = self._held + content
        needles = self._redactor.needles
        spans = _spans(data, needles)
        end = _first_open(data, needles)
        for start, stop, _ in reversed(spans):
            # A match that more bytes may still widen waits as a whole.
            if stop > end > start:
                end = start
        if len(data) - end > _MOST_HELD:
            end = max((stop for _, stop, _ in spans), default=end)
        self._held = data[end:]
        return _mask(data[:end], [span for span in spans if span[1] <= end])

    def flush(self) -> bytes:
        """The end of the stream: gives what was held back, masked where it is a secret."""
        data, self._held = self._held, b""
        return _mask(data, _spans(data, self._redactor.needles))


Span = tuple[int, int, int | None]


def _spans(data: bytes, needles: tuple[Needle, ...]) -> list[Span]:
    """Where secrets stand, in order, overlapping ones as one; with the phase when all of it is base64."""
    found: list[Span] = []
    for needle in needles:
        at = data.find(needle.text)
        while at >= 0:
            start, stop = max(0, at - needle.lead), min(len(data), at + len(needle.text) + needle.trail)
            found.append((start, stop, needle.phase))
            at = data.find(needle.text, at + 1)
    found.sort(key=lambda span: span[:2])
    merged: list[Span] = []
    for start, stop, phase in found:
        if not merged or start >= merged[-1][1]:
            merged.append((start, stop, phase))
            continue
        first, last, earlier = merged[-1]
        merged[-1] = (first, max(last, stop), None if phase is None or earlier is None else earlier)
    return merged


def _mask(data: bytes, spans: list[Span]) -> bytes:
    if not spans:
        return data
    parts: list[bytes] = []
    shown = 0
    for start, stop, phase in spans:
        parts += [data[shown:start], _MASK if phase is None else _stars(stop - start, phase)]
        shown = stop
    return b"".join([*parts, data[shown:]])


def _stars(length: int, phase: int) -> bytes:
    return (_BASE64_STARS * (length // len(_BASE64_STARS) + 2))[phase : phase + length]


def _first_open(data: bytes, needles: tuple[Needle, ...]) -> int:
    """Where the earliest beginning of a secret stands that the end of the data cuts off."""
    return min((_open_at(data, needle) for needle in needles), default=len(data))


def _open_at(data: bytes, needle: Needle) -> int:
    # A whole needle whose trailing byte is still to come is cut off as well.
    text, size = needle.text, len(data)
    at = max(0, size - len(text) - needle.trail + 1)
    while at < size:
        at = data.find(text[:_PREFIX], at) if size - at >= _PREFIX else at
        if at < 0:
            at = max(0, size - _PREFIX + 1, size - len(text) - needle.trail + 1)
            continue
        if text.startswith(data[at : at + len(text)]) and at + len(text) + needle.trail > size:
            return max(0, at - needle.lead)
        at += 1
    return size
