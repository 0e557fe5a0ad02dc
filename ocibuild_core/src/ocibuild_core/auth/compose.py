"""The docker config that BuildKit's client reads during a build: it names our helper for every registry, no more."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.auth import client
from ocibuild_core.auth.config_files import OWN_HELPER, PROGRAM
from ocibuild_core.auth.private_dir import private_directory
from ocibuild_core.errors import UsageError
from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ocibuild_core.auth.broker import Broker

CONFIG = f'{{"auths": {{}}, "credsStore": "{OWN_HELPER}"}}'
"""A store named for all registries also keeps docker from looking for one by itself.

Source: docker/cli, `config.LoadDefaultConfigFile` and `credentials.DetectDefaultStore`.
"""

_LONGEST_SHEBANG = 127
"""Bytes of a `#!` line that every Linux reads whole (execve(2): 127 before 5.1, 255 since)."""


class ComposedConfig(NamedTuple):
    """The private directory of a build.

    Args:
        directory: it.
        child_env: what BuildKit's client must have in its environment, replacing what the user's has.
    """

    directory: Path
    child_env: Mapping[str, str]


@contextlib.contextmanager
def compose(
    broker: Broker,
    *,
    env: Mapping[str, str],
    outside: Sequence[Path],
    helper: Path | None = None,
    python: str = sys.executable,
) -> Iterator[ComposedConfig]:
    """Serve the broker and lay out the directory that leads to it; both are gone at the end.

    Args:
        broker: not listening yet.
        env: the user's environment.
        outside: the working directory, and whatever is sent to BuildKit.
        helper: a program that does what `auth.client` does, and starts sooner; None to run that by `python`.
        python: the interpreter for the helper.

    Raises:
        UsageError: no place will do.
    """
    with private_directory(env, outside=outside) as directory:
        programs = directory / "bin"
        programs.mkdir(mode=0o700)
        if helper:
            (programs / PROGRAM).symlink_to(helper)
        else:
            _write_helper(programs / PROGRAM, python, env.get("LD_LIBRARY_PATH", ""))
        _write(directory / "config.json", CONFIG, 0o600)
        socket_path = directory / "broker.sock"
        broker.listen(socket_path)
        try:
            yield ComposedConfig(
                directory=directory,
                child_env={
                    "DOCKER_CONFIG": str(directory),
                    "PATH": os.pathsep.join([str(programs), env.get("PATH") or os.defpath]),
                    client.BROKER_ENV: str(socket_path),
                },
            )
        finally:
            broker.close()


def _write_helper(path: Path, python: str, libraries: str) -> None:
    """The helper as one file: the installed script would import `site` and all of a virtual environment first."""
    interpreter = python or _python_on_path()
    if not interpreter:
        raise UsageError("no Python interpreter is known to run the credential helper", do="run ocibuild by one")
    source = Path(client.__file__).read_text(encoding="utf-8")
    # Isolated, without site and without writing .pyc files: it needs nothing but the standard library's core.
    shebang = f"#!{interpreter} -ISB"
    is_plain = len(os.fsencode(shebang)) <= _LONGEST_SHEBANG and not any(char.isspace() for char in interpreter)
    if is_plain and not libraries:
        _write(path, f"{shebang}\n{source}", 0o700)
        return
    # BuildKit's client passes on little of the environment; an interpreter that was found with the help of
    # LD_LIBRARY_PATH is found by it again.
    program = path.with_suffix(".py")
    setting = f"LD_LIBRARY_PATH={_quote(libraries)} " if libraries else ""
    _write(program, source, 0o600)
    _write(path, f'#!/bin/sh\n{setting}exec {_quote(interpreter)} -ISB {_quote(str(program))} "$@"\n', 0o700)


def _python_on_path() -> str | None:
    import shutil  # noqa: PLC0415  # only where an interpreter does not know itself

    return shutil.which("python3")


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _write(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
