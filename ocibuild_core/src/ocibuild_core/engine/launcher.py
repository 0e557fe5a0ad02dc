"""The way in: find an engine, or start one. Returns at once; the engine gets ready while other work is done."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from ocibuild_core.child_environment import for_buildkitd, search_path
from ocibuild_core.engine.cgroups import missing_groups, parent_name
from ocibuild_core.engine.collection import has_policy, has_secret_history
from ocibuild_core.engine.config import check_extra, merge, own_tables, render
from ocibuild_core.engine.find import find_programs
from ocibuild_core.engine.jobs import DaemonJob, Isolation, KeeperJob
from ocibuild_core.engine.keeper import start_keeper
from ocibuild_core.engine.privileges import check_root, few_ids_notice, is_mapped_root
from ocibuild_core.engine.removing import empty_directory
from ocibuild_core.engine.runtime import make_runtime_directory
from ocibuild_core.engine.state import take_state
from ocibuild_core.errors import EngineError, UsageError
from ocibuild_core.streams import open_missing_streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocibuild_core.engine.base import Engine
    from ocibuild_core.engine.find import Programs
    from ocibuild_core.engine.lease import Lease
    from ocibuild_core.engine.local import LocalEngine
    from ocibuild_core.engine.settings import EngineSettings
    from ocibuild_core.engine.state import State

RUNC_DIRECTORY = Path("/run/runc")
"""Where runc keeps its containers when it is root (main.go in opencontainers/runc); BuildKit cannot be told another."""


def launch(settings: EngineSettings) -> Engine:
    """An engine that gets ready from now on; `wait_ready` says when, `stop` ends it.

    Call it before any thread is started: it forks.

    Raises:
        EngineError: there is none, or something that it needs is missing or refused by the system.
        UsageError: the settings contradict each other.
    """
    _mend_what_was_inherited()
    try:
        return _launch(settings)
    except OSError as error:
        reason = error.strerror or str(error)
        raise EngineError(
            "the engine could not be started",
            why=f"{error.filename}: {reason}" if error.filename else reason,
            do="make room in the state directory, and where sockets go (/run, XDG_RUNTIME_DIR, TMPDIR)",
        ) from None


def _launch(settings: EngineSettings) -> Engine:
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


def _mend_what_was_inherited() -> None:
    """Undo what a careless parent did to us: it would hit our children and pipes."""
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # else the kernel throws our children's ends away
    # Ignoring one is how nohup works; one that is blocked waits for ever, and so would who wants us to end.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    open_missing_streams()


class _Start:
    """All that is known of a daemon before it is started.

    Args:
        settings: what was asked for.
        programs: what it runs.
        state: its cache.
        runtime: its sockets.
        is_rootless: its root is one of a user namespace: rootlesskit's, or the one that we are in.
    """

    def __init__(
        self, settings: EngineSettings, programs: Programs, state: State, runtime: Lease, *, is_rootless: bool
    ) -> None:
        self._settings = settings
        self._programs = programs
        self._state = state
        self._runtime = runtime
        self._is_rootless = is_rootless
        self._cgroup_parent = parent_name(runtime.path.name)

    def keeper_job(self) -> KeeperJob:
        """What the keeper is to do. Writes the daemon's configuration."""
        state, runtime, rootlesskit = self._state, self._runtime.path, self._programs.rootlesskit
        empty_directory(state.temporary)
        configuration = runtime / "buildkitd.toml"
        configuration.write_text(self._configuration(), encoding="utf-8")
        command = [str(self._programs.buildkitd), f"--config={configuration}"]
        if self._settings.debug:
            command.append("--debug")
        removal: list[str] = []
        if rootlesskit:
            from ocibuild_core.engine.rootless import removal_command, rootless_command  # noqa: PLC0415

            removal = removal_command(rootlesskit, sys.executable)
            command = rootless_command(rootlesskit, runtime / "rootlesskit", command)
        return KeeperJob(
            daemon=self._daemon_job(command, configuration),
            leases=(state.lease, self._runtime),
            runtime=runtime,
            temporary=state.temporary,
            throw_away=None if state.is_kept else state.lease.path,
            forgotten=(state.history,) if has_secret_history(self._settings.cache_types) else (),
            groups=missing_groups(self._settings.cgroup_parent) if self._settings.cgroup_parent else (),
            swept=((runtime.parent, ""), state.swept),
            removal=tuple(removal),
        )

    def _daemon_job(self, command: list[str], configuration: Path) -> DaemonJob:
        env = for_buildkitd(
            self._settings.env,
            programs=self._programs.runc.parent,
            runtime=self._runtime.path,
            temporary=self._state.temporary,
            cache_types=self._settings.cache_types,
        )
        return DaemonJob(
            argv=tuple(command),
            env=env,
            log=self._state.log,
            configuration=configuration,
            isolation=Isolation.ROOTLESSKIT if self._programs.rootlesskit else Isolation.NAMESPACES,
            cgroup_parent=self._cgroup_parent,
            runc_directory=None if self._is_rootless else RUNC_DIRECTORY,
        )

    def _configuration(self) -> str:
        own = own_tables(
            root=self._state.root,
            runtime=self._runtime.path,
            runc=self._programs.runc,
            cgroup_parent=self._cgroup_parent,
            is_rootless=self._is_rootless,
            max_cache=self._settings.max_cache,
            collects=has_policy(self._settings.daemon_config, self._settings.max_cache),
        )
        return render(merge(own, self._settings.daemon_config))


def _start(settings: EngineSettings) -> LocalEngine:
    uid = os.geteuid()
    check_extra(settings.daemon_config)
    programs = find_programs(settings.env, is_rootless=uid != 0)
    if uid == 0:
        check_root()
    else:
        from ocibuild_core.engine.rootless import check_machine  # noqa: PLC0415  # root has no need of it

        check_machine(uid, search_path(settings.env.get("PATH", ""), first=programs.runc.parent))
    is_mapped = uid == 0 and is_mapped_root()
    leases: list[Lease] = []
    try:
        state = take_state(settings.state_dir, settings.env, uid)
        leases.append(state.lease)
        runtime = make_runtime_directory(settings.env, uid)
        leases.append(runtime)
        is_rootless = uid != 0 or is_mapped
        start = _Start(settings, programs, state, runtime, is_rootless=is_rootless)
        keeper = start_keeper(start.keeper_job())
    finally:
        # The keeper holds them on. Where it came to none, the next run sweeps.
        for lease in leases:
            os.close(lease.lock)
    from ocibuild_core.engine.local import LocalEngine  # noqa: PLC0415  # the daemon starts meanwhile

    engine = LocalEngine(settings=settings, programs=programs, keeper=keeper, runtime=runtime.path, state=state)
    engine.is_rootless = is_rootless
    engine.notices = tuple(notice for notice in (state.notice, few_ids_notice() if is_mapped else "") if notice)
    return engine
