"""The entry points `build` and `ocibuild`: errors become messages and exit codes here and nowhere else."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from _weakref import ref  # `weakref` itself would be a millisecond of the start

from ocibuild_core.core_dumps import forbid_core_dumps
from ocibuild_core.errors import ExportError, Interrupted, OcibuildError
from ocibuild_core.streams import StdoutError, keep_stdout, open_missing_streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_NO_READER = 128 + signal.SIGPIPE
"""As behind `| head`: the code that a program has which that signal ends."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_underway: Callable[[], Interrupted | None] = lambda: None  # noqa: E731  # until a weak reference takes its place
"""The last `Interrupted` that was raised, while it is on its way up."""
_OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""Python's 700 would look through everything some seventy times while modules load, and find nothing."""


def build() -> None:
    """The program `build`."""
    from ocibuild_core.cli.program import run_program  # noqa: PLC0415  # `ocibuild` has no need of it

    _run(lambda: run_program(sys.argv[1:]))


def ocibuild() -> None:
    """The program `ocibuild`."""
    from ocibuild_core.cli.group import ocibuild_group  # noqa: PLC0415  # `build` has no need of it

    if "_OCIBUILD_COMPLETE" in os.environ:
        from ocibuild_core.cli.shells import complete_quietly  # noqa: PLC0415  # only when a shell asks

        _run(lambda: complete_quietly(ocibuild_group(), "ocibuild"))
    _run(lambda: ocibuild_group().main(prog_name="ocibuild", standalone_mode=False))


def task() -> None:
    """The program `task`, which the task image alone has: elsewhere that name belongs to others."""
    from ocibuild_core.cli.task import task as command  # noqa: PLC0415  # see above

    _run(lambda: command.main(prog_name="task", standalone_mode=False))


def _run(main: Callable[[], object]) -> NoReturn:
    """Run a program and end the process with the right code."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    forbid_core_dumps()
    open_missing_streams()
    keep_stdout()
    for number in _SIGNALS:
        # What was ignored when we were started stays so: that is how `nohup` works.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    _leave(_exit_code(main))


def _exit_code(main: Callable[[], object]) -> int:
    """Run it; what it raises is told, and becomes the code."""
    from ocibuild_core.terminal import Talk  # noqa: PLC0415

    try:
        code = main()
        sys.stdout.flush()
    except OcibuildError as error:
        Talk().error(error)
        _trace_plugins(error)
        code = error.exit_code
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except Interrupted as error:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        code = 128 + error.number
    except BrokenPipeError:
        code = _NO_READER
    except StdoutError as error:
        Talk().error(ExportError("cannot write to stdout", why=error.strerror or ""))
        code = ExportError.exit_code
    except Exception as error:  # noqa: BLE001  # nobody is above us
        code = _told_by_click(error)
    return code if isinstance(code, int) else 0


def _trace_plugins(error: OcibuildError) -> None:
    """With -v where a plugin's import broke. Nothing of what happened later: that may hold secrets."""
    from ocibuild_core.errors import Failures, PluginError  # noqa: PLC0415

    if not {"-v", "-vv", "--verbose"} & set(sys.argv):
        return
    for each in error.errors if isinstance(error, Failures) else (error,):
        if isinstance(each, PluginError) and each.__cause__:
            import traceback  # noqa: PLC0415  # nobody hopes to need it

            traceback.print_exception(each.__cause__)


def _told_by_click(error: Exception) -> int:
    import click  # noqa: PLC0415  # the one heavy import of the start; a plain build does without

    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    return 128 + signal.SIGINT if isinstance(error, click.Abort) else _confess(error)


def _confess(error: Exception) -> int:
    """A fault of ours, without its text: that may hold a secret. With -vv the whole of it, for the report."""
    import traceback  # noqa: PLC0415  # nobody hopes to need it

    from ocibuild_core.links import project_url  # noqa: PLC0415

    if "-vv" in sys.argv:
        traceback.print_exception(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    sys.stderr.write(
        f"error: this is a fault of ocibuild: {type(error).__name__} in {last.filename}, line {last.lineno}\n"
        f"  do     report it at {project_url('Issues')} with what -vv shows, without secrets\n"
    )
    return 1


def _interrupt(number: int, frame: object) -> None:
    """Raise; while that is on its way and everything is cleaned up, more of the same changes nothing.

    Python drops what is raised in `__del__` and in callbacks of weak references, as its imports have them. Then it is
    gone, and the next signal counts again.
    """
    del frame
    if _underway() is None:
        raise _new_interrupted(number)


def _new_interrupted(number: int) -> Interrupted:
    """In a frame of its own: as a name of the one that raises, it would keep itself alive by its traceback."""
    global _underway  # noqa: PLW0603  # a signal's handler has no other place to remember in
    error = Interrupted(number)
    _underway = ref(error)
    return error


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
            stream.flush()
        except BrokenPipeError:
            code = code or _NO_READER
        except (OSError, ValueError):
            pass  # stdout: told before; stderr: nobody can be told
    os._exit(code)
