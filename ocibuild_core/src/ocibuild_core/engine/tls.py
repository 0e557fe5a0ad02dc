"""How a BuildKit behind `tcp://` is trusted, and trusts us."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class TlsFiles(NamedTuple):
    """How a `tcp://` address is secured (`buildctl --tls…`).

    Args:
        ca: the authority that signed the daemon's certificate.
        cert: our certificate.
        key: its key.
        server_name: the name in the daemon's certificate, when it is not the address's host.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    server_name: str | None = None

    def arguments(self) -> tuple[str, ...]:
        """The client's arguments."""
        pairs = (
            ("--tlscacert", self.ca),
            ("--tlscert", self.cert),
            ("--tlskey", self.key),
            ("--tlsservername", self.server_name),
        )
        return tuple(text for flag, value in pairs if value is not None for text in (flag, str(value)))
