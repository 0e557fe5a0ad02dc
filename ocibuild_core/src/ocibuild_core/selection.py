"""Which installed plugins may be imported: a block-list, and an allow-list that is closed."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ocibuild_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HOST_PLUGIN = "core"
"""The id of what the host itself offers. It can be neither blocked nor replaced."""

ALLOW_ENV = "OCIBUILD_PLUGINS"
BLOCK_FLAG = "--no-plugin"


class Selection(NamedTuple):
    """What the user allows and blocks; ids in lower case.

    Args:
        allowed: nothing else is imported; None allows every plugin.
        allowed_by: the spelling that set it.
        blocked: each blocked id with the spelling that blocked it.
    """

    allowed: frozenset[str] | None = None
    allowed_by: str = ALLOW_ENV
    blocked: Mapping[str, str] = MappingProxyType({})

    def refusal(self, plugin_id: str) -> str:
        """Why this plugin must not be imported; empty when it may be."""
        if plugin_id == HOST_PLUGIN:
            return ""
        wanted = plugin_id.lower()
        if wanted in self.blocked:
            return f"by {self.blocked[wanted]}"
        if self.allowed is not None and wanted not in self.allowed:
            return f"it is not in the list of {self.allowed_by}"
        return ""


EVERY_PLUGIN = Selection()


def select_plugins(
    *,
    env: Mapping[str, str],
    no_plugin: Iterable[str] = (),
    file: str = "",
    file_allow: Iterable[str] | None = None,
    file_block: Iterable[str] = (),
) -> Selection:
    """What command line, environment and file of settings say together.

    Blocks add up. The environment's allow-list replaces the file's; an empty variable counts as unset, and
    `OCIBUILD_PLUGINS=core` allows the host's own exporters alone.

    Args:
        env: the user's environment.
        no_plugin: the values of `--no-plugin`.
        file: the name of the file of settings, for messages.
        file_allow: its `plugins: {allow: […]}`, None when it has none.
        file_block: its `plugins: {block: […]}`.
    """
    blocked = {
        **dict.fromkeys(_ids(file_block), f"{file}: plugins.block"),
        **{plugin_id: f"{BLOCK_FLAG} {plugin_id}" for plugin_id in _ids(no_plugin)},
    }
    if HOST_PLUGIN in blocked:
        raise UsageError(
            f"{blocked[HOST_PLUGIN]}: {HOST_PLUGIN!r} is ocibuild itself",
            do="leave it out of the list of blocked plugins",
        )
    if _ids([env.get(ALLOW_ENV, "")]):
        return Selection(allowed=frozenset(_ids([env[ALLOW_ENV]])), allowed_by=ALLOW_ENV, blocked=blocked)
    if file_allow is not None:
        return Selection(allowed=frozenset(_ids(file_allow)), allowed_by=f"{file}: plugins.allow", blocked=blocked)
    return Selection(blocked=blocked)


def _ids(texts: Iterable[str]) -> list[str]:
    return [item.strip().lower() for text in texts for item in text.split(",") if item.strip()]
