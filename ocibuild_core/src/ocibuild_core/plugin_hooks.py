"""The hooks of every plugin, kept by pluggy and called one plugin at a time.

`pluggy` would call all implementations of a hook in one go, where one that raises hides the others; so each plugin's
own are called as it is registered, and their results checked.
"""

from __future__ import annotations

from itertools import islice
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

from ocibuild_core import hooks
from ocibuild_core.conflicts import Offer
from ocibuild_core.errors import USERS_WISH
from ocibuild_core.hooks import PROJECT
from ocibuild_core.plugin_problems import PluginFault, fault, printable, problem_of
from ocibuild_core.plugin_records import check_exporters, check_providers

if TYPE_CHECKING:
    from ocibuild_core.catalog import PluginSource

_PROVIDERS_HOOK = hooks.ocibuild_auth_providers.__name__
_EXPORTERS_HOOK = hooks.ocibuild_exporters.__name__
_HOOKS = (_PROVIDERS_HOOK, _EXPORTERS_HOOK)
_CALLABLES = (FunctionType, MethodType)
# A hook that yields without end must not hang the host.
_MOST_RECORDS = 200


def register(source: PluginSource, plugin: object) -> Offer:
    """Check the hooks of one plugin, call them, and check what they return.

    Each plugin gets a manager of its own: a plugin is any object, and in one manager for all an odd `__eq__` or a
    registration that failed half-way would reach the others. Raises `PluginFault`.
    """
    implemented = _implementations(_manager(source, plugin))
    _check_implementations(plugin, implemented)
    results = {hook: _call(source, hook, implementation) for hook, implementation in implemented.items()}
    return Offer(
        source=source,
        providers=check_providers(results.get(_PROVIDERS_HOOK, ())),
        exporters=check_exporters(results.get(_EXPORTERS_HOOK, ())),
    )


class _Manager(pluggy.PluginManager):
    """Looks only at what can be a hook: pluggy's own look at every name of a module takes five times as long."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        if isinstance(plugin, ModuleType) and not isinstance(vars(plugin).get(name), _CALLABLES):
            return None
        return super().parse_hookimpl_opts(plugin, name)

    def parse_hookspec_opts(self, module_or_class: Any, name: str) -> pluggy.HookspecOpts | None:  # noqa: ANN401
        return super().parse_hookspec_opts(module_or_class, name) if name in _HOOKS else None


def _manager(source: PluginSource, plugin: object) -> pluggy.PluginManager:
    manager = _Manager(PROJECT)
    manager.add_hookspecs(hooks)
    try:
        manager.register(plugin, name=source.id)
    except pluggy.PluginValidationError as error:
        raise fault("has a hook with wrong arguments", why=printable(str(error).splitlines()[-1])) from None
    try:
        manager.check_pending()
    except pluggy.PluginValidationError:
        raise _unknown_hook(manager, plugin) from None
    return manager


def _unknown_hook(manager: pluggy.PluginManager, plugin: object) -> PluginFault:
    from ocibuild_core.suggest import nearest  # noqa: PLC0415  # only for a message

    names = [caller.name for caller in manager.get_hookcallers(plugin) or () if not caller.has_spec()]
    return fault(f"implements an unknown hook {names[0]!r}{nearest(names[0], _HOOKS)}")


def _implementations(manager: pluggy.PluginManager) -> dict[str, pluggy.HookImpl]:
    """The plugin's implementation of each hook, by the hook's name (an object may have several: the last counts)."""
    return {hook: implementation for hook in _HOOKS for implementation in getattr(manager.hook, hook).get_hookimpls()}


def _check_implementations(plugin: object, implemented: dict[str, pluggy.HookImpl]) -> None:
    for hook, implementation in implemented.items():
        if implementation.hookwrapper or implementation.wrapper:
            raise fault(f"implements {hook} as a wrapper", why="each plugin speaks for itself alone")
        if implementation.kwargnames:
            # pluggy's releases differ in whether they pass such a parameter.
            raise fault(
                f"implements {hook} with a defaulted parameter",
                why=f"{', '.join(implementation.kwargnames)}: the hook takes no arguments",
            )
    if not implemented:
        raise _without_hooks(plugin)


def _without_hooks(plugin: object) -> PluginFault:
    unmarked = [hook for hook in _HOOKS if callable(getattr(plugin, hook, None))]
    if unmarked:
        return fault(f"defines {unmarked[0]} without marking it", do="its author must put @hookimpl above it")
    return fault("implements no hook", why=f"it has neither {_PROVIDERS_HOOK} nor {_EXPORTERS_HOOK}")


def _call(source: PluginSource, hook: str, implementation: pluggy.HookImpl) -> tuple[object, ...]:
    try:
        return _records(hook, implementation.function())
    except (*USERS_WISH, PluginFault):
        raise
    except BaseException as error:  # the plugin boundary: SystemExit and all
        raise PluginFault(problem_of(error, f"when {hook} is called", source.distribution)) from error


def _records(hook: str, result: object) -> tuple[object, ...]:
    if isinstance(result, (str, bytes, dict)) or not hasattr(result, "__iter__"):
        raise fault(
            f"returns the wrong type from {hook}",
            why=f"{printable(repr(type(result).__name__))} is not an iterable of records: return [record, …]",
        )
    records = tuple(islice(result, _MOST_RECORDS + 1))
    if len(records) > _MOST_RECORDS:
        raise fault(f"returns more than {_MOST_RECORDS} records from {hook}")
    return records
