"""The client's run, with small shell scripts in its place: what is passed on, and how it ends."""

import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.engine.client import ClientRun, EventLines, Preamble, Watch
from ocibuild_core.errors import EngineError

NOTE = b'time="2026-01-02T03:04:05Z" level=info msg="tracing logs to /proc/self/fd/3"\n'
FSVERITY = b'time="now" level=warning msg="failed check for fsverity support" error="enable fsverity failed" path=/c\n'
ENV = {"PATH": os.environ["PATH"]}
NO_WATCH = Watch(fd=None, check=lambda: None)


def cut(content: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(content) + 1) for place in places), len(content)]
    return [content[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(st.sampled_from([NOTE, FSVERITY]), max_size=5), st.binary(), st.lists(st.integers(0, 2000)))
def test_what_is_no_word_of_the_build_is_taken_out_however_the_output_is_cut(
    preamble: list[bytes], rest: bytes, places: list[int]
) -> None:
    taken: list[bytes] = []
    filtered = Preamble(taken.append)
    for piece in cut(b"".join(preamble) + rest, places):
        filtered.take(piece)
    filtered.end()
    assert b"".join(taken) == rest


def test_only_lines_of_the_log_before_all_else_are_taken_out() -> None:
    taken: list[bytes] = []
    filtered = Preamble(taken.append)
    of_the_build = b'time="now" level=warning msg="of the build"\n'
    filtered.take(of_the_build + FSVERITY + b"#1 [internal] load\n" + FSVERITY)
    assert b"".join(taken) == of_the_build + b"#1 [internal] load\n" + FSVERITY


EVENTS = [
    {"vertexes": [{"digest": "sha256:1", "name": "RUN false", "error": "exit code: 1"}]},
    {"statuses": [{"id": "transferring", "current": 1}]},
    {"logs": [{"vertex": "sha256:1", "data": "aGk="}], "warnings": [{"vertex": "sha256:1", "short": "aGk="}]},
    {"logs": [{"vertex": "sha256:1", "data": "aGk="}]},
]
STREAM = b"".join(json.dumps(event, separators=(",", ":")).encode() + b"\n" for event in EVENTS)


@given(st.lists(st.integers(0, 1000)))
def test_steps_and_warnings_become_events_however_the_stream_is_cut(places: list[int]) -> None:
    taken: list[Mapping[str, Any]] = []
    lines = EventLines(taken.append)
    for piece in cut(STREAM, places):
        lines.take(piece)
    assert taken == [EVENTS[0], EVENTS[2]]


class Script:
    """A shell script as the client; `arguments` are what it got."""

    def __init__(self, text: str) -> None:
        self.output = b""
        self.events: list[Mapping[str, Any]] = []
        self.started: list[int] = []
        self._text = text

    def run(self, watch: Watch = NO_WATCH) -> int:
        self.client = ClientRun(
            ["/bin/sh", "-c", self._text, "sh"],
            ENV,
            on_output=self._take,
            on_event=self.events.append,
            trace_at=4,
        )
        return self.client.run(watch, self.started.append)

    @property
    def exit_code(self) -> int | None:
        assert self.client._child
        return self.client._child.exit_code

    def _take(self, piece: bytes) -> None:
        self.output += piece


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_output_events_and_exit_code_come_through() -> None:
    before = open_descriptors()
    script = Script('echo out; echo err >&2; printf \'{"vertexes":[]}\\n\' > "$2"; test "$1" = --trace && exit 3')
    assert script.run() == 3
    assert script.output == b"out\nerr\n"
    assert script.events == [{"vertexes": []}]
    assert open_descriptors() == before


def test_much_output_comes_through_whole() -> None:
    script = Script("head -c 5000000 /dev/zero | tr '\\0' x")
    assert script.run() == 0
    assert script.output == b"x" * 5_000_000


def test_it_reads_nothing() -> None:
    script = Script("cat; echo end")
    assert script.run() == 0
    assert script.output == b"end\n"


def test_a_program_left_behind_that_holds_the_output_open_is_not_waited_for() -> None:
    script = Script("sleep 60 & echo $!")
    started = time.monotonic()
    assert script.run() == 0
    assert time.monotonic() - started < 30
    os.kill(int(script.output), signal.SIGKILL)


def test_a_signals_end_is_a_negative_exit_code() -> None:
    assert Script("kill -9 $$").run() == -9


def test_what_is_ignored_here_is_not_ignored_there() -> None:
    # Python ignores SIGPIPE; a client that did would write to nobody for ever.
    script = Script("yes | head -n 1")
    assert script.run() == 0
    assert script.output == b"y\n"


class CameError(Exception):
    """A signal was handled."""


def test_a_signal_that_interrupts_no_call_is_handled_at_once() -> None:
    """As one that comes just before poll() is entered: here another thread gets it, which ends no call of this one."""
    before = signal.signal(signal.SIGUSR1, _come), signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    idle = threading.Event()
    thread = threading.Thread(target=_receive, args=(idle,))
    script = Script("kill -USR1 $PPID; exec sleep 20")
    try:
        thread.start()
        with pytest.raises(CameError):
            script.run()
    finally:
        idle.set()
        thread.join()
        signal.signal(signal.SIGUSR1, before[0])
        signal.pthread_sigmask(signal.SIG_SETMASK, before[1])
    assert script.exit_code == -signal.SIGTERM  # not its own end
    assert signal.set_wakeup_fd(-1) == -1


def _come(*_: object) -> None:
    raise CameError


def _receive(idle: threading.Event) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    idle.wait()


def test_an_exception_of_the_reader_ends_the_client() -> None:
    def refuse(_: bytes) -> None:
        raise BrokenPipeError

    client = ClientRun(["/bin/sh", "-c", "echo hello; sleep 60"], ENV, on_output=refuse, on_event=None, trace_at=0)
    with pytest.raises(BrokenPipeError):
        client.run(NO_WATCH, lambda _: None)
    assert client._child
    assert client._child.exit_code == -signal.SIGTERM


def test_the_process_is_told_before_anything_else() -> None:
    script = Script("echo $$")
    script.run()
    assert script.output == b"%d\n" % script.started[0]


class Stopped(BaseException):
    pass


def test_the_client_is_asked_first_and_what_it_says_to_that_is_passed_on() -> None:
    def stop(_number: int, _frame: object) -> None:
        raise Stopped

    script = Script("trap 'echo cancelled; exit 1' TERM; kill -HUP $PPID; while :; do sleep 0.01; done")
    before = signal.signal(signal.SIGHUP, stop)
    try:
        with pytest.raises(Stopped):
            script.run()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert script.output == b"cancelled\n"


def test_a_client_that_will_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocibuild_core.engine.client._TERM_PATIENCE", 0.1)
    reading, writing = os.pipe()

    def fail() -> None:
        raise EngineError("gone")

    script = Script(f"trap '' TERM; echo > /proc/$PPID/fd/{writing}; exec sleep 60")
    with pytest.raises(EngineError, match="gone"):
        script.run(Watch(fd=reading, check=fail))
    assert script.exit_code == -signal.SIGKILL
    for fd in (reading, writing):
        os.close(fd)


def test_a_client_that_says_nothing_has_its_engine_asked() -> None:
    asked: list[None] = []

    def ask() -> None:
        asked.append(None)
        if len(asked) == 3:
            raise EngineError("silent")

    script = Script("sleep 60")
    with pytest.raises(EngineError, match="silent"):
        script.run(NO_WATCH._replace(silence=0.05, ask=ask))
    asked.clear()
    assert Script("for i in 1 2 3 4 5 6 7 8; do echo; sleep 0.1; done").run(NO_WATCH._replace(silence=2, ask=ask)) == 0
    assert asked == []


def test_a_client_that_cannot_be_run_is_an_engine_error(tmp_path: Path) -> None:
    before = open_descriptors()
    client = ClientRun([str(tmp_path / "buildctl")], ENV, on_output=print, on_event=print, trace_at=1)
    with pytest.raises(EngineError, match="buildctl cannot be run"):
        client.run(NO_WATCH, lambda _: None)
    assert open_descriptors() == before


def test_without_pidfds_the_end_is_noticed_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> int:
        raise OSError

    monkeypatch.setattr(os, "pidfd_open", refuse)
    script = Script("sleep 0.1; echo late; exit 4")
    assert script.run() == 4
    assert script.output == b"late\n"
