"""Why Google gave no token: said once, for every registry that would have shared it."""

from __future__ import annotations

from ocibuild_core.plugin import CredentialError


class Refusal(Exception):  # noqa: N818  # becomes a `CredentialError` for each registry
    """Google was asked, and there is no token.

    Args:
        what: reads on with "for REGISTRY".
        why: the cause.
        do: the remedy.
    """

    def __init__(self, what: str, *, why: str = "", do: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.do = do

    def error_for(self, registry: str) -> CredentialError:
        """The error to raise for a registry."""
        return CredentialError(f"{self.what} for {registry}", why=self.why, do=self.do)
