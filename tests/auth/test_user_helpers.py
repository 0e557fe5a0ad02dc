"""The user's own helpers are run under a deadline, with bounded output, and nothing that they leak is shown."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.auth.calls import Call
from ocibuild_core.auth.running_helpers import HelpersClosed, RunningHelpers
from ocibuild_core.auth.user_helpers import HelperMissing, ask_helper
from ocibuild_core.errors import CredentialError
from ocibuild_core.plugin import Credential, CredentialKind
from support.helpers import HelperDirectory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOST = "r.example"


@pytest.fixture
def helpers(tmp_path: Path) -> HelperDirectory:
    return HelperDirectory(tmp_path / "bin")


def ask(helpers: HelperDirectory, name: str = "mine", *, timeout: float = 10, **env: str) -> Credential | None:
    return ask_helper(name, HOST, env=helpers.env | env, timeout=timeout, running=RunningHelpers())


def test_an_answer_is_a_credential(helpers: HelperDirectory) -> None:
    helpers.add("mine", user="me", secret='quo"te\\ pässwörd\n')
    found = ask(helpers)
    assert found
    assert (found.username, found.secret.reveal(), found.kind) == ("me", 'quo"te\\ pässwörd\n', CredentialKind.BASIC)
    assert found.detail == "user me from docker-credential-mine"
    assert helpers.questions("mine") == [HOST]


def test_the_users_environment_is_handed_on_and_no_more(helpers: HelperDirectory) -> None:
    helpers.add_script(
        "mine",
        "import json\n"
        "names = ','.join(sorted(name for name in os.environ if name not in ('LC_CTYPE', '__CF_USER_TEXT_ENCODING')))\n"
        "print(json.dumps({'Username': 'u', 'Secret': names}))",
    )
    found = ask(helpers, DOCKER_CONFIG="/d")
    assert found
    assert found.secret.reveal() == "DOCKER_CONFIG,PATH"


def test_an_identity_token_has_no_user(helpers: HelperDirectory) -> None:
    helpers.add("mine", user="<token>", secret="refresh")
    found = ask(helpers)
    assert found
    assert (found.username, found.kind) == ("", CredentialKind.IDENTITY_TOKEN)


@pytest.mark.parametrize("status", [1, 2])
def test_not_found_is_nothing(helpers: HelperDirectory, status: int) -> None:
    helpers.add("mine", message="credentials not found in native keychain\n", status=status)
    assert ask(helpers) is None


def test_an_empty_secret_is_nothing(helpers: HelperDirectory) -> None:
    helpers.add("mine", user="", secret="")
    assert ask(helpers) is None


def test_a_missing_one_says_what_to_install(helpers: HelperDirectory) -> None:
    with pytest.raises(HelperMissing, match="docker-credential-gone is not on PATH") as caught:
        ask(helpers, "gone")
    assert "install docker-credential-gone" in caught.value.do


@pytest.mark.parametrize("name", ["../mine", "a/b", "", "mi ne", "-x", "mine;true"])
def test_a_name_that_is_a_path_is_never_run(helpers: HelperDirectory, name: str) -> None:
    helpers.add("mine", user="u", secret="s")
    with pytest.raises(HelperMissing):
        ask(helpers, name)


@pytest.mark.parametrize("path", ["", ":", ".", "bin", ":/usr/bin"])
def test_one_in_the_current_directory_is_never_run(
    helpers: HelperDirectory, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    helpers.add("mine", user="u", secret="s")
    monkeypatch.chdir(helpers.directory.parent if path == "bin" else helpers.directory)
    with pytest.raises(HelperMissing):
        ask(helpers, PATH=path)


def test_one_that_is_no_program_is_an_error(helpers: HelperDirectory) -> None:
    path = helpers.directory / "docker-credential-mine"
    path.write_bytes(b"\x7fELF broken")
    path.chmod(0o755)
    with pytest.raises(CredentialError, match="cannot be run"):
        ask(helpers)


@pytest.mark.parametrize(
    "output", ["", "hunter2", "[]", '"hunter2"', '{"Username": 5, "Secret": "hunter2"}', '{"Secret": ["hunter2"]}']
)
def test_nonsense_is_an_error_and_not_shown(helpers: HelperDirectory, output: str) -> None:
    helpers.add("mine", message=output or " ")
    with pytest.raises(CredentialError, match=r"printed no credential for r\.example") as caught:
        ask(helpers)
    assert "hunter2" not in str(caught.value)


def test_a_malformed_credential_is_an_error_and_not_shown(helpers: HelperDirectory) -> None:
    helpers.add("mine", user="a b", secret="hunter2")
    with pytest.raises(CredentialError, match="white space") as caught:
        ask(helpers)
    assert "hunter2" not in str(caught.value)


def test_its_message_is_shown_when_it_fails(helpers: HelperDirectory) -> None:
    helpers.add("mine", message="error getting credentials: the vault is sealed\nmore", status=1)
    with pytest.raises(CredentialError) as caught:
        ask(helpers)
    assert caught.value.why == "error getting credentials: the vault is sealed"
    assert f"echo {HOST} | docker-credential-mine get" in caught.value.do


@pytest.mark.parametrize(
    "output", ['{"Username":"u","Secret":"hunter2"}', "the secret is hunter2", "\x1b]0;hunter2\x07", ""]
)
def test_what_may_be_a_secret_is_not_shown_when_it_fails(helpers: HelperDirectory, output: str) -> None:
    helpers.add_script("mine", f"sys.stdout.write({output!r})\nsys.exit(3)")
    with pytest.raises(CredentialError, match="exit status 3") as caught:
        ask(helpers)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("status", [0, 1])
def test_its_stderr_is_never_shown(
    helpers: HelperDirectory, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level("DEBUG")
    answer = json.dumps({"Username": "u", "Secret": "hunter2"}) if status == 0 else "it failed"
    helpers.add_script("mine", f"sys.stderr.write('hunter2')\nsys.stdout.write({answer!r})\nsys.exit({status})")
    shown = ""
    try:
        ask(helpers)
    except CredentialError as error:
        shown = str(error)
    captured = capfd.readouterr()
    assert "hunter2" not in shown + captured.out + captured.err + caplog.text


def test_one_that_hangs_is_killed_at_the_deadline(helpers: HelperDirectory, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    helpers.add_script("mine", f"open({str(mark)!r}, 'w').write(str(os.getpid()))\nimport time; time.sleep(600)")
    with pytest.raises(CredentialError, match=r"no answer for r\.example within 2 s"):
        ask(helpers, timeout=2)
    assert not is_running(int(mark.read_text()))


def test_a_child_that_keeps_the_pipe_open_is_killed_too(helpers: HelperDirectory, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    helpers.add_script(
        "mine",
        f"if os.fork() == 0:\n    open({str(mark)!r}, 'w').write(str(os.getpid()))\n    import time; time.sleep(600)",
    )
    with pytest.raises(CredentialError, match="no answer"):
        ask(helpers, timeout=1)
    assert eventually(lambda: not is_running(int(mark.read_text())))


def test_closing_kills_what_runs_with_its_children_and_starts_no_more(helpers: HelperDirectory, tmp_path: Path) -> None:
    marks = [tmp_path / "parent", tmp_path / "child"]
    helpers.add_script(
        "mine",
        f"mark = {str(marks[0])!r} if os.fork() else {str(marks[1])!r}\n"
        "open(mark, 'w').write(str(os.getpid()))\nimport time; time.sleep(600)",
    )
    running = RunningHelpers()
    call = Call(lambda: ask_helper("mine", HOST, env=helpers.env, timeout=60, running=running))
    assert eventually(lambda: all(mark.exists() and mark.read_text() for mark in marks))
    running.close()
    assert eventually(lambda: not any(is_running(int(mark.read_text())) for mark in marks))
    assert isinstance(call.wait(10), HelpersClosed)
    with pytest.raises(HelpersClosed):
        ask_helper("mine", HOST, env=helpers.env, timeout=60, running=running)


def test_one_that_ignores_its_question_is_heard(helpers: HelperDirectory) -> None:
    path = helpers.directory / "docker-credential-mine"
    path.write_text('#!/bin/sh\nexec 0<&-\necho \'{"Username":"u","Secret":"s"}\'\n')
    path.chmod(0o755)
    assert ask(helpers)


@pytest.mark.parametrize("size", [10 * 1024 * 1024])
def test_ten_megabytes_are_cut_off(helpers: HelperDirectory, size: int) -> None:
    helpers.add_script("mine", f"try:\n    sys.stdout.write('x' * {size})\nexcept BrokenPipeError:\n    pass")
    with pytest.raises(CredentialError, match="more than 256 KiB"):
        ask(helpers)


def test_endless_output_ends(helpers: HelperDirectory) -> None:
    helpers.add_script("mine", "while True: sys.stdout.write('x' * 65536)")
    with pytest.raises(CredentialError, match="256 KiB"):
        ask(helpers)


def test_no_process_and_no_descriptor_is_left(helpers: HelperDirectory) -> None:
    helpers.add("mine", user="u", secret="s")
    ask(helpers)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(5):
        ask(helpers)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    children = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True, check=False
    )
    assert "docker-credential" not in children.stdout


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition: Callable[[], bool]) -> bool:
    for _ in range(500):
        if condition():
            return True
        time.sleep(0.02)
    return False
