"""Cache mounts in a build: brought into the engine before the solve, taken out after it, kept within the bound."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.cache_directory import make_durable
from ocibuild_core.cache_keeping import CACHE_DIRECTORY
from ocibuild_core.cache_mounts.desk import Desk
from ocibuild_core.cache_mounts.found import FoundMounts, cache_mounts
from ocibuild_core.cache_mounts.interpreter import install
from ocibuild_core.csv_fields import join_fields
from ocibuild_core.errors import EngineError, ExportError
from ocibuild_core.inputs import is_remote_context, platform_arguments
from ocibuild_core.needs import dockerfile_text
from ocibuild_core.places import is_directory
from ocibuild_core.settings.values import show_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ocibuild_core.auth.session import AuthSession
    from ocibuild_core.cache_mounts.found import CacheMount
    from ocibuild_core.cache_mounts.interpreter import Interpreter
    from ocibuild_core.engine import Engine
    from ocibuild_core.publish import Staging
    from ocibuild_core.settings.model import BuildSettings
    from ocibuild_core.terminal import Talk

MOUNTS_DIRECTORY = "mounts"
_NAMESPACE = "BUILDKIT_CACHE_MOUNT_NS"
"""A build argument that is part of what BuildKit knows a mount by (frontend/dockerui/config.go in moby/buildkit)."""
_SAID = 2000


class CacheMounts:
    """The cache mounts of one run.

    Args:
        mounts: those of the Dockerfile.
        path: where their archives lie; made when there is something to keep.
        staging: gives private directories on its file system.
        directory: private, for the socket; its path is short.
        engine: is ready.
        env: what the client gets besides.
        namespace: the value of the build argument of that name, or None.
    """

    def __init__(  # noqa: PLR0913  # what one run is made from, by keyword
        self,
        mounts: Sequence[CacheMount],
        *,
        path: Path,
        staging: Staging,
        directory: Path,
        engine: Engine,
        env: Mapping[str, str],
        namespace: str | None,
    ) -> None:
        self._mounts = mounts
        self._path = path
        self._socket = directory / "courier"
        self._engine = engine
        self._env = env
        self._namespace = namespace
        self._taken = [staging.beside(path / mount.file_name) / mount.file_name for mount in mounts]
        self._context = staging.beside(path / "context")
        self._recipe = staging.beside(path / "recipe")
        self._interpreter: Interpreter | None = None
        self._desk: Desk | None = None

    def bring(self, talk: Talk) -> None:
        """Fill the engine's mounts that are empty with what is kept. Raises EngineError."""
        kept = [self._path / mount.file_name for mount in self._mounts]
        # `cache/` may have come with the sources: a link in it could lead to any archive of this machine.
        given = [file if file.is_file() and not file.is_symlink() else None for file in kept]
        if not any(given):
            return
        desk = self._run("in", given, most_bytes=0)
        for number in desk.damaged:
            kept[number].unlink(missing_ok=True)
            talk.warn(f"the cache mount {self._mounts[number].id} begins empty: {kept[number].name} was damaged")

    def take(self, most_bytes: int) -> None:
        """Fetch what the mounts hold now, before the engine ends. Raises EngineError."""
        self._desk = self._run("out", [None] * len(self._mounts), most_bytes=most_bytes)

    def keep(self, most_bytes: int, talk: Talk) -> None:
        """Put what was fetched in its place; drop what was longest not used beyond the bound. Raises ExportError."""
        desk = self._desk
        if desk is None:
            return
        for number in desk.too_large:
            talk.warn(
                f"the cache mount {self._mounts[number].id} is not kept: it is larger than the bound; "
                "--cache-size sets it"
            )
        try:
            for number in desk.arrived:
                make_durable(self._taken[number])
                self._taken[number].replace(self._path / self._taken[number].name)
            dropped, size = drop_oldest(self._path, most_bytes)
        except OSError as error:
            raise ExportError(f"cannot keep cache mounts in {self._path}", why=error.strerror or str(error)) from None
        told = f", {dropped} older dropped" if dropped else ""
        talk.say(f"{self._path.parent.name}/{self._path.name}/  cache mounts, {show_size(size)}{told}")

    def _run(self, direction: str, given: Sequence[Path | None], *, most_bytes: int) -> Desk:
        """One solve with the courier in its step. Raises EngineError."""
        if self._interpreter is None:
            self._interpreter = install(self._context)
        numbers = [number for number, file in enumerate(given) if file or direction == "out"]
        recipe = self._dockerfile(self._interpreter, direction, numbers)
        (self._recipe / "Dockerfile").write_text(recipe, encoding="utf-8")
        said: list[bytes] = []
        self._socket.unlink(missing_ok=True)
        with Desk(self._socket, given=given, taken=self._taken, most_bytes=most_bytes) as desk:
            code = self._engine.solve(self._arguments(), env=self._env, on_output=said.append)
        if code or desk.problem:
            output = b"".join(said)[-_SAID:].decode(errors="replace").strip()
            raise EngineError(
                "the cache mounts cannot be reached",
                why=str(desk.problem or output),
                do="leave out --cache-mounts (OCIBUILD_CACHE_MOUNTS)",
            )
        return desk

    def _dockerfile(self, interpreter: Interpreter, direction: str, numbers: Iterable[int]) -> str:
        # Never the same twice, for a step that was run is not run again.
        lines = ["FROM scratch", "COPY . /", f"ENV OCIBUILD_RUN={os.urandom(8).hex()}"]
        lines += [f"ENV {name}={value}" for name, value in interpreter.environment.items()]
        flags = ["--network=none", "--mount=type=ssh,id=courier,target=/courier.sock,required=true"]
        for number, mount in enumerate(self._mounts):
            lines.append(f"ARG ID_{number}")
            fields = ("type=cache", f"target=/mounts/{number}", f"id=${{ID_{number}}}", *mount.permissions)
            flags.append(f"--mount={join_fields(fields)}")
        command = (*interpreter.command, direction, *map(str, numbers))
        lines.append(f"RUN {' '.join(flags)} [{', '.join(map(_quoted, command))}]")
        return "\n".join(lines) + "\n"

    def _arguments(self) -> list[str]:
        arguments = ["--frontend", "dockerfile.v0", "--progress", "plain"]
        arguments += ["--local", f"context={self._context}", "--local", f"dockerfile={self._recipe}"]
        arguments += ["--ssh", f"courier={self._socket},raw=true"]
        for number, mount in enumerate(self._mounts):
            arguments += ["--opt", f"build-arg:ID_{number}={mount.id}"]
        if self._namespace is not None:
            arguments += ["--opt", f"build-arg:{_NAMESPACE}={self._namespace}"]
        return arguments


def open_mounts(
    settings: BuildSettings, engine: Engine, session: AuthSession, staging: Staging, talk: Talk
) -> CacheMounts | None:
    """The cache mounts that this build keeps; None when it keeps none, which is said where it was asked for."""
    if not settings.cache_mounts or settings.check:
        return None
    cache = Path.cwd() / CACHE_DIRECTORY
    if not is_directory(cache):
        talk.warn(f"cache mounts are not kept: there is no directory {CACHE_DIRECTORY}/")
        return None
    if (cache / MOUNTS_DIRECTORY).is_symlink():
        talk.warn(f"cache mounts are not kept: {CACHE_DIRECTORY}/{MOUNTS_DIRECTORY} is a link, and may lead anywhere")
        return None
    if is_remote_context(settings.context):
        talk.warn("cache mounts are not kept: the Dockerfile is not here, but in the remote context")
        return None
    found = find_mounts(settings, dockerfile_text(settings))
    for text in found.others:
        talk.warn(f"{text}; it is not kept")
    if not found.mounts:
        return None
    return CacheMounts(
        found.mounts,
        path=cache / MOUNTS_DIRECTORY,
        staging=staging,
        directory=session.directory,
        engine=engine,
        env=session.child_env,
        namespace=namespace_of(settings),
    )


def find_mounts(settings: BuildSettings, text: str) -> FoundMounts:
    """The cache mounts of all targets.

    Args:
        settings: what was asked for.
        text: the Dockerfile; empty when only the engine has it.
    """
    build_args = {pair.key: pair.value for pair in settings.build_args}
    known = platform_arguments(settings)
    platform_args = known[0] if len(known) == 1 else {}
    found = [
        cache_mounts(text, target=target, build_args=build_args, platform_args=platform_args)
        for target in (*settings.additional_targets, settings.target)
    ]
    return FoundMounts(
        tuple(dict.fromkeys(mount for one in found for mount in one.mounts)),
        tuple(dict.fromkeys(text for one in found for text in one.others)),
    )


def namespace_of(settings: BuildSettings) -> str | None:
    """What the build's mounts are kept apart by; None without."""
    return next((pair.value for pair in reversed(settings.build_args) if pair.key == _NAMESPACE), None)


def _quoted(text: str) -> str:
    return json.dumps(text)


def drop_oldest(directory: Path, most_bytes: int) -> tuple[int, int]:
    """Remove archives until the rest is within the bound; how many went, and the bytes of the rest."""
    found = []
    for file in directory.glob("*.tar.gz"):
        with suppress(FileNotFoundError):  # another run drops, too
            status = file.stat()
            found.append((status.st_mtime_ns, status.st_size, file))
    size = dropped = 0
    for _, bytes_, file in sorted(found, key=lambda one: one[0], reverse=True):
        if size + bytes_ > most_bytes:
            file.unlink(missing_ok=True)
            dropped += 1
        else:
            size += bytes_
    return dropped, size
