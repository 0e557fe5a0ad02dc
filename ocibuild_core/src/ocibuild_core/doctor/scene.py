"""What the checks look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocibuild_core.auth.boundary import GuardedProvider
    from ocibuild_core.auth.login import LoginSettings
    from ocibuild_core.catalog import Catalog
    from ocibuild_core.clock import Clock
    from ocibuild_core.doctor.attempts import Namespaces, StateRefusal, StateReport
    from ocibuild_core.doctor.network import Network
    from ocibuild_core.errors import OcibuildError
    from ocibuild_core.settings.model import BuildSettings


class Scene(NamedTuple):
    """A machine, a user, and what the user set.

    Args:
        settings: of the build that would be; what is malformed in them has its default.
        complaints: what is malformed.
        env: the user's environment.
        clock: where time comes from.
        uid: the user.
        catalog: what is installed.
        login: what the user said about logins.
        providers: every provider behind its wall, by its name.
        network: the registries that a build would ask, and what they say.
        namespaces: how the trial of namespaces went, or why it gave no result.
        state: how the trial of the state directory went, or why it gave no result; empty where none is needed.
        proc: the kernel's view of this process and its settings.
        etc: the directory of subuid and subgid.
        cgroups: where control groups are mounted.
    """

    settings: BuildSettings
    complaints: tuple[OcibuildError, ...]
    env: Mapping[str, str]
    clock: Clock
    uid: int
    catalog: Catalog
    login: LoginSettings
    providers: Mapping[str, GuardedProvider]
    network: Network
    namespaces: Namespaces | str
    state: StateReport | StateRefusal | str
    proc: Path = Path("/proc")
    etc: Path = Path("/etc")
    cgroups: Path = Path("/sys/fs/cgroup")
