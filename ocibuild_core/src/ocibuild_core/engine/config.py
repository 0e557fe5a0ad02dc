"""buildkitd.toml: what we need in it, joined with what the user wants in it."""

from __future__ import annotations

from collections.abc import Mapping

from ocibuild_core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Tables = Mapping[str, object]

SOCKET = "buildkitd.sock"
"""Where it listens, in its runtime directory."""
_RESERVED = 2 * 10**9
_HISTORY = {"maxEntries": 20, "maxAge": "1s"}
"""Records of builds, with the output of their steps, go when there are more and they are older: both must hold
(solver/llbsolver/history/buildhistory.go). BuildKit's own bound of two days is none for who builds all day."""
_MIN_FREE = "10%"
"""Below that much free disk it collects more than the limit asks for."""

_OURS = (
    ("root",),
    ("grpc", "address"),
    ("otel", "socketPath"),
    ("worker", "containerd", "enabled"),
    ("worker", "oci", "enabled"),
    ("worker", "oci", "binary"),
    ("worker", "oci", "rootless"),
    ("worker", "oci", "defaultCgroupParent"),
)


def reserved_space(max_cache: int) -> int:
    """Bytes that garbage collection leaves alone even on a full disk, so that the next build still finds something."""
    return min(_RESERVED, max_cache)


def own_tables(  # noqa: PLR0913  # what differs from run to run, by name
    *, root: Path, runtime: Path, runc: Path, cgroup_parent: str, is_rootless: bool, max_cache: int, collects: bool
) -> dict[str, object]:
    """What a daemon of ours is told (docs/buildkitd.toml.md in moby/buildkit).

    Args:
        root: its state.
        runtime: where it listens: for clients, and for traces, whose usual place all daemons of a machine share.
        runc: what runs its containers; by its path, for another program of that name may come first on PATH.
        cgroup_parent: the cgroup of its containers; a name of its own lets us find them.
        is_rootless: its root is one of a user namespace only.
        max_cache: bytes that it may keep.
        collects: it collects garbage when it thinks it is time; otherwise when it is asked to (see `collection`).
    """
    worker: dict[str, object] = {
        "enabled": True,
        "binary": str(runc),
        "rootless": is_rootless,
        # Untold, it is a network of CNI where the machine has a configuration of that for another BuildKit.
        "networkMode": "host",
        "gc": collects,
        "reservedSpace": str(reserved_space(max_cache)),
        "maxUsedSpace": str(max_cache),
        "minFreeSpace": _MIN_FREE,
        "defaultCgroupParent": cgroup_parent,
    }
    return {
        "root": str(root),
        "grpc": {"address": [f"unix://{runtime / SOCKET}"]},
        "otel": {"socketPath": str(runtime / "otel.sock")},
        "history": dict(_HISTORY),
        # A containerd that happens to run here is another program's; its containers would outlive us.
        "worker": {"oci": worker, "containerd": {"enabled": False}},
    }


def check_extra(extra: Tables) -> None:
    """Raise UsageError when the user's tables set what is ours to set, or hold what TOML cannot."""
    for path in _OURS:
        if _has(extra, path):
            raise UsageError(
                f"the daemon's configuration may not set {'.'.join(path)}",
                why="the engine that is started here needs a value of its own there",
                do="take it out, or run a BuildKit of your own and name it with --addr",
            )
    render(extra)


def _has(value: object, path: Sequence[str]) -> bool:
    """Whether something is there. BuildKit's decoder takes keys in any case (unmarshaler.go in pelletier/go-toml)."""
    if not path:
        return True
    name, *rest = path
    found = value.items() if isinstance(value, Mapping) else ()
    return any(_has(inner, rest) for key, inner in found if key.lower() == name.lower())


def merge(base: Tables, extra: Tables) -> dict[str, object]:
    """Both, table by table; where both set one key, `extra` wins."""
    merged = dict(base)
    for key, value in extra.items():
        here = merged.get(key)
        merged[key] = merge(here, value) if isinstance(here, Mapping) and isinstance(value, Mapping) else value
    return merged


def render(tables: Tables) -> str:
    """The tables as TOML 1.0. UsageError for a value that it has no spelling for."""
    lines: list[str] = []
    _render_table((), tables, lines)
    return "\n".join(lines) + "\n"


def _render_table(path: tuple[str, ...], table: Tables, lines: list[str]) -> None:
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    if path and (plain or not table):
        lines.append(f"[{'.'.join(map(_string, path))}]")
    lines.extend(f"{_string(key)} = {_value(value, (*path, key))}" for key, value in plain.items())
    for key, value in table.items():
        if isinstance(value, Mapping):
            _render_table((*path, key), value, lines)


def _value(value: object, path: tuple[str, ...]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_string(key)} = {_value(item, (*path, key))}' for key, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item, path) for item in value)}]"
    from datetime import date, time  # noqa: PLC0415  # next to nobody writes one here

    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    raise UsageError(f"the daemon's configuration has no spelling for {'.'.join(path)}", why=type(value).__name__)


def _string(text: str) -> str:
    """A basic string; what TOML does not allow as it is becomes an escape, what is no Unicode an error."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise UsageError("the daemon's configuration is UTF-8", why=f"{text!a} is not")
    return '"' + "".join(_escape(char) for char in text) + '"'


def _escape(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return f"\\u{ord(char):04x}" if char < " " or char == "\x7f" else char
