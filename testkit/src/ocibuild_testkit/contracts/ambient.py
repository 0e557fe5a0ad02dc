"""Watches a plugin for what it must not do behind the host's back: read the environment, do I/O."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ocibuild_testkit.contracts.frames import place_in_package

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Modules through which code reads the environment without meaning anything of their own.
_ENVIRONMENT_PLUMBING = frozenset(
    {"os", "_collections_abc", "collections", "posixpath", "ntpath", "genericpath", "pathlib", "shutil", "getpass"}
)

# https://docs.python.org/3/library/audit_events.html
_IO_EVENTS = frozenset(
    {
        "open",
        "os.exec",
        "os.fork",
        "os.listdir",
        "os.mkdir",
        "os.posix_spawn",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.scandir",
        "os.system",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyaddr",
        "socket.gethostbyname",
        "socket.sendto",
        "sqlite3.connect",
        "subprocess.Popen",
        "time.sleep",
    }
)
# They raise no audit event.
_SILENT_CALLS = ("stat", "lstat", "access", "readlink")

_listeners: list[Callable[[str, str], None]] = []
_hook_is_set = False


@contextmanager
def watched_environment(package: str) -> Iterator[list[str]]:
    """Collects each place (`file:line reads NAME`) where `package` itself reads `os.environ`."""
    found: list[str] = []

    def note(name: str) -> None:
        place = place_in_package(package, lambda module: module.partition(".")[0] in _ENVIRONMENT_PLUMBING)
        if place:
            found.append(f"{place} reads {name}")

    class Watched(type(os.environ)):  # type: ignore[misc]  # whatever class this Python has
        def __getitem__(self, key: Any) -> Any:
            note(str(key))
            return super().__getitem__(key)

        def __iter__(self) -> Any:
            note("all of it")
            return super().__iter__()

    mappings = [getattr(os, name) for name in ("environ", "environb") if hasattr(os, name)]
    # The class is changed, not the mapping: a plugin may have kept `environ` from its import.
    original = type(os.environ)
    for mapping in mappings:
        mapping.__class__ = Watched
    try:
        yield found
    finally:
        for mapping in mappings:
            mapping.__class__ = original


@contextmanager
def watched_io(package: str) -> Iterator[list[str]]:
    """Collects each place (`file:line: what`) where `package` itself, or the standard library for it, does I/O."""
    found: list[str] = []

    def note(event: str, what: str) -> None:
        place = place_in_package(package, _is_standard_library)
        if place:
            found.append(f"{place}: {event} {what}".rstrip())

    _set_hook()
    originals = {name: getattr(os, name) for name in _SILENT_CALLS if hasattr(os, name)}
    for name, original in originals.items():
        setattr(os, name, _noting(f"os.{name}", original, note))
    _listeners.append(note)
    try:
        yield found
    finally:
        _listeners.remove(note)
        for name, original in originals.items():
            setattr(os, name, original)


def _is_standard_library(name: str) -> bool:
    top = name.partition(".")[0]
    # The import system is nobody's plumbing: what an import reads was not asked for by the code that imports.
    return top in sys.stdlib_module_names and top not in {
        "importlib",
        "_frozen_importlib",
        "_frozen_importlib_external",
    }


def _set_hook() -> None:
    """Begin to listen. An audit hook stays for good, so there is one, and it is quick when nobody listens."""
    global _hook_is_set  # noqa: PLW0603  # the interpreter's state, mirrored
    if not _hook_is_set:
        sys.addaudithook(_on_event)
        _hook_is_set = True


def _on_event(event: str, arguments: tuple[object, ...]) -> None:
    if not _listeners or event not in _IO_EVENTS:
        return
    for listener in tuple(_listeners):
        listener(event, str(arguments[0]) if arguments else "")


def _noting(event: str, original: Callable[..., Any], note: Callable[[str, str], None]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        note(event, str(args[0]) if args else "")
        return original(*args, **kwargs)

    return call
