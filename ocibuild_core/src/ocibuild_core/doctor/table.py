"""All checks, in the order in which they are told."""

from __future__ import annotations

from ocibuild_core.doctor import engine
from ocibuild_core.doctor.cgroups import look_at_cgroups
from ocibuild_core.doctor.checks import Check, fine
from ocibuild_core.doctor.docker import look_at_docker_config
from ocibuild_core.doctor.machine import (
    look_at_confinement,
    look_at_ids,
    look_at_privilege,
    look_at_user_namespaces,
)
from ocibuild_core.doctor.plugged import look_at_logins, look_at_plugins, look_at_providers
from ocibuild_core.doctor.reach import look_at_clock, look_at_names, look_at_proxies, look_at_registries
from ocibuild_core.doctor.storage import look_at_overlay, look_at_private_directory, look_at_room, look_at_state
from ocibuild_core.errors import BuildError, CredentialError, EngineError, PluginError, UsageError

SETTINGS = "settings"
CHECKS = (
    Check(
        name=SETTINGS,
        looks_at="arguments, environment and files of settings can be read",
        kind=UsageError,
        look=lambda scene: () if scene.complaints else [fine("read")],
    ),
    Check(
        name="privilege",
        looks_at="root, an ordinary user with all that rootless BuildKit needs, or neither",
        kind=EngineError,
        look=look_at_privilege,
        is_of_own_engine=True,
    ),
    Check(
        name="ids",
        looks_at="`/etc/subuid` and `/etc/subgid`, mapped by `newuidmap` and `newgidmap` (ordinary user)",
        kind=EngineError,
        look=look_at_ids,
        is_of_own_engine=True,
    ),
    Check(
        name="userns",
        looks_at="a user namespace is made; `user.max_user_namespaces`, `kernel.unprivileged_userns_clone` "
        "(ordinary user)",
        kind=EngineError,
        look=look_at_user_namespaces,
        is_of_own_engine=True,
    ),
    Check(
        name="confinement",
        looks_at="mount and process namespaces and a `/proc` are made under seccomp, AppArmor and `no_new_privs`",
        kind=EngineError,
        look=look_at_confinement,
        is_of_own_engine=True,
    ),
    Check(
        name="cgroups",
        looks_at="version, controllers, and whether a group can be made (root)",
        kind=EngineError,
        look=look_at_cgroups,
        is_of_own_engine=True,
    ),
    Check(
        name="state",
        looks_at="the directory that keeps the engine's cache",
        kind=EngineError,
        look=look_at_state,
        is_of_own_engine=True,
    ),
    Check(
        name="overlay",
        looks_at="overlayfs is mounted in the state directory",
        kind=EngineError,
        look=look_at_overlay,
        is_of_own_engine=True,
    ),
    Check(
        name="room",
        looks_at="free space and files in the state directory and the temporary directory",
        kind=EngineError,
        look=look_at_room,
    ),
    Check(
        name="private place",
        looks_at="a place for what only the build may see: closed to others, not `noexec`, with a short path",
        kind=UsageError,
        look=look_at_private_directory,
    ),
    Check(name="plugins", looks_at="every plugin and its state", kind=PluginError, look=look_at_plugins),
    Check(name="logins", looks_at="the options of the logins that are named", kind=UsageError, look=look_at_logins),
    Check(
        name="providers",
        looks_at="what plugins say of their surroundings: AWS's metadata service and its hop limit, Google's",
        kind=CredentialError,
        look=look_at_providers,
    ),
    Check(
        name="docker config",
        looks_at="docker's and podman's configs: readable, well-formed (else 2), closed to others, helpers installed",
        kind=CredentialError,
        look=look_at_docker_config,
    ),
    Check(
        name="proxy", looks_at="each proxy of the environment takes connections", kind=BuildError, look=look_at_proxies
    ),
    Check(name="dns", looks_at="the registries (or their proxy) have addresses", kind=BuildError, look=look_at_names),
    Check(
        name="registry",
        looks_at="each registry answers `/v2/`, by the way and the certificates that a build would use",
        kind=BuildError,
        look=look_at_registries,
    ),
    Check(
        name="clock",
        looks_at="this machine's time against the registries' `Date`: 30 s is worth a warning, 5 min a failure",
        kind=CredentialError,
        look=look_at_clock,
    ),
    Check(name=engine.NAME, looks_at=engine.LOOKS_AT, kind=EngineError, look=lambda _: ()),
)
"""The engine's is told last, by `EngineCheck`: it starts before any thread, and gets ready while the others look."""
