"""Signals end a run once, wherever they come, and no more of them tear its clean-up apart."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

_BEGIN = """
import gc, os, signal, time, weakref
from contextlib import ExitStack, contextmanager
from ocibuild_core.cli.main import _run

def send(number=signal.SIGTERM):
    os.kill(os.getpid(), number)
    time.sleep(0.01)

class Thing:
    pass

class Dropping:
    def __del__(self):
        send()

class Cleaner:
    def __init__(self, name):
        self._name = name

    def __enter__(self):
        return self

    def __exit__(self, *_):
        send()
        send(signal.SIGINT)
        print(self._name, "cleaned", flush=True)

@contextmanager
def block(name):
    try:
        yield
    finally:
        try:
            send()
            raise OSError
        except OSError:
            send(signal.SIGINT)
        print(name, "cleaned", flush=True)
"""


def run(main: str) -> subprocess.CompletedProcess[str]:
    script = f"{_BEGIN}\ndef main():\n{main}\n_run(main)"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    "lose",
    ["Dropping()", "thing = Thing(); kept = weakref.ref(thing, lambda _: send()); del thing"],
    ids=["in a finalizer", "in a callback of a weak reference"],
)
def test_a_signal_that_python_drops_does_not_take_the_next_along(lose: str) -> None:
    ended = run(f"    {lose}\n    print('lost', flush=True)\n    send()\n    print('not here')")
    assert ended.stdout == "lost\n"
    assert "Interrupted" in ended.stderr  # Python says what it dropped
    assert ended.returncode == 128 + signal.SIGTERM


def test_signals_during_the_clean_up_change_nothing() -> None:
    ended = run(
        "    with ExitStack() as stack:\n"
        "        stack.enter_context(Cleaner('a'))\n"
        "        stack.enter_context(block('b'))\n"
        "        with Cleaner('c'), block('d'):\n"
        "            send()\n"
        "            print('not here')"
    )
    assert ended.stdout.split() == ["d", "cleaned", "c", "cleaned", "b", "cleaned", "a", "cleaned"]
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGTERM, "")


def test_the_first_during_the_clean_up_of_a_run_that_is_over_leaves_the_rest_of_it_whole() -> None:
    ended = run(
        "    with ExitStack() as stack:\n"
        "        stack.enter_context(Cleaner('a'))\n"
        "        stack.enter_context(block('b'))\n"
        "        stack.callback(send)"
    )
    assert ended.stdout.split() == ["b", "cleaned", "a", "cleaned"]
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGTERM, "")


def test_a_signal_after_the_last_of_it_changes_nothing() -> None:
    ended = run("    import atexit\n    atexit.register(send, signal.SIGINT)\n    send()")
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGTERM, "")
