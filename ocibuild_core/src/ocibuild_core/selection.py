"""Which installed plugins may be imported: a block-list, and an allow-list that is closed."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from ocibuild_core.errors import UsageError
from ocibuild_core.records import NamedTuple
from ocibuild_core.settings.values import split_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ocibuild_core.settings.documents import SettingsFile

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
    *, env: Mapping[str, str], no_plugin: Iterable[str] = (), files: Sequence[SettingsFile] = ()
) -> Selection:
    """What command line, environment and files of settings say together.

    Blocks add up. The environment's allow-list replaces those of files, of which the first counts; an empty variable
    counts as unset, and `OCIBUILD_PLUGINS=core` allows the host's own exporters alone.

    Args:
        env: the user's environment.
        no_plugin: the values of `--no-plugin`.
        files: files of settings, highest precedence first: their `plugins: {allow: […], block: […]}`.

    Raises UsageError when a file says something else there, or may say nothing, or when the host itself is blocked.
    """
    sections = [(file.name, _section(file)) for file in files]
    blocked = {
        plugin_id: f"{name}: plugins.block"
        for name, section in reversed(sections)
        for plugin_id in _ids(_names(name, section, "block") or ())
    }
    blocked |= {plugin_id: f"{BLOCK_FLAG} {plugin_id}" for plugin_id in _ids(no_plugin)}
    if HOST_PLUGIN in blocked:
        raise UsageError(f"{blocked[HOST_PLUGIN]}: {HOST_PLUGIN!r} is ocibuild itself", do="block others alone")
    if _ids([env.get(ALLOW_ENV, "")]):
        return Selection(allowed=frozenset(_ids([env[ALLOW_ENV]])), allowed_by=ALLOW_ENV, blocked=blocked)
    for name, section in sections:
        allowed = _names(name, section, "allow")
        if allowed is not None:
            return Selection(allowed=frozenset(_ids(allowed)), allowed_by=f"{name}: plugins.allow", blocked=blocked)
    return Selection(blocked=blocked)


def _section(file: SettingsFile) -> Mapping[str, object]:
    section = file.values.get("plugins")
    if section is None:
        return {}
    if not file.trusted:
        raise UsageError(
            f"{file.name}: plugins: not allowed in a file that lies beside the sources",
            why="whoever can change the sources could choose what runs here",
            do="name the file with --config, or move the key to ~/.config/ocibuild.yml",
        )
    unknown = [key for key in section if key not in ("allow", "block")] if isinstance(section, dict) else []
    if not isinstance(section, dict) or unknown:
        from ocibuild_core.suggest import nearest  # noqa: PLC0415  # only for a message

        found = f"; {unknown[0]!r} is neither{nearest(str(unknown[0]), ('allow', 'block'))}" if unknown else ""
        raise UsageError(f"{file.name}: plugins: a mapping with 'allow' and 'block' is expected{found}")
    return section


def _names(file: str, section: Mapping[str, object], key: str) -> Sequence[str] | None:
    value = section.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UsageError(f"{file}: plugins.{key}: a list of plugin ids is expected")
    return value


def _ids(texts: Iterable[str]) -> list[str]:
    return [item.strip().lower() for text in texts for item in split_list(text) if item.strip()]
