"""What a run leaves on the machine, or lets be seen while it runs: files, arguments, processes, mounts."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocibuild_testkit.leaks import Leak, LeakWatcher

# Not files: what the kernel shows of itself.
_PSEUDO = frozenset(
    (
        *("proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "mqueue", "debugfs", "tracefs", "securityfs"),
        *("bpf", "pstore", "fusectl", "configfs", "binfmt_misc", "hugetlbfs", "nsfs", "autofs", "efivarfs"),
    )
)


@dataclass(frozen=True, slots=True)
class Moment:
    """The state of the machine before a run."""

    seconds: float
    mounts: frozenset[str]
    processes: frozenset[int]

    @classmethod
    def now(cls) -> Moment:
        """As it is now."""
        # Times of files come from the kernel's coarse clock, which lags by up to 10 ms.
        return cls(time.time() - 0.1, mounts(), frozenset(processes()))


def leaks_in_files(watcher: LeakWatcher, since: Moment) -> list[Leak]:
    """Registered secrets in any file of any file system that was written since."""
    return [leak for path in written_since(since) for leak in _leaks_in(watcher, path)]


def leaks_in_arguments(watcher: LeakWatcher) -> list[Leak]:
    """Registered secrets in the arguments of any process of the machine, ps shows them to everybody."""
    found: list[Leak] = []
    for pid in processes():
        with suppress(OSError):
            found += watcher.find(Path(f"/proc/{pid}/cmdline").read_bytes(), f"the arguments of {pid}")
    return found


def written_since(since: Moment) -> Iterator[Path]:
    """Every regular file whose content or name changed since, on every file system that holds files."""
    for mount in sorted(_places_of_files()):
        command = ["find", mount, "-xdev", "-type", "f", "-newerct", f"@{since.seconds}", "-print0"]
        listed = subprocess.run(command, capture_output=True, check=False).stdout
        yield from (Path(name.decode(errors="surrogateescape")) for name in listed.split(b"\0") if name)


def mounts() -> frozenset[str]:
    """The mount points of this mount namespace."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return frozenset(line.split(" ")[4] for line in lines)


def left_mounts(before: frozenset[str], directory: Path) -> set[str]:
    """The mount points since then in a run's directory or of a runc; others are those of tests beside this one."""
    return {place for place in mounts() - before if str(directory) in place or "/runc" in place}


def processes() -> dict[int, str]:
    """Every process of the machine, by pid, with its arguments."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return found


def descendants(pid: int) -> frozenset[int]:
    """Every process that comes from this one, as long as their parents live."""
    parents: dict[int, int] = {}
    for each in processes():
        with suppress(OSError, IndexError):
            parents[each] = int(Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[1])
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent == pid or parent in found} - found:
        found |= more
    return frozenset(found)


def left_processes(since: Moment, *marks: str) -> dict[int, str]:
    """The processes that began since and whose arguments hold one of the marks."""
    new = {pid: command for pid, command in processes().items() if pid not in since.processes}
    return {pid: command for pid, command in new.items() if any(mark in command for mark in marks)}


def _places_of_files() -> set[str]:
    lines = (line.split(" ") for line in Path("/proc/self/mounts").read_text().splitlines())
    return {_unescaped(fields[1]) for fields in lines if fields[2] not in _PSEUDO}


def _unescaped(text: str) -> str:
    return text.encode().decode("unicode_escape")


def _leaks_in(watcher: LeakWatcher, path: Path) -> tuple[Leak, ...]:
    with suppress(OSError):
        return watcher.find(path.read_bytes(), str(path))
    return ()
