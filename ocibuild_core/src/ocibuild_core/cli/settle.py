"""From a command line and its surroundings to the settings of a build."""

from __future__ import annotations

from ocibuild_core.places import is_file, working_directory
from ocibuild_core.records import NamedTuple
from ocibuild_core.settings.documents import FOUND_NAME
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import CommandLine, Document, Environment
from ocibuild_core.settings.values import parse_bool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocibuild_core.cli.line import Line
    from ocibuild_core.cli.start import Start
    from ocibuild_core.settings.model import BuildSettings


_MISNAMED = FOUND_NAME.replace(".yml", ".yaml")


class Settled(NamedTuple):
    """What was asked for.

    Args:
        settings: the settings.
        env: the user's environment, as far as it is for us.
        warnings: what its reader should know about it.
    """

    settings: BuildSettings
    env: Mapping[str, str]
    warnings: tuple[str, ...]


def settle(start: Start, line: Line) -> Settled:
    """The settings of a build. Raises UsageError, also where there is no directory that they could refer to."""
    working_directory()
    foreign = () if start.is_bare else _foreign_debug(start.env)
    env = {name: value for name, value in start.env.items() if name not in foreign}
    files = (Document(file.values, file.name, trusted=file.trusted) for file in start.files)
    settings = resolve([CommandLine(line.values, env), Environment(env), *files])
    passed_over: tuple[str, ...] = ()
    if settings.cache_from or settings.cache_to:
        from ocibuild_core.caching import without_absent_caches  # noqa: PLC0415  # most builds have no such caches

        settings, passed_over = without_absent_caches(settings, env)
    warnings = tuple(
        f"{name}={start.env[name]!r} is ignored: it is not a boolean, so it seems to be meant for another program"
        for name in foreign
    )
    return Settled(settings=settings, env=env, warnings=(*warnings, *passed_over, *_misnamed(start)))


def _misnamed(start: Start) -> tuple[str, ...]:
    """Who writes `.yaml` everywhere would wonder."""
    is_unread = is_file(_MISNAMED) and all(file.name != _MISNAMED for file in start.files)
    return (f"{_MISNAMED} is not read: call it {FOUND_NAME}, or name it with --config",) if is_unread else ()


def _foreign_debug(env: Mapping[str, str]) -> tuple[str, ...]:
    """`DEBUG` belongs to many programs: on a laptop a value that is no boolean is another's."""
    return tuple(name for name in ("DEBUG", "debug") if env.get(name) and not _is_bool(env[name]))


def _is_bool(text: str) -> bool:
    try:
        parse_bool(text)
    except ValueError:
        return False
    return True
