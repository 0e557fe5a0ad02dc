"""What the installed plugins offer, each thing with the plugin that it came from, and what is wrong with the others."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from ocibuild_core import HOST_DISTRIBUTION
from ocibuild_core.errors import PluginError, raise_all
from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocibuild_core.exporting import Exporter
    from ocibuild_core.providers import AuthProvider


class PluginSource(NamedTuple):
    """Where a provider or an exporter came from; `str()` is how every message names it.

    Args:
        id: the entry point's name.
        distribution: what pip installed; empty for a plugin that is not installed.
        version: its version.
    """

    id: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return (
            f"plugin {self.id!r} ({self.distribution} {self.version})" if self.distribution else f"plugin {self.id!r}"
        )


class LoadedProvider(NamedTuple):
    """An auth provider and its plugin."""

    provider: AuthProvider
    source: PluginSource


class LoadedExporter(NamedTuple):
    """An exporter and its plugin."""

    exporter: Exporter
    source: PluginSource


class PluginStatus(Enum):
    """What became of an installed plugin."""

    OK = "ok"
    """Loaded; what it offers is in the catalog."""
    BLOCKED = "blocked"
    """Left out by the user, never imported."""
    BROKEN = "broken"
    """Nothing of it is used."""
    MISSING = "missing"
    """On the allow-list, but not installed."""


class Problem(NamedTuple):
    """Why a plugin is not used.

    Args:
        what: what is wrong, one line without a full stop: it follows the plugin's name.
        why: the cause, one line; may be empty when `what` holds it.
        do: what its user can do about it; empty when there is nothing but a newer release.
        error: the exception behind it, for a traceback on demand.
    """

    what: str
    why: str = ""
    do: str = ""
    error: BaseException | None = None


class PluginState(NamedTuple):
    """One plugin, whatever became of it.

    Args:
        source: id, distribution, version.
        status: what became of it.
        problem: why it is not used; None when it is.
        location: the file or directory that it was, or would be, loaded from.
        hook_api: the version of the hook contract that it was written for; None when it was not loaded.
        seconds: how long its import took.
        chatter: what it wrote to stdout while it was imported, shortened.
    """

    source: PluginSource
    status: PluginStatus
    problem: Problem | None = None
    location: str = ""
    hook_api: int | None = None
    seconds: float = 0.0
    chatter: str = ""

    def error(self) -> PluginError:
        """The error for somebody who needs this plugin."""
        problem = self.problem or Problem(what="is not used")
        do = problem.do or f"pip install --upgrade {self.source.distribution}; if that does not help, tell its author"
        error = PluginError(f"{self.source}: {problem.what}", why=problem.why, do=do)
        error.__cause__ = problem.error
        return error

    def line(self) -> str:
        """The one line for somebody who does not need it."""
        problem = self.problem or Problem(what="is not used")
        why = f" ({problem.why.splitlines()[0]})" if problem.why else ""
        return f"{self.source} is not used: {problem.what}{why}"


_Loaded = TypeVar("_Loaded", LoadedProvider, LoadedExporter)


class Catalog(NamedTuple):
    """What is installed.

    Args:
        providers: the auth providers of all plugins that are in order.
        exporters: likewise the exporters.
        plugins: every plugin, whatever its state, by id.
        listed: the ids on the user's allow-list.
        notes: what else is worth a line with `-v`.
    """

    providers: tuple[LoadedProvider, ...] = ()
    exporters: tuple[LoadedExporter, ...] = ()
    plugins: tuple[PluginState, ...] = ()
    listed: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def provider(self, name: str) -> LoadedProvider:
        """The provider that a user asked for by name or alias, in any case.

        Raises `PluginError`: about the plugin that is broken, blocked or missing, or with what is installed instead.
        """
        named = {
            spelling: loaded
            for loaded in self.providers
            for spelling in (loaded.provider.name, *loaded.provider.aliases)
        }
        return self._get(_PROVIDER, name, named)

    def exporter(self, name: str) -> LoadedExporter:
        """The exporter that a user asked for by name, in any case. Raises as `provider` does."""
        return self._get(_EXPORTER, name, {loaded.exporter.name: loaded for loaded in self.exporters})

    def check_allowed(self) -> None:
        """Raise when a plugin of the allow-list is missing or broken: the list says that it is counted on."""
        bad = (PluginStatus.MISSING, PluginStatus.BROKEN)
        raise_all([state.error() for state in self.plugins if state.source.id in self.listed and state.status in bad])

    def remarks(self) -> tuple[str, ...]:
        """One line for each broken plugin, each that behaved oddly while it was imported, each note: for `-v`."""
        broken = [state.line() for state in self.plugins if state.status is PluginStatus.BROKEN]
        slow = [
            f"{state.source} took {state.seconds:.1f} s to import"
            for state in self.plugins
            if state.seconds >= _SLOW_SECONDS
        ]
        loud = [
            f"{state.source} wrote to stdout while it was imported: {state.chatter}"
            for state in self.plugins
            if state.chatter
        ]
        return (*broken, *slow, *loud, *self.notes)

    def _get(self, kind: str, name: str, named: Mapping[str, _Loaded]) -> _Loaded:
        wanted = name.strip().lower()
        if wanted in named:
            return named[wanted]
        # Several have one id only when they conflict, and then each tells the whole story.
        culprit = next((state for state in self.plugins if state.problem and state.source.id == wanted), None)
        if culprit:
            raise culprit.error()
        raise self._unknown(kind, name, sorted(named))

    def _unknown(self, kind: str, name: str, known: Sequence[str]) -> PluginError:
        from ocibuild_core.suggest import did_you_mean, near_name, shipped_extra  # noqa: PLC0415  # only for a message

        out_of_order = [state.line() for state in self.plugins if state.status is PluginStatus.BROKEN]
        installed = f"installed: {', '.join(known) or 'none'}"
        why = "\n".join([installed, *out_of_order])
        missing = f"no {kind} {name!r} is installed"
        extra = shipped_extra(name) if kind == _PROVIDER else ""
        if extra:
            return PluginError(missing, why=why, do=f"pip install '{HOST_DISTRIBUTION}[{extra}]'")
        near = near_name(name, known)
        if near:
            return PluginError(f"{missing}{did_you_mean(near)}", why=why, do=f"write {near}")
        see_path = _SEE_PATH.format(name) if kind == _EXPORTER else ""
        return PluginError(missing, why=why, do=f"install the plugin that offers it{see_path}")


_PROVIDER = "auth provider"
_EXPORTER = "exporter"
_SEE_PATH = "\nor, if it is a directory: --output ./{}"
_SLOW_SECONDS = 0.5
