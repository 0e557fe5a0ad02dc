"""How BuildKit's progress reaches the reader: which display, and what is done to its bytes on the way."""

from __future__ import annotations

import os
from collections import deque
from typing import BinaryIO, Protocol

from ocibuild_core.errors import ExportError, UsageError

_KEPT = 64 * 1024
"""Bytes of a quiet build's log that are shown when it fails: enough for the failed step's output."""


_CLOSING = b"error: "
"""How buildctl begins its last word, after the log (`handleErr` in cmd/buildctl of moby/buildkit)."""


class MaskingStream(Protocol):
    """Bytes on their way through a redactor."""

    def feed(self, content: bytes) -> bytes:
        """Take a piece; gives what may be shown."""

    def flush(self) -> bytes:
        """The end: gives what was held back."""


def choose_progress(wanted: str, *, is_terminal: bool, is_pipeline: bool) -> str:
    """The display to ask BuildKit for: `tty`, `plain`, `rawjson` or `quiet`.

    Args:
        wanted: the setting `progress`.
        is_terminal: a person's terminal is there to draw on.
        is_pipeline: `task`, or `build` without arguments: always plain, because Concourse offers a terminal of a width
            that nobody has.
    """
    if wanted != "auto":
        return wanted
    return "tty" if is_terminal and not is_pipeline else "plain"


def refuse_without_terminal(progress: str, *, is_terminal: bool, origin: str) -> None:
    """Raise UsageError, naming `origin`, for a display that is drawn where there is nothing to draw on."""
    if progress == "tty" and not is_terminal:
        raise UsageError(
            f"{origin} tty: there is no terminal to draw on",
            why="stdout or stderr leads elsewhere",
            do="use --progress plain, or auto, which takes whichever there is",
        )


class ClosingError:
    """Holds back the client's last word on a failure: an error of ours tells it once, and rawjson stays JSON."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """Take a piece of output, cut anywhere; gives what is not the last word."""
        text = self._held + piece
        begin = text.rfind(b"\n" + _CLOSING) + 1
        if not begin and not text.startswith(_CLOSING):
            begin = text.rfind(b"\n") + 1  # a line that is not whole yet may become it
        self._held = text[begin:]
        return text[:begin]

    def take(self) -> bytes:
        """The last word; or a last line without an end, as other programs leave it."""
        held, self._held = self._held, b""
        return held


class Display:
    """Takes BuildKit's output and hands it on, masked.

    Args:
        progress: what `choose_progress` chose.
        out: where it goes.
        masked: masks what passes, and holds back what may be the beginning of a secret.
    """

    def __init__(self, progress: str, out: BinaryIO, masked: MaskingStream) -> None:
        self.progress = progress
        self._out = out
        self._masked = masked
        self._closing = ClosingError()
        self._kept: deque[bytes] = deque()
        self._kept_size = 0

    @property
    def owns_terminal(self) -> bool:
        """BuildKit draws on the terminal itself; nothing passes through here."""
        return self.progress == "tty"

    @property
    def buildctl_progress(self) -> str:
        """The value of `buildctl build --progress`."""
        # A quiet build is asked for its log all the same: when it fails, that is what is wanted.
        return "plain" if self.progress == "quiet" else self.progress

    def take(self, piece: bytes) -> None:
        """A piece of BuildKit's output, cut anywhere."""
        self._write(self._masked.feed(self._closing.feed(piece)))

    def end(self, *, failed: bool) -> str:
        """The solve is over: write what was held back, and a failed quiet build's log.

        Returns what BuildKit's client said at last, unmasked: the error of a solve that failed, which is not shown.
        Empty when it said none, or on the terminal.
        """
        said = self._closing.take()
        if not said.startswith(_CLOSING):
            self._write(self._masked.feed(said))
            said = b""
        self._write(self._masked.flush())
        if failed and self._kept:
            self._send(b"".join(self._kept)[-_KEPT:])
        self._kept.clear()
        self._kept_size = 0
        return said.removeprefix(_CLOSING).decode(errors="replace").strip()

    def _write(self, piece: bytes) -> None:
        if self.progress == "quiet":
            self._keep(piece)
        else:
            self._send(piece)

    def _keep(self, piece: bytes) -> None:
        self._kept.append(piece)
        self._kept_size += len(piece)
        while self._kept_size - len(self._kept[0]) > _KEPT:
            self._kept_size -= len(self._kept.popleft())

    def _send(self, piece: bytes) -> None:
        if not piece:
            return
        try:
            self._out.write(piece)
            self._out.flush()
        except BrokenPipeError:
            # The reader has gone (`build | head`); the build itself goes on and ends as it would. What is still in the
            # buffer goes nowhere, either.
            with open(os.devnull, "wb") as nothing:  # noqa: PTH123  # a device
                os.dup2(nothing.fileno(), self._out.fileno())
        except OSError as error:
            raise ExportError(
                "cannot write BuildKit's log to stdout",
                why=error.strerror or str(error),
                do="make room where it goes, or do without it: --quiet",
            ) from None
