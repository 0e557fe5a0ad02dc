"""The way in: find an engine, or start one. Returns at once; the engine gets ready while other work is done."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.engine.cgroups import parent_name
from ocibuild_core.engine.config import DaemonPlan, check_extra, merge, own_tables, render
from ocibuild_core.engine.environment import for_buildkitd, search_path
from ocibuild_core.engine.find import find_programs
from ocibuild_core.engine.keeper import DaemonJob, Isolation, KeeperJob, start_keeper
from ocibuild_core.engine.local import LocalEngine, Places
from ocibuild_core.engine.privileges import check_root, is_mapped_root
from ocibuild_core.engine.removing import empty_directory
from ocibuild_core.engine.rootless import check_machine, removal_command, rootless_command
from ocibuild_core.engine.runtime import make_runtime_directory
from ocibuild_core.engine.state import take_state
from ocibuild_core.errors import UsageError

if TYPE_CHECKING:
    from ocibuild_core.engine.base import Engine
    from ocibuild_core.engine.find import Programs
    from ocibuild_core.engine.lease import Lease
    from ocibuild_core.engine.settings import EngineSettings
    from ocibuild_core.engine.state import State

RUNC_DIRECTORY = Path("/run/runc")
"""Where runc keeps its containers when it is root (main.go in opencontainers/runc); BuildKit cannot be told another."""


def launch(settings: EngineSettings) -> Engine:
    """An engine that gets ready from now on; `wait_ready` says when, `stop` ends it.

    Call it before any thread is started: it forks.

    Raises:
        EngineError: there is none, or something that it needs is missing.
        UsageError: the settings contradict each other.
    """
    if not settings.addr:
        return _start(settings)
    if settings.daemon_config:
        raise UsageError(
            f"the BuildKit at {settings.addr} runs already and cannot be configured from here",
            why=f"asked for: {', '.join(settings.daemon_config)}",
            do="configure that daemon itself, or leave out --addr (and BUILDKIT_HOST)",
        )
    from ocibuild_core.engine.remote import reach  # noqa: PLC0415  # most builds have one of their own

    return reach(settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Daemon:
    """All that is known of a daemon before it is started."""

    settings: EngineSettings
    programs: Programs
    state: State
    runtime: Lease
    is_rootless: bool
    """Its root is one of a user namespace: rootlesskit's, or the one that we are in."""

    @property
    def socket(self) -> Path:
        return self.runtime.path / "buildkitd.sock"


def _start(settings: EngineSettings) -> LocalEngine:
    deadline = time.monotonic() + settings.start_timeout
    uid = os.geteuid()
    check_extra(settings.daemon_config)
    programs = find_programs(settings.env, is_rootless=uid != 0)
    if uid == 0:
        check_root()
    else:
        check_machine(uid, search_path(settings.env.get("PATH", ""), first=programs.runc.parent))
    leases: list[Lease] = []
    try:
        state = take_state(settings.state_dir, settings.env, uid)
        leases.append(state.lease)
        runtime = make_runtime_directory(settings.env, uid)
        leases.append(runtime)
        daemon = _Daemon(
            settings=settings,
            programs=programs,
            state=state,
            runtime=runtime,
            is_rootless=uid != 0 or is_mapped_root(),
        )
        keeper = start_keeper(_keeper_job(daemon))
    except BaseException:
        for lease in leases:
            os.close(lease.lock)
        raise
    places = Places(socket=daemon.socket, reference=runtime.path / "reference", state=state)
    return LocalEngine(settings=settings, programs=programs, keeper=keeper, places=places, deadline=deadline)


def _keeper_job(daemon: _Daemon) -> KeeperJob:
    state, runtime, rootlesskit = daemon.state, daemon.runtime.path, daemon.programs.rootlesskit
    empty_directory(state.temporary)
    configuration = runtime / "buildkitd.toml"
    configuration.write_text(_configuration(daemon), encoding="utf-8")
    command = [str(daemon.programs.buildkitd), f"--config={configuration}"]
    if daemon.settings.debug:
        command.append("--debug")
    if rootlesskit:
        command = rootless_command(rootlesskit, runtime / "rootlesskit", command)
    return KeeperJob(
        daemon=DaemonJob(
            argv=tuple(command),
            env=for_buildkitd(
                daemon.settings.env,
                programs=daemon.programs.runc.parent,
                runtime=runtime,
                temporary=state.temporary,
                cache_types=daemon.settings.cache_types,
            ),
            log=state.log,
            isolation=Isolation.ROOTLESSKIT if rootlesskit else Isolation.NAMESPACES,
            cgroup_parent=parent_name(runtime.name),
            runc_directory=None if daemon.is_rootless else RUNC_DIRECTORY,
        ),
        leases=(state.lease, daemon.runtime),
        runtime=runtime,
        temporary=state.temporary,
        throw_away=None if state.is_kept else state.lease.path,
        swept=((runtime.parent, ""), state.swept),
        removal=tuple(removal_command(rootlesskit, sys.executable)) if rootlesskit else (),
    )


def _configuration(daemon: _Daemon) -> str:
    plan = DaemonPlan(
        root=daemon.state.root,
        socket=daemon.socket,
        trace_socket=daemon.runtime.path / "otel.sock",
        runc=daemon.programs.runc,
        cgroup_parent=parent_name(daemon.runtime.path.name),
        is_rootless=daemon.is_rootless,
        max_cache=daemon.settings.max_cache,
    )
    return render(merge(own_tables(plan), daemon.settings.daemon_config))
