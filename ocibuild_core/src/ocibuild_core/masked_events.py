"""Masks BuildKit's machine-readable progress, in which what steps print is base64, a record for each read of it."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from ocibuild_core.records import NamedTuple
from ocibuild_core.terminal import Talk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ocibuild_core.auth.redact import RedactingStream, Redactor

_HAS_LOGS = b'"logs":['


class _Output(NamedTuple):
    """One of a step's two outputs: where it goes, and its last log's other fields."""

    stream: RedactingStream
    fields: dict[str, Any]


class MaskedEvents:
    """Takes `client.SolveStatus` as JSON, one object a line; a secret that lies in two logs of a step is masked, too.

    A step's output that could be the beginning of one waits for the step's next log or its end. Lines that hold no
    output are masked as they are. Those that are no events go aside: the lines of a Dockerfile that failed, and what a
    check found, which buildctl prints for people.

    Args:
        redactor: knows the secrets.
        tell: takes what goes aside, once, at the end; None: it goes to stderr.
    """

    def __init__(self, redactor: Redactor, tell: Callable[[str], None] | None = None) -> None:
        self._redactor = redactor
        self._tell = tell or Talk().say
        self._whole = redactor.stream()
        self._line = b""
        self._aside: list[bytes] = []
        self._outputs: dict[tuple[str, int], _Output] = {}

    def feed(self, content: bytes) -> bytes:
        """Take a piece, cut anywhere; gives what may be shown."""
        *lines, self._line = (self._line + content).split(b"\n")
        return self._whole.feed(b"".join(self._masked(line) + b"\n" for line in lines if self._is_event(line)))

    def flush(self) -> bytes:
        """The end: gives what was held back, and tells what went aside."""
        rest, self._line = self._line, b""
        rest = rest if self._is_event(rest) else b""
        if aside := b"\n".join(self._aside).strip():
            self._tell(self._redactor.text(aside.decode(errors="replace")))
        logs = self._ended(self._outputs.copy())
        last = _encoded({"logs": logs}) + b"\n" if logs else b""
        return self._whole.feed(last + rest) + self._whole.flush()

    def _is_event(self, line: bytes) -> bool:
        """Whether it is one. What is none is put aside."""
        if line.startswith(b"{"):
            return True
        self._aside.append(line)
        return False

    def _masked(self, line: bytes) -> bytes:
        if not self._outputs and _HAS_LOGS not in line:
            return line
        try:
            event = json.loads(line)
            logs = [log for given in event.get("logs") or () for log in self._log(given)]
            ended = {vertex["digest"] for vertex in event.get("vertexes") or () if vertex.get("completed")}
        except (ValueError, AttributeError, KeyError, TypeError):
            return line  # a newer BuildKit's, or none of BuildKit's
        logs += self._ended(key for key in self._outputs.copy() if key[0] in ended)
        if logs == (event.get("logs") or []):
            return line
        return _encoded({**event, "logs": logs})

    def _log(self, log: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The log with what may be shown of it, and of those before."""
        key = (log["vertex"], log.get("stream", 1))
        stream = self._outputs[key].stream if key in self._outputs else self._redactor.stream()
        self._outputs[key] = _Output(stream, dict(log))
        return _shown(log, stream.feed(b64decode(log["data"])))

    def _ended(self, keys: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
        outputs = [self._outputs.pop(key) for key in keys]
        return [log for output in outputs for log in _shown(output.fields, output.stream.flush())]


def _shown(log: Mapping[str, Any], data: bytes) -> list[dict[str, Any]]:
    return [{**log, "data": b64encode(data).decode()}] if data else []


def _encoded(event: Mapping[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass")
