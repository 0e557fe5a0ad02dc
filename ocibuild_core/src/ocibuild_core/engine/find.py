"""Which BuildKit is used when none is named: the programs on PATH, then those of the wheel; and what else that has."""

from __future__ import annotations

import os
from pathlib import Path

from ocibuild_core.errors import EngineError
from ocibuild_core.places import is_file
from ocibuild_core.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

WHEEL = "ocibuild-buildkit"
FROM_PATH = "PATH"

# BuildKit looks for runc under both names, in this order (executor/runcexecutor/executor.go).
_RUNC_NAMES = ("buildkit-runc", "runc")


class Programs(NamedTuple):
    """The programs of one BuildKit, absolute.

    Args:
        origin: where they came from: `FROM_PATH` or `WHEEL`.
        buildctl: the client.
        buildkitd: the daemon.
        runc: what runs the steps.
        rootlesskit: what an ordinary user's daemon runs in; None for root.
    """

    origin: str
    buildctl: Path
    buildkitd: Path
    runc: Path
    rootlesskit: Path | None


def find_programs(env: Mapping[str, str], *, is_rootless: bool) -> Programs:
    """A client and a daemon, of one origin: a client and a daemon of different versions are nobody's test.

    Args:
        env: the user's environment.
        is_rootless: the daemon needs `rootlesskit` as well.

    Raises:
        EngineError: neither place has all that is needed.
    """
    path = env.get("PATH", "")
    buildctl, buildkitd = find_on_path("buildctl", path), find_on_path("buildkitd", path)
    runc = next((found for found in (find_on_path(name, path) for name in _RUNC_NAMES) if found), None)
    rootlesskit = find_on_path("rootlesskit", path) if is_rootless else None
    if buildctl and buildkitd and runc and (rootlesskit or not is_rootless):
        return Programs(origin=FROM_PATH, buildctl=buildctl, buildkitd=buildkitd, runc=runc, rootlesskit=rootlesskit)
    if _has_wheel():
        return Programs(
            origin=WHEEL,
            buildctl=_in_wheel("buildctl"),
            buildkitd=_in_wheel("buildkitd"),
            runc=_in_wheel("runc"),
            rootlesskit=_in_wheel("rootlesskit") if is_rootless else None,
        )
    found = {"buildkitd": buildkitd, "buildctl": buildctl, "runc": runc, "rootlesskit": rootlesskit or not is_rootless}
    raise EngineError(
        "no BuildKit is here",
        why=f"PATH has no {', no '.join(name for name, path in found.items() if not path)}; {WHEEL} is not installed",
        do=f"pip install {WHEEL}\n"
        f"or put {', '.join(('buildkitd', 'buildctl', 'runc', *(('rootlesskit',) if is_rootless else ())))} on PATH\n"
        "or use a BuildKit that runs already: --addr ADDRESS",
    )


def find_client(env: Mapping[str, str]) -> Path:
    """A client for a BuildKit that runs elsewhere. Raises EngineError when there is none."""
    buildctl = find_on_path("buildctl", env.get("PATH", ""))
    if buildctl:
        return buildctl
    if _has_wheel():
        return _in_wheel("buildctl")
    raise EngineError(
        "no buildctl is here to reach BuildKit with",
        why=f"PATH has none; {WHEEL} is not installed",
        do=f"pip install {WHEEL}, or put buildctl on PATH",
    )


def find_credential_helper() -> Path | None:
    """The compiled credential helper that the wheel has; None without the wheel, or with one from before it had it."""
    if not _has_wheel():
        return None
    from ocibuild_buildkit import BinaryNotFoundError, binary  # noqa: PLC0415

    try:
        return binary("credential-helper")
    except BinaryNotFoundError:
        return None


def find_on_path(name: str, path: str) -> Path | None:
    """The first executable file of that name; directories that are not absolute or closed to us are passed over."""
    for directory in path.split(os.pathsep):
        candidate = Path(directory, name)
        if candidate.is_absolute() and is_file(candidate) and os.access(candidate, os.X_OK):
            return candidate
    return None


def _has_wheel() -> bool:
    try:
        import ocibuild_buildkit  # noqa: F401, PLC0415  # not needed where PATH has all
    except ModuleNotFoundError as error:
        if error.name != "ocibuild_buildkit":
            raise
        return False
    return True


def _in_wheel(name: str) -> Path:
    from ocibuild_buildkit import BinaryNotFoundError, binary  # noqa: PLC0415

    try:
        return binary(name)
    except BinaryNotFoundError as error:
        raise EngineError(f"{WHEEL} is damaged", why=str(error), do=f"pip install --force-reinstall {WHEEL}") from None
