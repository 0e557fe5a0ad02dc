"""An auth plugin for ocibuild: Azure Container Registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.plugin import hookimpl

from ocibuild_acr.provider import AcrProvider

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocibuild_core.plugin import AuthProvider

OCIBUILD_HOOK_API = 1


@hookimpl
def ocibuild_auth_providers() -> Iterable[AuthProvider]:
    """The one provider, `acr`."""
    return [AcrProvider()]
