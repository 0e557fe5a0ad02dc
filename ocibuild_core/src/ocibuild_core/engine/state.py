"""Where the engine keeps its cache, so that the second build is quick; one run at a time uses it."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from ocibuild_core.engine.lease import lease_existing, lease_new
from ocibuild_core.errors import EngineError
from ocibuild_core.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocibuild_core.engine.lease import Lease

SCRATCH = Path("/scratch")
"""Concourse's tasks mount a real file system there: overlayfs does not work on the container's own overlayfs."""

_ONCE = "once-"


class State(NamedTuple):
    """The place that a daemon works in.

    Args:
        lease: the directory and its lock.
        is_kept: it lasts; otherwise it goes with the run.
        swept: parent and name prefix of the throw-away directories of other runs.
        notice: why it is not kept, for people; empty when it is.
        remedy: what would have it kept.
    """

    lease: Lease
    is_kept: bool
    swept: tuple[Path, str]
    notice: str = ""
    remedy: str = ""

    @property
    def root(self) -> Path:
        """BuildKit's own directory (`buildkitd --root`)."""
        return self.lease.path / "root"

    @property
    def history(self) -> Path:
        """What BuildKit was asked to build, with all attributes (control.New in cmd/buildkitd/main.go)."""
        return self.root / "history.db"

    @property
    def temporary(self) -> Path:
        """The daemon's TMPDIR. Not where the sockets are: it runs programs from it, and /run is often noexec."""
        return self.lease.path / "tmp"

    @property
    def uncollected(self) -> Path:
        """Counts what was built since garbage was collected."""
        return self.lease.path / "uncollected"

    @property
    def log(self) -> Path:
        """What the daemon of the last run said."""
        return self.lease.path / "buildkitd.log"


def take_state(chosen: Path | None, env: Mapping[str, str], uid: int, *, scratch: Path = SCRATCH) -> State:
    """Hold the state directory, or make one for this run alone while another run holds it.

    Args:
        chosen: the user's own choice, or None.
        env: the user's environment.
        uid: the user.
        scratch: see `SCRATCH`.

    Raises:
        EngineError: the chosen directory cannot be used, or no other can.
    """
    if chosen is not None:
        try:
            return _take(chosen.absolute(), uid)
        except OSError as error:
            raise EngineError(
                f"the engine's state directory {chosen} cannot be used",
                why=_reason(error),
                do="choose another with --state-dir; it must be writable and belong to you",
            ) from None
    tried: list[str] = []
    for place in _places(env, uid, scratch):
        try:
            return _take(place, uid)
        except OSError as error:
            tried.append(f"{place} ({_reason(error)})")
    return _take_once(env, uid, tried)


def _take(place: Path, uid: int) -> State:
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = place.stat()
    if status.st_uid != uid:
        raise PermissionError(0, "it belongs to another user")
    if status.st_mode & stat.S_ISVTX and status.st_mode & stat.S_IWOTH:
        # As /tmp: whoever comes first could have put a link in the place of what we are going to write.
        raise PermissionError(0, "everybody may write to it; name a directory of its own in there")
    lease = lease_existing(place)
    if lease:
        return State(lease=lease, is_kept=True, swept=(place, _ONCE))
    return State(
        lease=lease_new(place, _ONCE + os.urandom(4).hex()),
        is_kept=False,
        swept=(place, _ONCE),
        notice=f"another build is using the cache in {place}; this one starts without it and keeps nothing",
        remedy="wait for the other build, or choose a directory of its own with --state-dir",
    )


def _take_once(env: Mapping[str, str], uid: int, tried: list[str]) -> State:
    reason = "; ".join(tried) or "this user has no home directory that is there and his own"
    for directory in (env.get("TMPDIR", ""), "/var/tmp", "/tmp"):  # noqa: S108  # made private, under a name nobody knows
        if not directory.startswith("/"):
            continue
        parent, prefix = Path(directory), f"ocibuild-state-{uid}-"
        try:
            lease = lease_new(parent, prefix + os.urandom(8).hex())
        except OSError as error:
            tried.append(f"{directory} ({_reason(error)})")
            continue
        return State(
            lease=lease,
            is_kept=False,
            swept=(parent, prefix),
            notice=f"the cache is not kept: no place for it ({reason})",
            remedy="choose a directory with --state-dir; it must be writable and belong to you",
        )
    raise EngineError("no directory will do for the engine's state", tried=tried, do="choose one with --state-dir")


def _places(env: Mapping[str, str], uid: int, scratch: Path) -> Iterator[Path]:
    if scratch.is_dir():
        yield scratch / "buildkitd"
    below = Path("ocibuild", "buildkit")
    chosen = env.get("XDG_STATE_HOME", "")
    if chosen.startswith("/") and _is_ours(Path(chosen), uid):
        yield chosen / below
    for home in _homes(env, uid):
        yield home / ".local" / "state" / below


def _homes(env: Mapping[str, str], uid: int) -> Iterator[Path]:
    """The user's own home. With `sudo` HOME may be another's, who could no longer write what root made there."""
    try:
        registered = pwd.getpwuid(uid).pw_dir
    except KeyError:
        registered = ""
    homes = (Path(home) for home in (env.get("HOME", ""), registered) if home.startswith("/"))
    yield from dict.fromkeys(home for home in homes if _is_ours(home, uid))


def _is_ours(path: Path, uid: int) -> bool:
    """Whether the directory, or the nearest above it that exists, belongs to the user."""
    for candidate in (path, *path.parents):
        try:
            return candidate.stat().st_uid == uid
        except OSError:
            continue
    return False


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
