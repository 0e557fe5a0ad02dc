"""From installed distributions to a `Catalog`: every plugin on its own, every culprit named.

pluggy's own loader stops at the first import that fails without saying whose it was, and ignores a second distribution
that claims an id in silence; so the entry points are found, grouped and imported here. pluggy then checks and keeps
the hooks.
"""

from __future__ import annotations

import re
import sys
import time
from itertools import groupby
from typing import TYPE_CHECKING

from ocibuild_core import HOST_DISTRIBUTION
from ocibuild_core.catalog import (
    Catalog,
    LoadedExporter,
    LoadedProvider,
    PluginSource,
    PluginState,
    PluginStatus,
    Problem,
)
from ocibuild_core.conflicts import NOTHING_RESERVED, Offer, Reserved, find_conflicts
from ocibuild_core.entry_points import discover
from ocibuild_core.errors import USERS_WISH
from ocibuild_core.plugin_hooks import register
from ocibuild_core.plugin_import import ImportGuard, import_plugin
from ocibuild_core.plugin_problems import PluginFault, fault, problem_of
from ocibuild_core.selection import EVERY_PLUGIN, HOST_PLUGIN, Selection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocibuild_core.entry_points import EntryPoint

_ID = re.compile(r"[a-z][a-z0-9]*([._-][a-z0-9]+)*")
_ID_RULE = "lower-case words of a-z and 0-9, joined by '-', '_' or '.'"


def load_plugins(
    selection: Selection = EVERY_PLUGIN,
    *,
    path: Sequence[str] | None = None,
    reserved: Reserved = NOTHING_RESERVED,
) -> Catalog:
    """Import what is installed and allowed, and say of everything else why not. Raises nothing.

    Args:
        selection: what may be imported.
        path: where distributions are looked for; None is `sys.path`.
        reserved: the host's own flags and environment variables, which no option may take.
    """
    found = discover(sys.path if path is None else path)
    with ImportGuard() as guard:
        loading = _Loading(selection, guard)
        for plugin_id, group in groupby(found, key=lambda entry: entry.id):
            loading.load_id(plugin_id, tuple(group))
    loading.settle_conflicts(reserved)
    loading.name_missing()
    return loading.catalog()


class _Loading:
    """One run of the loader: what became of each plugin so far."""

    def __init__(self, selection: Selection, guard: ImportGuard) -> None:
        self._selection = selection
        self._guard = guard
        self._ids_by_plugin: dict[int, str] = {}
        self._states: list[PluginState] = []
        self._offers: dict[str, Offer] = {}

    def load_id(self, plugin_id: str, entries: Sequence[EntryPoint]) -> None:
        """Load the one distribution that claims this id; refuse several."""
        if plugin_id == HOST_PLUGIN:
            entries = self._host_alone(entries)
        refusal = self._selection.refusal(plugin_id)
        if not _ID.fullmatch(plugin_id):
            problem = Problem(what=f"has the invalid id {plugin_id!r}", why=f"an id is {_ID_RULE}")
            self._states += [_state(entry, PluginStatus.BROKEN, problem) for entry in entries]
        elif refusal:
            problem = Problem(what="is blocked", why=refusal, do="allow it, or do not ask for it")
            self._states += [_state(entry, PluginStatus.BLOCKED, problem) for entry in entries]
        elif len(entries) > 1:
            self._states += [_state(entry, PluginStatus.BROKEN, _same_id(entries)) for entry in entries]
        else:
            self._states += [self._load(entry) for entry in entries]

    def settle_conflicts(self, reserved: Reserved) -> None:
        """Break every plugin that wants a name, flag or variable of another or of the host."""
        for plugin_id, problem in find_conflicts(tuple(self._offers.values()), reserved).items():
            self._break(plugin_id, problem)

    def name_missing(self) -> None:
        """Add a state for every plugin of the allow-list that is not installed."""
        installed = {state.source.id.lower() for state in self._states} | {HOST_PLUGIN}
        for plugin_id in sorted((self._selection.allowed or frozenset()) - installed):
            source = PluginSource(id=plugin_id, distribution="", version="")
            problem = Problem(
                what=f"is listed by {self._selection.allowed_by}, but not installed",
                do="install it, or take it off the list",
            )
            self._states.append(PluginState(source=source, status=PluginStatus.MISSING, problem=problem))

    def useless_blocks(self) -> tuple[str, ...]:
        """A line for each block of what is not installed: perhaps a slip of the pen."""
        installed = {state.source.id.lower() for state in self._states}
        return tuple(
            f"{blocked_by}: no plugin {plugin_id!r} is installed"
            for plugin_id, blocked_by in self._selection.blocked.items()
            if plugin_id not in installed
        )

    def catalog(self) -> Catalog:
        """What is in order, and the state of everything."""
        offers = tuple(self._offers.values())
        return Catalog(
            providers=tuple(
                LoadedProvider(provider=provider, source=offer.source)
                for offer in offers
                for provider in offer.providers
            ),
            exporters=tuple(
                LoadedExporter(exporter=exporter, source=offer.source)
                for offer in offers
                for exporter in offer.exporters
            ),
            plugins=tuple(sorted(self._states, key=lambda state: (state.source.id, state.source.distribution))),
            listed=self._selection.allowed or frozenset(),
            notes=self.useless_blocks(),
        )

    def _host_alone(self, entries: Sequence[EntryPoint]) -> Sequence[EntryPoint]:
        problem = Problem(
            what=f"claims the id {HOST_PLUGIN!r}, which is ocibuild's own", do="its author must rename it"
        )
        own = [entry for entry in entries if entry.distribution == HOST_DISTRIBUTION]
        others = [entry for entry in entries if entry.distribution != HOST_DISTRIBUTION]
        self._states += [_state(entry, PluginStatus.BROKEN, problem) for entry in others]
        return own

    def _load(self, entry: EntryPoint) -> PluginState:
        state = _state(entry, PluginStatus.OK, None)
        started = time.monotonic()
        self._guard.begin(str(state.source))
        try:
            imported = import_plugin(entry)
            state = state._replace(location=imported.location, hook_api=imported.hook_api)
            self._refuse_second_id(entry, imported.plugin)
            self._offers[entry.id] = register(state.source, imported.plugin)
        except USERS_WISH:
            raise
        except PluginFault as found:
            state = state._replace(status=PluginStatus.BROKEN, problem=found.problem)
        except BaseException as error:  # noqa: BLE001  # the plugin boundary: SystemExit and all
            problem = problem_of(error, "while it is imported", entry.distribution)
            state = state._replace(status=PluginStatus.BROKEN, problem=problem)
        return state._replace(seconds=time.monotonic() - started, chatter=self._guard.chatter())

    def _refuse_second_id(self, entry: EntryPoint, plugin: object) -> None:
        known = self._ids_by_plugin.setdefault(id(plugin), entry.id)
        if known != entry.id:
            raise fault(
                f"points at the same object as plugin {known!r}",
                do=f"keep one of the two: --no-plugin {known}, or uninstall {entry.distribution}",
            )

    def _break(self, plugin_id: str, problem: Problem) -> None:
        self._offers.pop(plugin_id, None)
        self._states = [
            state._replace(status=PluginStatus.BROKEN, problem=problem)
            if state.source.id == plugin_id and state.status is PluginStatus.OK
            else state
            for state in self._states
        ]


def _state(entry: EntryPoint, status: PluginStatus, problem: Problem | None) -> PluginState:
    source = PluginSource(id=entry.id, distribution=entry.distribution, version=entry.version)
    return PluginState(source=source, status=status, problem=problem, location=entry.metadata)


def _same_id(entries: Sequence[EntryPoint]) -> Problem:
    claimants = list(dict.fromkeys(f"{entry.distribution} {entry.version}" for entry in entries))
    if len(claimants) == 1:
        return Problem(what="has two entry points with the same id", do="its author must rename one")
    return Problem(
        what=f"several distributions claim its id: {', '.join(claimants)}",
        do=f"uninstall all but one of {', '.join(entry.distribution for entry in entries)}",
    )
