"""The entry points `build` and `ocibuild`: errors become messages and exit codes here and nowhere else."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

    import click

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def build() -> None:
    """The program `build`."""
    from ocibuild_core.cli.build import build_command  # noqa: PLC0415  # `ocibuild` has no need of it

    _run(lambda: build_command(sys.argv[1:]), "build")


def ocibuild() -> None:
    """The program `ocibuild`."""
    from ocibuild_core.cli.group import ocibuild_group  # noqa: PLC0415  # `build` has no need of it

    _run(ocibuild_group, "ocibuild")


class Interrupted(BaseException):
    """A signal asked us to end. Raised where the main thread stands, so that everything is cleaned up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _run(make_command: Callable[[], click.Command], name: str) -> None:
    """Run a command and end the process with the right code."""
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    code = _exit_code(make_command, name)
    _leave(code)


def _exit_code(make_command: Callable[[], click.Command], name: str) -> int:
    import click  # noqa: PLC0415  # the one heavy import of the start

    from ocibuild_core.errors import OcibuildError  # noqa: PLC0415
    from ocibuild_core.terminal import Talk  # noqa: PLC0415

    try:
        return int(make_command().main(prog_name=name, standalone_mode=False) or 0)
    except OcibuildError as error:
        Talk().error(error)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 128 + signal.SIGINT
    except Interrupted as error:
        return 128 + error.number
    except Exception as error:  # noqa: BLE001  # nobody is above us
        return _confess(error)


def _confess(error: Exception) -> int:
    """A fault of ours, without its text: that may hold a secret. With -vv the whole of it, for the report."""
    import traceback  # noqa: PLC0415  # nobody hopes to need it

    if "-vv" in sys.argv:
        traceback.print_exception(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    sys.stderr.write(
        f"error: this is a fault of ocibuild: {type(error).__name__} in {last.filename}, line {last.lineno}\n"
        "  do     report it at https://github.com/ocibuild/ocibuild/issues with what -vv shows; look it over for secrets\n"
    )
    return 1


def _interrupt(number: int, frame: object) -> None:
    """Raise once; while the clean-up runs, more of the same changes nothing."""
    del frame
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted(number)


def _leave(code: int) -> NoReturn:
    """End the process at once, without taking the interpreter apart: that is a sixth of a short run.

    A thread that a plugin or its SDK left behind must not keep it either. That may be a daemon, too: the interpreter
    waits at its end for the workers of every `concurrent.futures` pool.
    """
    import threading  # noqa: PLC0415  # loaded by now

    is_alone = threading.active_count() == 1
    if is_alone:
        atexit._run_exitfuncs()  # noqa: SLF001  # there is no public name for what the interpreter does here
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream:
                stream.flush()
        except (OSError, ValueError):
            if is_alone:
                sys.exit(code)  # the interpreter has its own words for output that is lost
    os._exit(code)
