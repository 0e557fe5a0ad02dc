"""The engine in other surroundings: control groups of version 2, or none mounted; a user namespace."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.engine_scene import Scene

pytestmark = pytest.mark.e2e

# As in a container of an ordinary user (rootless podman): root of a user namespace with a range of ids.
MAPPED = ["unshare", "--user", "--map-root-user", "--map-auto", "--mount"]
# As in a container that was given no range.
ONE_ID = ["unshare", "--user", "--map-root-user", "--mount"]


def without_mounts(then: str) -> Callable[[list[str]], list[str]]:
    """The program in a mount namespace without control groups, after a further command."""
    script = f'umount -l -R /sys/fs/cgroup; {then}; exec "$@"'
    return lambda argv: ["unshare", "--mount", "sh", "-c", script, "sh", *argv]


@pytest.mark.needs_root
def test_control_groups_of_version_2_are_used_and_removed(own_scene: Scene) -> None:
    own_scene.write_sleep()
    only_v2 = without_mounts("mount -t cgroup2 none /sys/fs/cgroup")
    with own_scene.start(wrap=only_v2) as running:
        running.wait_for_step()
        identifier = Path(running.facts["runtime"]).name
        (step, *_) = running.found(f"sleep {own_scene.token}")
        groups = Path(f"/proc/{step}/cgroup").read_text().splitlines()
        assert [line for line in groups if line.startswith(f"0::/ocibuild-{identifier}/")]
        running.process.kill()
        running.is_gone()


FOREIGN = """
[grpc]
address = ["tcp://0.0.0.0:1"]
gid = 1
[grpc.tls]
cert = "/nowhere.pem"
key = "/nowhere.pem"
[worker.oci]
enabled = false
"""


@pytest.mark.needs_root
@pytest.mark.parametrize("text", [FOREIGN, "no TOML = ["], ids=["another daemon's", "broken"])
def test_the_configuration_of_another_buildkit_in_etc_changes_nothing(scene: Scene, text: str) -> None:
    """buildkitd takes the defaults of its flags from there, whatever `--config` says."""
    foreign = scene.directory / "etc"
    foreign.mkdir()
    (foreign / "buildkitd.toml").write_text(text)
    (foreign / "cni.json").write_text("no JSON")
    over = scene.directory / "over"
    make_etc = (
        f"mkdir -p {over} && mount -t tmpfs none {over} && mkdir {over}/up {over}/work &&"
        f" mount -t overlay -o lowerdir=/etc,upperdir={over}/up,workdir={over}/work none /etc &&"
        f' cp -r {foreign} /etc/buildkit && exec "$@"'
    )
    running = scene.build(surround=lambda argv: ["unshare", "--mount", "sh", "-c", make_etc, "sh", *argv])

    running.succeeded().is_gone(within=0)
    assert (foreign / "buildkitd.toml").read_text() == text


@pytest.mark.needs_root
def test_where_no_v1_hierarchy_is_mounted_it_is_mounted_for_the_engine_alone(own_scene: Scene) -> None:
    own_scene.write_sleep()
    with own_scene.start(wrap=without_mounts("true")) as running:
        running.wait_for_step()
        mounted = Path(f"/proc/{running.process.pid}/mountinfo").read_text()
        assert " /sys/fs/cgroup" not in mounted
        (step, *_) = running.found(f"sleep {own_scene.token}")
        assert f"/ocibuild-{Path(running.facts['runtime']).name}/" in Path(f"/proc/{step}/cgroup").read_text()
        running.process.kill()
        running.is_gone()


def test_root_of_a_user_namespace_builds_and_leaves_nothing(make_scene: Callable[[str], Scene]) -> None:
    scene = make_scene("ordinary")
    running = scene.build(wrap=lambda argv: [*MAPPED, *argv]).succeeded().is_gone(within=0)
    assert running.facts["notices"] == []
    scene.write_sleep()
    with scene.start(wrap=lambda argv: [*MAPPED, *argv]) as running:
        running.wait_for_step()
        running.process.kill()
        running.is_gone()


def test_root_of_a_user_namespace_with_too_few_ids_is_warned(make_scene: Callable[[str], Scene]) -> None:
    scene = make_scene("ordinary")
    running = scene.build(wrap=lambda argv: [*ONE_ID, *argv])
    (notice,) = running.facts["notices"]
    assert "has 1 of 65536 ids" in notice
    running.is_gone(within=0)


def test_a_signal_that_a_parent_left_blocked_ends_it(own_scene: Scene) -> None:
    own_scene.write_sleep()
    with own_scene.start(wrap=lambda argv: ["env", "--block-signal=TERM", *argv]) as running:
        running.wait_for_step()
        running.process.send_signal(signal.SIGTERM)
        assert running.wait() == 128 + signal.SIGTERM


@pytest.mark.parametrize("closed", ["<&-", "<&- >&- 2>&-"])
def test_a_parent_that_closed_our_files_does_no_harm(own_scene: Scene, closed: str) -> None:
    own_scene.write("RUN sleep 1.5")  # a keeper that takes us for dead would end the daemon after a second
    script = f'exec {closed}; exec "$@"'
    with own_scene.start(wrap=lambda argv: ["sh", "-c", script, "sh", *argv]) as running:
        running.wait_for_fact("ready")
        keeper = running.facts["keeper"]
        locks = {str(path.readlink()) for path in Path(f"/proc/{keeper}/fd").iterdir()}
        assert f"{own_scene.state}/lock" in locks
        running.wait()
    assert running.facts.get("code") == 0, (running.facts, running.text)
    running.is_gone(within=0)


def test_a_parent_that_had_us_ignore_our_childrens_ends_does_no_harm(own_scene: Scene) -> None:
    script = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    own_scene.write("RUN exit 3")
    running = own_scene.build(wrap=lambda argv: [sys.executable, "-c", script, *argv])
    assert running.facts.get("code") == 1, running.facts
    running.is_gone(within=0)
