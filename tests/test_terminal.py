"""What we say reaches the terminal as text and nothing else."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.terminal import Talk, print_result, without_controls
from ocibuild_testkit.httpd import Handler, HttpServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.programs import ProgramRunner

STEERING = "\x1b]0;title\x07\x1b[2J\x9b2J\r\x7f\x00"
CONTROLS = set("\x1b\x07\x9b\r\x7f\x00")


def test_controls_but_newline_and_tab_are_replaced() -> None:
    assert without_controls(f"a\tb\n{STEERING}ü–\U0001f600") == "a\tb\n?]0;title??[2J?2J???ü–\U0001f600"
    assert without_controls(b"\x9b2J \xe9".decode(errors="surrogateescape")) == "?2J \udce9"


def test_talk_and_results_hold_none(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    talk = Talk(2, stream)
    for say in (talk.error, talk.warn, talk.say, talk.detail):
        say(f"x{STEERING}")
    print_result(f"x{STEERING}")
    for text in (stream.getvalue(), capsys.readouterr().out):
        assert "x?]0;title??[2J?2J???\n" in text
        assert not CONTROLS & set(text)


@pytest.fixture
def rude() -> Iterator[HttpServer]:
    """A registry whose answers steer the terminal of whoever prints them."""

    class Rude(Handler):
        def _refuse(self) -> None:
            self.reply(403, {"errors": [{"code": "DENIED", "message": f"denied{STEERING}"}]})

        do_GET = do_HEAD = do_POST = _refuse  # noqa: N815  # named by the base class

    server = HttpServer(Rude)
    server.start()
    yield server
    server.stop()


@pytest.mark.e2e
def test_a_registry_does_not_write_to_the_terminal(rude: HttpServer, run: ProgramRunner, sandbox: Path) -> None:
    image = f"{rude.address}/team/base:1"
    for form in ((), ("--json",)):
        checked = run("ocibuild", "auth", "check", "--push", image, *form, cwd=sandbox).ended_with(3)
        assert "denied" in checked.stdout
        assert not CONTROLS & set(checked.stdout)

    (sandbox / "Dockerfile").write_text(f"FROM {image}\n")
    built = run("build", "--quiet", ".", cwd=sandbox).ended_with(3)
    message = built.stderr.partition("error: ")[2]
    assert "denied" in message
    assert not CONTROLS & set(message)
