"""Runs the user's own credential helpers: `docker-credential-NAME get`, under a deadline, with bounded output.

The protocol is that of https://github.com/docker/docker-credential-helpers.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Any

from ocibuild_core.auth.protocol import NOT_FOUND, TOKEN_USER
from ocibuild_core.credentials import Credential, CredentialKind
from ocibuild_core.errors import CredentialError
from ocibuild_core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import IO

    from ocibuild_core.auth.running_helpers import RunningHelpers

MAX_OUTPUT = 256 * 1024
"""More is no credential: a secret has at most 64 KiB."""


_PROGRAM_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*", re.ASCII)
_LONGEST_MESSAGE = 200


class HelperMissing(CredentialError):  # noqa: N818  # reads like `CredentialsUnavailable` beside it
    """The helper's program is not on PATH."""


def ask_helper(
    helper: str, server: str, *, env: Mapping[str, str], timeout: float, running: RunningHelpers
) -> Credential | None:
    """What a credential helper has for a server; None when it has nothing.

    Args:
        helper: its name without `docker-credential-`.
        server: the registry as the docker config spells it.
        env: its environment.
        timeout: seconds; then it and its children are killed.
        running: starts it, and may end it before.

    Raises:
        HelpersClosed: nobody wants to know any more.
        CredentialError: it is missing, failed, hung, or answered nonsense. Holds nothing of its stderr.
    """
    program = f"docker-credential-{helper}"
    path = find_helper(helper, env)
    if path is None:
        raise HelperMissing(f"{program} is not on PATH", do=f"install {program}, or take it out of the docker config")
    try:
        status, output = _run([path, "get"], server.encode(), env, timeout, running)
    except OSError as error:
        raise CredentialError(f"{path} cannot be run", why=error.strerror or str(error)) from None
    except subprocess.TimeoutExpired:
        raise CredentialError(
            f"{program} gave no answer for {server} within {timeout:g} s",
            do=f"run `echo {server} | {program} get` by hand, or raise --login-timeout",
        ) from None
    if len(output) > MAX_OUTPUT:
        raise CredentialError(f"{program} printed more than {MAX_OUTPUT // 1024} KiB for {server}")
    if status == 0:
        return _parse(program, server, output)
    message = output.decode(errors="replace").strip()
    if message == NOT_FOUND:
        return None
    raise CredentialError(
        f"{program} failed for {server}",
        why=_presentable(message) or f"exit status {status}",
        do=f"run `echo {server} | {program} get` by hand: its stderr is not shown here, as it may hold a secret",
    )


def find_helper(helper: str, env: Mapping[str, str]) -> str | None:
    """Its program on PATH; never below the current directory, which may be anybody's (as Go's `exec.LookPath`)."""
    if not _PROGRAM_NAME.fullmatch(helper):
        return None
    program = f"docker-credential-{helper}"
    places = [place for place in env.get("PATH", os.defpath).split(os.pathsep) if place.startswith("/")]
    return shutil.which(program, path=os.pathsep.join(places)) if places else None


def _parse(program: str, server: str, output: bytes) -> Credential | None:
    try:
        answer: Any = json.loads(output)
    except (ValueError, RecursionError):
        answer = None
    fields = {key.lower(): value for key, value in answer.items()} if isinstance(answer, dict) else {}
    username, secret = fields.get("username", ""), fields.get("secret", "")
    if not isinstance(answer, dict) or not isinstance(username, str) or not isinstance(secret, str):
        raise CredentialError(f"{program} printed no credential for {server}", why="it must print a JSON object")
    if not secret:
        return None
    is_token = username == TOKEN_USER
    try:
        return Credential(
            username="" if is_token else username,
            secret=Secret(secret),
            kind=CredentialKind.IDENTITY_TOKEN if is_token else CredentialKind.BASIC,
            detail=f"{'an identity token' if is_token else 'user ' + username} from {program}",
        )
    except (ValueError, UnicodeError) as error:
        raise CredentialError(f"{program} printed a malformed credential for {server}", why=str(error)) from None


def _presentable(message: str) -> str:
    """The first line of a failed helper's message; nothing of what looks like a credential."""
    line = message.partition("\n")[0].strip()
    if "{" in line or "secret" in line.lower() or not line.isprintable():
        return ""
    return line[:_LONGEST_MESSAGE]


def _run(
    argv: list[str], question: bytes, env: Mapping[str, str], timeout: float, running: RunningHelpers
) -> tuple[int, bytes]:
    with running.started(lambda: _start(argv, env)) as process:
        reader = _Reader(process.stdout)
        _tell(process.stdin, question)
        reader.finish(timeout, argv)
        if len(reader.output) > MAX_OUTPUT:
            process.kill()
        return process.wait(_AFTER_OUTPUT), reader.output


def _start(argv: list[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Dropped: nobody can say what a helper tells there.
        stderr=subprocess.DEVNULL,
        env=dict(env),
        # A session of its own, so that its children end with it.
        start_new_session=True,
    )


_AFTER_OUTPUT = 5.0
"""Seconds that a helper gets to end after it closed its stdout."""


class _Reader:
    """Collects a process's output in a thread, so that a child that keeps the pipe open can't hold us."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        self.output = b""
        self._pipe = pipe
        self._done = threading.Event()
        threading.Thread(target=self._collect, daemon=True, name="ocibuild-helper").start()

    def finish(self, timeout: float, argv: list[str]) -> None:
        if not self._done.wait(timeout):
            raise subprocess.TimeoutExpired(argv, timeout)

    def _collect(self) -> None:
        try:
            while self._pipe and len(self.output) <= MAX_OUTPUT and (part := os.read(self._pipe.fileno(), 65536)):
                self.output += part
        except (OSError, ValueError):
            pass  # closed by the one who gave up waiting
        finally:
            self._done.set()


def _tell(pipe: IO[bytes] | None, question: bytes) -> None:
    try:
        if pipe:
            pipe.write(question)
            pipe.close()
    except BrokenPipeError:
        pass  # it did not read its question; its answer tells why
