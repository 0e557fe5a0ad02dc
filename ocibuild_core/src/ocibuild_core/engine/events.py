"""What happened in a build, asked of the daemon afterwards: its events, and why it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocibuild_core.engine.process import capture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_TIMEOUT = 5.0


def events_of(client: Sequence[str], reference: Path, env: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """The recorded progress of a build, as objects of `client.SolveStatus`; empty when there is no record of it.

    Args:
        client: `buildctl` with its address.
        reference: the file with the build's name (`--ref-file`).
        env: the client's environment.
    """
    name = _name_of_build(reference)
    if not name:
        return []
    _, printed = capture([*client, "debug", "logs", "--progress=rawjson", name], env, timeout=_TIMEOUT)
    import json  # noqa: PLC0415  # only after a failure

    return [json.loads(line) for line in printed.splitlines() if line.startswith(b"{") and line.endswith(b"}")]


def reason_of(client: Sequence[str], reference: Path, env: Mapping[str, str]) -> str:
    """Why a build failed, in BuildKit's words, as its history has it; empty when that has no record.

    What fails between two steps, as an entitlement that was not given, is an event of none of them.

    Args:
        client: see `events_of`.
        reference: see there.
        env: see there.
    """
    name = _name_of_build(reference)
    if not name:
        return ""
    # Records of the history (BuildHistoryRecord in api/services/control of moby/buildkit), one a line.
    template = f'{{{{with .Record}}}}{{{{if eq .Ref "{name}"}}}}{{{{json .Error}}}}{{{{end}}}}{{{{end}}}}'
    _, printed = capture([*client, "debug", "histories", f"--format={template}"], env, timeout=_TIMEOUT)
    import json  # noqa: PLC0415  # only after a failure

    for line in printed.splitlines():
        if line.startswith(b"{") and line.endswith(b"}"):
            return str(json.loads(line).get("message", ""))
    return ""


def _name_of_build(reference: Path) -> str:
    """What the client wrote; empty when that is nothing, or none of BuildKit's names (identity/randomid.go)."""
    try:
        name = reference.read_text().strip()
    except OSError:
        return ""
    return name if name.isalnum() and name.isascii() else ""
