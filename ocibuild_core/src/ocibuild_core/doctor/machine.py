"""Whether this user may run BuildKit here: privileges, ids, namespaces, and what keeps them away."""

from __future__ import annotations

import contextlib
import pwd
from typing import TYPE_CHECKING

from ocibuild_core.child_environment import search_path
from ocibuild_core.doctor.checks import failure, fine, one_line, warning
from ocibuild_core.engine import rootless
from ocibuild_core.engine.find import find_programs
from ocibuild_core.engine.privileges import IDS_NEEDED, check_root, few_ids_notice, is_mapped_root, remedy_of_root
from ocibuild_core.engine.rootless import Lack
from ocibuild_core.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ocibuild_core.diagnostics import Finding
    from ocibuild_core.doctor.scene import Scene

_OTHER_WAYS = "or run as root, or use a BuildKit that runs already: --addr ADDRESS"


def daemon_path(env: Mapping[str, str]) -> str:
    """The PATH that a daemon of ours would have."""
    path = env.get("PATH", "")
    with contextlib.suppress(EngineError):  # the engine's own line tells
        path = search_path(path, first=find_programs(env, is_rootless=True).runc.parent)
    return path


def look_at_privilege(scene: Scene) -> Iterator[Finding]:
    """Root, rootless, or no way at all."""
    if scene.uid:
        yield _ordinary(scene)
        return
    check_root(proc=scene.proc)
    if not is_mapped_root(proc=scene.proc):
        yield fine("root: BuildKit runs directly")
        return
    notice = few_ids_notice(proc=scene.proc)
    if not notice:
        yield fine("root of a user namespace: BuildKit runs directly")
        return
    yield warning(notice, do=f"give the container's user {IDS_NEEDED} ids in /etc/subuid and /etc/subgid")


def look_at_ids(scene: Scene) -> Iterable[Finding]:
    """What maps an ordinary user's subordinate ids."""
    if not scene.uid:
        return [fine("not needed: root has all ids")]
    lacks = _lacking_ids(scene)
    return _failures(lacks) or [fine("newuidmap and newgidmap give what /etc/subuid and /etc/subgid promise")]


def look_at_user_namespaces(scene: Scene) -> Iterator[Finding]:
    """A user namespace, made."""
    if not scene.uid:
        yield fine("not needed: root uses none")
        return
    closed = rootless.closed_switches(scene.proc)
    if closed:
        yield from _failures(closed)
        return
    refusal = scene.namespaces if isinstance(scene.namespaces, str) else scene.namespaces["user"]
    if not refusal:
        yield fine("one was made")
        return
    remedy = rootless.remedy(refusal, proc=scene.proc) or f"as root: {rootless.MORE_NAMESPACES}"
    yield failure("none can be made", why=refusal, do=f"{remedy}\n{_OTHER_WAYS}")


def look_at_confinement(scene: Scene) -> Iterator[Finding]:
    """Namespaces and mounts as the engine makes them, under seccomp and the security modules."""
    facts = ", ".join(_confinement(scene))
    covered = rootless.covered_proc(scene.proc) if scene.uid else []
    if scene.uid:
        yield from _failures([*rootless.no_new_privileges(scene.proc), *covered])
    if covered:
        return  # the next would tell the same in the kernel's words
    if isinstance(scene.namespaces, str):
        yield failure("namespaces and mounts could not be tried", why=scene.namespaces, do=_remedy(scene, ""))
    elif scene.namespaces["user"]:
        yield fine(f"mounts were not tried without a user namespace; {facts}")
    elif scene.namespaces["mounts"]:
        why = f"{scene.namespaces['mounts']}; {facts}"
        yield failure("namespaces and mounts are refused", why=why, do=_remedy(scene, scene.namespaces["mounts"]))
    else:
        yield fine(f"namespaces and mounts are allowed; {facts}")


def _ordinary(scene: Scene) -> Finding:
    lacks = [
        *_lacking_ids(scene),
        *rootless.closed_switches(scene.proc),
        *rootless.no_new_privileges(scene.proc),
        *rootless.covered_proc(scene.proc),
    ]
    who = f"{_name(scene.uid)} (uid {scene.uid})"
    if not lacks:
        return fine(f"the ordinary user {who}: BuildKit runs through rootlesskit")
    return failure(
        f"the ordinary user {who} cannot run BuildKit here",
        why="\n".join(lack.reason for lack in lacks),
        do=f"mend what the next lines name, {_OTHER_WAYS}",
    )


def _lacking_ids(scene: Scene) -> list[Lack]:
    lacks = [*rootless.missing_programs(daemon_path(scene.env)), *rootless.missing_ids(scene.uid, scene.etc)]
    refusal = "" if isinstance(scene.namespaces, str) else scene.namespaces["ids"]
    if lacks or not refusal:
        return lacks
    return [
        Lack(
            f"the ids cannot be mapped: {one_line(refusal)}",
            "give this container's user namespace those ids as well",
            is_of_container=True,
        )
    ]


def _failures(lacks: list[Lack]) -> list[Finding]:
    return [
        failure(lack.reason, do=lack.remedy if lack.is_of_container else f"as root: {lack.remedy}") for lack in lacks
    ]


def _confinement(scene: Scene) -> Iterator[str]:
    """What confines this process (proc_pid_status(5); apparmor(7))."""
    status = rootless.text_of(scene.proc / "self" / "status")
    seccomp = next((line.split()[1] for line in status.splitlines() if line.startswith("Seccomp:")), "0")
    yield "no seccomp filter" if seccomp == "0" else "a seccomp filter"
    profile = rootless.text_of(scene.proc / "self" / "attr" / "apparmor" / "current").strip()
    yield f"AppArmor profile {profile}" if profile else "no AppArmor"
    if rootless.is_restricted_by_apparmor(scene.proc):
        yield "AppArmor restricts user namespaces"


def _remedy(scene: Scene, text: str) -> str:
    known = rootless.remedy(text, proc=scene.proc) if scene.uid else remedy_of_root(text)
    return known or f"start the container privileged, {_OTHER_WAYS}"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "without a name"
