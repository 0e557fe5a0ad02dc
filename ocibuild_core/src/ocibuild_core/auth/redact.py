"""Masks every known secret in what passes by, also one that is cut by the end of a read."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ocibuild_core.auth.needles import Needles, to_bytes
from ocibuild_core.secret import MASK, Secret

if TYPE_CHECKING:
    from ocibuild_core.auth.needles import Span
    from ocibuild_core.credentials import Credential
    from ocibuild_core.options import OptionValues

_MASK = MASK.encode()
_BASE64_STARS = b"Kioq"  # decodes to three stars
_LONGEST_RUNS = 4


class Redactor:
    """All secrets of a run. Safe for any number of threads; a secret added later is masked from then on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._needles = Needles()

    def add(self, secret: Secret, username: str = "") -> None:
        """Mask this secret and its forms from now on.

        Args:
            secret: an empty one is ignored; one of 1 to 3 characters is masked in the base64 of `user:secret` alone.
            username: who it belongs to.
        """
        if not secret:
            return
        from ocibuild_core.auth.secret_forms import forms  # noqa: PLC0415  # many builds have no secret

        new = forms(secret.reveal(), username)
        with self._lock:
            if not new <= self._needles.all:
                self._needles = Needles(self._needles.all | new)

    def add_credential(self, credential: Credential) -> None:
        """Mask a credential's secret."""
        self.add(credential.secret, credential.username)

    def add_options(self, *options: OptionValues) -> None:
        """Mask the secrets among the values of providers' and exporters' options."""
        for value in (value for values in options for value in values.values()):
            if isinstance(value, Secret):
                self.add(value)

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
    def needles(self) -> Needles:
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
        spans = needles.spans(data)
        end = needles.first_open(data)
        for start, stop, _ in reversed(spans):
            # A match that more bytes may still widen waits as a whole.
            if stop > end > start:
                end = start
        if len(data) - end > _LONGEST_RUNS * needles.longest:
            # Secrets that overlap without end (`aaaa` in a line of `a`) are not waited for.
            end = max(stop for _, stop, _ in spans)
        self._held = data[end:]
        return _mask(data[:end], [span for span in spans if span[1] <= end])

    def flush(self) -> bytes:
        """The end of the stream: gives what was held back, masked where it is a secret."""
        data, self._held = self._held, b""
        return _mask(data, self._redactor.needles.spans(data))


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
