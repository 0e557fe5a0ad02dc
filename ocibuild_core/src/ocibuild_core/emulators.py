"""Steps of other architectures, and the emulators that are registered for them.

An emulator that lies in `PLACE` lies there to be registered with the kernel, as in the task image. One that the system
has elsewhere is the system's to register.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.binfmt import Handlers, handler_names, has_own_handlers, registration
from ocibuild_core.emulation import can_run, cpu_of
from ocibuild_core.errors import UsageError, raise_all
from ocibuild_core.inputs import chosen_platforms
from ocibuild_core.platforms import architecture_of
from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ocibuild_core.settings.model import BuildSettings
    from ocibuild_core.terminal import Talk

PLACE = Path(sys.prefix, "libexec", "ocibuild")
"""Of emulators that may be registered."""
_PROC = "/proc/sys/fs/binfmt_misc"


class Refusal(NamedTuple):
    """Why an emulator was not registered.

    Args:
        why: the cause.
        do: what the reader can do about it.
    """

    why: str
    do: str = ""


def emulator_for(architecture: str, place: Path = PLACE) -> Path | None:
    """The emulator of an architecture that may be registered.

    By the end of its name Debian's QEMU knows that it gets the program's argv[0], in kernels before 5.12, too.
    """
    emulator = place / f"{cpu_of(architecture)}-binfmt-P"
    return emulator if emulator.is_file() else None


def awaits_emulator(settings: BuildSettings, place: Path = PLACE) -> bool:
    """Whether an emulator may have to be registered, as far as the settings say. Raises UsageError.

    BuildKit lists the platforms of this machine when it starts, and refuses some that are not among them.
    """
    return any(emulator_for(architecture_of(name), place) for name in chosen_platforms(settings))


def lacking_emulation(steps: Mapping[str, int], env: Mapping[str, str], place: Path = PLACE) -> list[UsageError]:
    """An error for steps that cannot run here, and for which no emulator lies ready. Nothing is registered.

    Args:
        steps: what `foreign_steps` found.
        env: has the PATH.
        place: where emulators lie.
    """
    unready = [one for one in _architectures(steps) if not emulator_for(one, place)]
    return _errors(steps, [one for one in unready if not can_run(one, env.get("PATH", ""))], ())


@contextmanager
def emulation(steps: Mapping[str, int], env: Mapping[str, str], talk: Talk, place: Path = PLACE) -> Iterator[None]:
    """Have the kernel run the steps meanwhile, by the emulators that lie ready. Raises UsageError where it cannot."""
    ready = {one: found for one in _architectures(steps) if (found := emulator_for(one, place))}
    with ExitStack() as held:
        if ready:
            path = env.get("PATH", "")
            refusals = _provide(ready, path, talk, held)
            raise_all(_errors(steps, [one for one in _architectures(steps) if not can_run(one, path)], refusals))
        yield


def _architectures(steps: Iterable[str]) -> list[str]:
    """Those of the platforms, each once."""
    return sorted({architecture_of(name) for name in steps})


def _provide(ready: Mapping[str, Path], path: str, talk: Talk, held: ExitStack) -> list[Refusal]:
    """Register what is needed, and hold it until the end. Returns why some of it could not be.

    What runs already may have been registered by a build whose end would take it away, so that is held as well; but not
    in a user namespace, where it may be the machine's, which a mount of our own would hide.
    """
    if has_own_handlers() and all(can_run(one, path) for one in ready):
        return []
    try:
        handlers = held.enter_context(Handlers())
    except OSError as error:
        return [_refusal("binfmt_misc cannot be mounted", error)]
    missing = [one for one in ready if not can_run(one, path)]
    refusals = [_register(handlers, one, ready[one], path, talk) for one in missing]
    return [refusal for refusal in refusals if refusal]


def _register(handlers: Handlers, architecture: str, emulator: Path, path: str, talk: Talk) -> Refusal | None:
    try:
        name, refusal = _add(handlers, architecture, emulator, path)
        if name and not can_run(architecture, path):
            handlers.remove(name)
            return Refusal(f"programs do not run with {emulator}, either")
    except OSError as error:
        return _refusal(f"the kernel does not take {emulator}", error)
    if name:
        talk.say(
            f"registered an emulator of {architecture} with the kernel ({name} in binfmt_misc): it serves the whole "
            "machine, at the longest until that is restarted"
        )
    return refusal


def _add(handlers: Handlers, architecture: str, emulator: Path, path: str) -> tuple[str, Refusal | None]:
    """The name under which it was registered. None where another build has just done so, or where there is a refusal.

    A handler that is there and of no use has its emulator where this container cannot see it. It is left as it is: of
    two for the same programs the kernel takes the newer.
    """
    if handlers.is_disabled("status"):
        return "", Refusal("binfmt_misc is switched off", f"echo 1 > {_PROC}/status")
    for name in handler_names(architecture):
        try:
            handlers.register(registration(name, architecture, emulator))
        except FileExistsError:
            if can_run(architecture, path):
                return "", None
            if handlers.is_disabled(name):
                return "", Refusal(f"its handler {name} is disabled", f"echo 1 > {_PROC}/{name}")
        else:
            return name, None
    return "", Refusal(f"its handlers {' and '.join(handler_names(architecture))} find no emulator")


def _refusal(what: str, error: OSError) -> Refusal:
    is_right = error.errno in (errno.EPERM, errno.EACCES, errno.EROFS)
    privileged = "start the container privileged (Concourse: privileged: true; docker: --privileged)"
    return Refusal(f"{what}: {os.strerror(error.errno or 0)}", privileged if is_right else "")


def _errors(steps: Mapping[str, int], lacking: Sequence[str], refusals: Sequence[Refusal]) -> list[UsageError]:
    if not lacking:
        return []
    platforms = [name for name in steps if architecture_of(name) in lacking]
    line = min(steps[name] for name in platforms)
    why = [f"the Dockerfile's line {line} is a RUN, and the kernel has no binfmt handler for {', '.join(lacking)}"]
    why += [f"the emulator that is here could not be registered: {refusal.why}" for refusal in refusals]
    do = [refusal.do for refusal in refusals if refusal.do]
    do.append(
        f"{'or ' if do else ''}install qemu-user-static (binfmt), write FROM --platform=$BUILDPLATFORM for steps that "
        "need no emulation, or use an engine of that architecture with --addr"
    )
    summary = f"this machine cannot run the steps of {', '.join(platforms)}"
    return [UsageError(summary, why="\n".join(why), do="\n".join(do))]
