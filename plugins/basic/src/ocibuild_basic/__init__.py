"""User and password for any registry: an auth plugin of ocibuild."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.plugin import AuthProvider, hookimpl

from ocibuild_basic.provider import BasicProvider

if TYPE_CHECKING:
    from collections.abc import Iterable

OCIBUILD_HOOK_API = 1


@hookimpl
def ocibuild_auth_providers() -> Iterable[AuthProvider]:
    """The one provider, `basic`."""
    return [BasicProvider()]
