"""What happened in a build, asked of the daemon afterwards: for a client that had the terminal to itself."""

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
    try:
        name = reference.read_text().strip()
    except OSError:
        return []
    _, printed = capture([*client, "debug", "logs", "--progress=rawjson", name], env, timeout=_TIMEOUT)
    import json  # noqa: PLC0415  # only after a failure

    return [json.loads(line) for line in printed.splitlines() if line.startswith(b"{") and line.endswith(b"}")]
