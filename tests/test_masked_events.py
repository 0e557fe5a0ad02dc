"""Secrets in BuildKit's machine-readable progress."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.auth.redact import Redactor
from ocibuild_core.masked_events import MaskedEvents
from ocibuild_core.plugin import Secret
from ocibuild_core.secret import MASK

SECRET = "hunter2-hunter2"


def log(text: str, vertex: str = "sha256:a", stream: int = 1) -> dict[str, Any]:
    data = base64.b64encode(text.encode()).decode()
    return {"vertex": vertex, "stream": stream, "data": data, "timestamp": "2030-01-02T03:04:05.678Z"}


def line(**event: object) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def masked(*pieces: bytes) -> list[dict[str, Any]]:
    """The events that come out when these pieces go in."""
    redactor = Redactor()
    redactor.add(Secret(SECRET))
    events = MaskedEvents(redactor)
    shown = b"".join(map(events.feed, pieces)) + events.flush()
    assert SECRET.encode() not in shown
    return [json.loads(text) for text in shown.splitlines()]


def printed(events: list[dict[str, Any]], vertex: str = "sha256:a", stream: int = 1) -> str:
    """What a step has printed, as a reader of the events puts it together."""
    logs = [one for event in events for one in event.get("logs", ())]
    mine = [one for one in logs if (one["vertex"], one["stream"]) == (vertex, stream)]
    return b"".join(base64.b64decode(one["data"]) for one in mine).decode()


@pytest.mark.parametrize("cut", range(1, len(SECRET)))
def test_a_secret_that_lies_in_two_logs_is_masked(cut: int) -> None:
    events = masked(line(logs=[log(f"it is {SECRET[:cut]}")]), line(logs=[log(f"{SECRET[cut:]}, yes")]))

    assert printed(events) == f"it is {MASK}, yes"


def test_what_only_began_like_one_comes_with_the_end_of_its_step() -> None:
    completed = {"digest": "sha256:a", "completed": "2030-01-02T03:04:06Z"}
    events = masked(line(logs=[log("hunter2-")]), line(vertexes=[completed]), line(logs=[log("x", "sha256:b")]))

    assert [printed([event]) for event in events] == ["", "hunter2-", ""]
    assert events[1]["vertexes"] == [completed]


def test_what_only_began_like_one_comes_at_the_very_end() -> None:
    assert printed(masked(line(logs=[log("hunter2-")]))) == "hunter2-"


def test_steps_and_their_two_outputs_do_not_mix() -> None:
    events = masked(
        line(logs=[log("hunter2-"), log("hunter2-", stream=2), log("hunter2-", "sha256:b")]),
        line(logs=[log("hunter2"), log(" err", stream=2)]),
    )

    assert printed(events) == MASK
    assert printed(events, stream=2) == "hunter2- err"
    assert printed(events, "sha256:b") == "hunter2-"


@pytest.mark.parametrize("text", [b'{"logs":[5]}\n', b'{"logs":[{"data":"!"}]}\n', b"{"])
def test_what_is_none_of_buildkits_passes_as_it_is(text: bytes) -> None:
    redactor = Redactor()
    events = MaskedEvents(redactor)
    assert events.feed(text) + events.flush() == text


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_what_is_no_event_is_told_aside_and_masked(end: bytes) -> None:
    redactor = Redactor()
    redactor.add(Secret(SECRET))
    told: list[str] = []
    events = MaskedEvents(redactor, told.append)
    event, excerpt = line(vertexes=[]), f"Dockerfile:2\n----\n\n >>> RUN {SECRET}\n----".encode() + end
    pieces = [(event + excerpt)[at : at + 7] for at in range(0, len(event + excerpt), 7)]
    assert b"".join(map(events.feed, pieces)) + events.flush() == event
    assert told == [f"Dockerfile:2\n----\n\n >>> RUN {MASK}\n----"]


def test_names_and_errors_are_masked_as_well() -> None:
    (event,) = masked(line(vertexes=[{"digest": "sha256:a", "name": f"RUN echo {SECRET}", "error": SECRET}]))
    assert event["vertexes"][0] == {"digest": "sha256:a", "name": f"RUN echo {MASK}", "error": MASK}


@given(st.lists(st.text(max_size=20), max_size=8), st.lists(st.integers(1, 40), max_size=20))
def test_without_a_secret_every_byte_stays(texts: list[str], cuts: list[int]) -> None:
    content = b"".join(line(logs=[log(text or "-")]) for text in texts)
    pieces, rest = [], content
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    events = MaskedEvents(Redactor())
    assert b"".join(map(events.feed, [*pieces, rest])) + events.flush() == content
