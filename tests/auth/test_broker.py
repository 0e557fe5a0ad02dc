"""The broker answers any number of clients of this user, and no one else."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.auth import broker as broker_module
from ocibuild_core.auth.broker import Broker
from ocibuild_core.auth.protocol import Responder
from support.auth_parts import Teller, credential, resolver_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.strangers import Stranger


@pytest.fixture
def place(sandbox: Path) -> Path:
    return sandbox / "b.sock"


@pytest.fixture
def teller() -> Teller:
    return Teller("a", credential("me", "hunter2hunter2"))


@pytest.fixture
def broker(place: Path, teller: Teller) -> Iterator[Broker]:
    with Broker(Responder(resolver_of(teller).resolve), read_seconds=0.5) as served:
        served.listen(place)
        yield served


def ask(place: Path, question: bytes, *, close: bool = True) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(place))
        client.sendall(question)
        if close:
            client.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while part := client.recv(65536):
                answer += part
        return answer


@pytest.mark.usefixtures("broker")
def test_a_question_is_answered(place: Path) -> None:
    assert ask(place, b"get\nr.example") == (
        b'0{"ServerURL": "r.example", "Username": "me", "Secret": "hunter2hunter2"}\n'
    )
    assert ask(place, b"get\n") == b"1no credentials server URL\n"
    assert ask(place, b"nonsense\n")[:7] == b"1Usage:"


@pytest.mark.usefixtures("broker")
def test_the_socket_is_the_users_alone(place: Path) -> None:
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


@pytest.mark.usefixtures("broker")
def test_two_hundred_at_once_are_answered_by_one_call(place: Path, teller: Teller) -> None:
    answers: list[bytes] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(place, b"get\nr.example"))) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 200
    assert len(set(answers)) == 1
    assert teller.asked == ["r.example"]


@pytest.mark.usefixtures("broker")
@pytest.mark.parametrize("garbage", [b"", b"get", b"\x00\xff" * 100, b"get r.example", b"GET / HTTP/1.1\r\n\r\n"])
def test_garbage_does_no_harm(place: Path, garbage: bytes) -> None:
    answer = ask(place, garbage)
    assert answer[:1] in (b"", b"1")
    assert b"hunter2" not in answer
    assert ask(place, b"get\nr.example")[:1] == b"0"


@pytest.mark.usefixtures("broker")
def test_one_that_says_too_much_is_cut_off(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(place))
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            client.sendall(b"x" * 65536 * 1000)
    assert ask(place, b"get\nr.example")[:1] == b"0"


@pytest.mark.usefixtures("broker")
def test_one_that_says_nothing_is_cut_off(place: Path) -> None:
    started = time.monotonic()
    assert ask(place, b"get\nr.exam", close=False) == b""
    assert 0.3 < time.monotonic() - started < 30


@pytest.mark.usefixtures("broker")
def test_one_that_trickles_is_cut_off(place: Path) -> None:
    def trickle() -> None:
        for _ in range(400):
            client.sendall(b"x")
            time.sleep(0.05)

    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(place))
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            trickle()


@pytest.mark.usefixtures("broker")
def test_one_that_goes_away_does_no_harm(place: Path) -> None:
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(place))
            client.sendall(b"get\nr.example")
    assert ask(place, b"get\nr.example")[:1] == b"0"


@pytest.mark.usefixtures("broker")
def test_more_idle_ones_than_there_are_places_only_delay_the_others(place: Path) -> None:
    idle = []
    for _ in range(broker_module._AT_ONCE + 20):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(place))
        idle.append(client)
    try:
        assert ask(place, b"get\nr.example")[:1] == b"0"
    finally:
        for client in idle:
            client.close()


FOREIGN_CLIENT = """
import socket, sys
client = socket.socket(socket.AF_UNIX)
try:
    client.connect(sys.argv[1])
    client.sendall(b"get\\nr.example")
    client.shutdown(socket.SHUT_WR)
    print("answer:", client.recv(100))
except OSError as error:
    print(type(error).__name__)
"""


def foreign_call(place: Path, stranger: Stranger) -> str:
    command = stranger.command(sys.executable, "-c", FOREIGN_CLIENT, str(place))
    return subprocess.run(command, cwd="/", capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.usefixtures("broker")
def test_another_user_gets_nothing_and_is_told_of(
    place: Path, stranger: Stranger, caplog: pytest.LogCaptureFixture
) -> None:
    """Even where the directory and the socket let him in."""
    place.parent.chmod(0o755)
    place.chmod(0o666)
    assert foreign_call(place, stranger) in ("answer: b''", "ConnectionResetError", "BrokenPipeError")
    (place.parent / "his").touch()
    assert f"another user (uid {stranger.take(place.parent / 'his')})" in caplog.text


@pytest.mark.usefixtures("broker")
def test_another_user_cannot_even_connect(place: Path, stranger: Stranger) -> None:
    place.parent.chmod(0o755)
    assert foreign_call(place, stranger) == "PermissionError"


def test_a_closed_broker_takes_no_more_calls(place: Path, broker: Broker) -> None:
    broker.close()
    with pytest.raises(OSError, match="refused"):
        ask(place, b"get\nr.example")
    broker.close()


def test_a_closed_broker_leaves_no_thread_and_no_descriptor(sandbox: Path, teller: Teller) -> None:
    def opened() -> set[object]:
        return {*threading.enumerate(), *os.listdir("/proc/self/fd")}  # noqa: PTH208

    before = opened()  # some of it may be about to end, of tests before this one
    for n in range(5):
        with Broker(Responder(resolver_of(teller).resolve)) as served:
            served.listen(sandbox / f"{n}.sock")
            ask(sandbox / f"{n}.sock", b"get\nr.example")
    for _ in range(100):
        if opened() <= before:
            return
        time.sleep(0.02)
    assert opened() <= before


def test_a_place_that_will_not_do_is_an_error(sandbox: Path, teller: Teller) -> None:
    with Broker(Responder(resolver_of(teller).resolve)) as served, pytest.raises(OSError, match="too long"):
        served.listen(sandbox / ("x" * 120))
