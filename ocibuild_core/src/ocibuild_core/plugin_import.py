"""The import of one plugin, in a way that the rest of the program survives and stays quiet."""

from __future__ import annotations

import _thread
import importlib
import os
import re
import sys
from typing import TYPE_CHECKING, Self, TextIO

from ocibuild_core import HOST_DISTRIBUTION, __version__
from ocibuild_core.hooks import HOOK_API
from ocibuild_core.plugin_problems import fault, printable
from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from types import TracebackType

    from ocibuild_core.entry_points import EntryPoint

HOOK_API_NAME = "OCIBUILD_HOOK_API"

_VALUE = re.compile(r"(?P<module>\w+(?:\.\w+)*)\s*(?::\s*(?P<attribute>\w+(?:\.\w+)*)\s*)?(?:\[.*\]\s*)?")
_PATIENCE_SECONDS = 2.0


class ImportedPlugin(NamedTuple):
    """What an entry point led to.

    Args:
        plugin: the module or object with the hooks.
        location: the file that it is in, or where its distribution's metadata are.
        hook_api: the version of the hook contract that it was written for.
    """

    plugin: object
    location: str
    hook_api: int


def import_plugin(entry: EntryPoint) -> ImportedPlugin:
    """Follow the entry point; raises `PluginFault`, or whatever the plugin's code raises, `SystemExit` included."""
    parts = _VALUE.fullmatch(entry.value)
    if parts is None:
        raise fault(
            "has a malformed entry point", why=f"{printable(entry.value)!r} is neither module nor module:attribute"
        )
    plugin = _attribute(entry, _module(parts["module"]), parts["attribute"])
    module = sys.modules[parts["module"]]
    location = getattr(module, "__file__", None) or entry.metadata
    return ImportedPlugin(plugin=plugin, location=str(location), hook_api=_hook_api(plugin, module))


def _module(name: str) -> object:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only the entry point's own module: one that the plugin imports is another matter.
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise fault(
                "has an entry point that points nowhere",
                why=f"there is no module {name!r}",
                do="reinstall it (pip install --force-reinstall); if that does not help, tell its author",
            ) from None
        raise


def _attribute(entry: EntryPoint, module: object, attribute: str | None) -> object:
    found = module
    for name in attribute.split(".") if attribute else ():
        try:
            found = getattr(found, name)
        except AttributeError:
            raise fault(
                "has an entry point that points nowhere",
                why=f"{printable(entry.value)!r}: there is no attribute {name!r}",
            ) from None
    return found


def _hook_api(plugin: object, module: object) -> int:
    wanted = getattr(plugin, HOOK_API_NAME, getattr(module, HOOK_API_NAME, 1))
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
        raise fault(f"has an invalid {HOOK_API_NAME}", why=f"{printable(repr(wanted))} is not 1, 2, 3, …")
    if wanted > HOOK_API:
        raise fault(
            f"needs {HOST_DISTRIBUTION} newer than {__version__}",
            why=f"it is written for hook API {wanted}; this one has {HOOK_API}",
            do=f"pip install --upgrade {HOST_DISTRIBUTION}",
        )
    return wanted


class ImportGuard:
    """Keeps stdout for the host while plugins are imported, and says which one takes long.

    stdout carries results that other programs read. What plugins print meanwhile goes to stderr: Python's own writes
    through a stand-in that remembers whose they are, those of C libraries and child processes through the file
    descriptor.
    """

    def __init__(self) -> None:
        self._current = ""
        self._finished = _thread.allocate_lock()
        self._stand_in = _StandIn(sys.stderr)
        self._stdout: TextIO = sys.stdout
        self._saved_fd: int | None = None

    def __enter__(self) -> Self:
        self._stdout, sys.stdout = sys.stdout, self._stand_in
        if self._stdout is not None:
            self._stdout.flush()
        self._saved_fd = _redirect_fd(1, 2)
        self._finished.acquire()
        _thread.start_new_thread(self._watch, ())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finished.release()
        sys.stdout = self._stdout
        if self._saved_fd is not None:
            os.dup2(self._saved_fd, 1)
            os.close(self._saved_fd)

    def begin(self, plugin: str) -> None:
        """What follows is this plugin's doing."""
        self._current = plugin
        self._stand_in.take()

    def chatter(self) -> str:
        """What the plugin wrote to stdout since `begin`, shortened to one line."""
        return self._stand_in.take()

    def _watch(self) -> None:
        said = ""
        before = self._current
        while not self._finished.acquire(timeout=_PATIENCE_SECONDS):
            if self._current == before != said:
                said = before
                self._stand_in.real.write(f"still importing {said}; --no-plugin ID leaves a plugin out\n")
                self._stand_in.real.flush()
            before = self._current


class _StandIn:
    """Takes the place of `sys.stdout`: passes on to stderr and remembers the beginning."""

    encoding = "utf-8"
    errors = "replace"
    _KEPT = 200

    def __init__(self, real: TextIO | None) -> None:
        # None when the process was started with stderr closed.
        self.real = real or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # as long as the process
        self._kept = ""

    def write(self, text: str) -> int:
        """See `io.TextIOBase.write`."""
        if len(self._kept) < self._KEPT:
            self._kept += text[: self._KEPT]
        return self.real.write(text)

    def flush(self) -> None:
        """See `io.TextIOBase.flush`."""
        self.real.flush()

    def isatty(self) -> bool:
        """Never: colours belong to whom the terminal belongs."""
        return False

    def fileno(self) -> int:
        """See `io.IOBase.fileno`."""
        return self.real.fileno()

    def take(self) -> str:
        """What was kept so far; starts anew."""
        kept, self._kept = self._kept, ""
        return printable(kept)


def _redirect_fd(fd: int, target: int) -> int | None:
    """Point `fd` to where `target` points; the saved descriptor of where it pointed, None when either is closed."""
    try:
        os.fstat(target)
        saved = os.dup(fd)
    except OSError:
        return None
    os.dup2(target, fd)
    return saved
