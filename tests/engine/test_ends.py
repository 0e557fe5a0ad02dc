"""However it ends, nothing stays: no process, mount, control group, container or directory."""

from __future__ import annotations

import os
import secrets
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.footprint import left_mounts, mounts

if TYPE_CHECKING:
    from support.engine_scene import Running, Scene

pytestmark = pytest.mark.e2e

RANDOM_KILLS = 5


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def has_cgroups(scene: Scene) -> bool:
    """Whether the steps have control groups: an ordinary user may make none."""
    return scene.user is None and os.geteuid() == 0


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 6.0
    while is_alive(pid):
        assert time.monotonic() < deadline, f"{pid} does not end"
        time.sleep(0.01)


def test_killing_the_program_in_the_middle_of_a_step_leaves_nothing(scene: Scene) -> None:
    scene.write_sleep()
    with scene.start() as running:
        running.wait_for_step()
        kinds = {line.split()[0] for line in running.left()}
        assert kinds >= {"process", "keeper", "directory", *(["cgroup"] if has_cgroups(scene) else [])}
        running.process.kill()
        running.is_gone()
    scene.write("RUN echo built")
    scene.build().succeeded()


@pytest.mark.parametrize("types", [(), ("gha",)])
def test_killing_the_program_leaves_no_history_that_holds_a_token(scene: Scene, types: tuple[str, ...]) -> None:
    scene.write_sleep()
    with scene.start(settings={"cache_types": types}) as running:
        running.wait_for_step()
        assert (scene.state / "root" / "history.db").exists()
        running.process.kill()
        running.is_gone()
    assert (scene.state / "root" / "history.db").exists() is not bool(types)


def test_killing_the_program_at_random_moments_leaves_nothing(scene: Scene) -> None:
    scene.build().succeeded()
    for _ in range(RANDOM_KILLS):
        scene.write(f"RUN echo {secrets.token_hex()}; head -c 3000000 /dev/urandom > /file; sleep 0.2")
        with scene.start() as running:
            running.wait_for_fact("runtime")
            time.sleep(secrets.randbelow(800) / 1000)
            running.process.kill()
            running.is_gone()
    assert scene.build().succeeded().facts["notices"] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order_within_five_seconds(scene: Scene, number: signal.Signals) -> None:
    scene.write_sleep()
    with scene.start() as running:
        running.wait_for_step()
        started = time.monotonic()
        running.process.send_signal(number)
        assert running.wait() == 128 + number
        assert time.monotonic() - started < 5
        running.is_gone(within=0)
    assert "context canceled" in running.text


def test_a_signal_to_the_whole_group_as_a_terminal_sends_it_is_no_worse(scene: Scene) -> None:
    scene.write_sleep()
    with scene.start() as running:
        running.wait_for_step()
        started = time.monotonic()
        os.killpg(running.process.pid, signal.SIGINT)
        assert running.wait() == 128 + signal.SIGINT
        assert time.monotonic() - started < 5
        running.is_gone(within=0)


@pytest.mark.parametrize("after", [0.0, 0.02, 0.05, 0.1])
def test_a_signal_while_it_starts_ends_it_at_once(scene: Scene, after: float) -> None:
    with scene.start(pause=60) as running:
        running.wait_for_fact("runtime")
        time.sleep(after)
        started = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        assert running.wait() == 128 + signal.SIGTERM
        assert time.monotonic() - started < 20
        running.is_gone(within=0)


def test_a_daemon_that_dies_in_a_step_ends_the_build_at_once_with_its_log(scene: Scene) -> None:
    scene.write_sleep()
    with scene.start() as running:
        running.wait_for_step()
        started = time.monotonic()
        os.kill(running.one("buildkitd", "--config="), signal.SIGKILL)
        assert running.wait() == 5
        assert time.monotonic() - started < 20
        running.is_gone(within=1)
    error = running.facts["error"]
    assert error.startswith("the engine ended during the build (")
    assert f"the last lines of {scene.state}/buildkitd.log" in error
    assert "running server on" in error


def test_killing_the_keeper_ends_the_build_and_leaves_nothing(scene: Scene) -> None:
    scene.write_sleep()
    with scene.start() as running:
        running.wait_for_step()
        os.kill(running.facts["keeper"], signal.SIGKILL)
        assert running.wait() == 5
        running.is_gone()
    assert "keeper was killed during the build" in running.facts["error"]


def test_killing_program_and_keeper_leaves_only_what_the_next_build_removes(scene: Scene) -> None:
    scene.write_sleep()
    with scene.start() as running:
        running.wait_for_step()
        with scene.start() as other:  # with a throw-away cache
            other.wait_for(b"begun")
            for each in (running, other):
                os.kill(each.facts["keeper"], signal.SIGSTOP)
                each.process.kill()
                os.kill(each.facts["keeper"], signal.SIGKILL)
            for each in (running, other):
                wait_until_gone(each.facts["keeper"])
    assert Path(running.facts["runtime"]).exists()
    scene.write("RUN echo built")
    scene.build().succeeded()
    running.is_gone()
    other.is_gone()


def test_a_killed_client_is_no_failure_of_the_build(scene: Scene) -> None:
    scene.write_sleep()
    with scene.start() as running:
        running.wait_for_step()
        os.kill(running.one("buildctl"), signal.SIGKILL)
        assert running.wait() == 5
        running.is_gone(within=0)
    assert running.facts["error"].startswith("buildctl was ended by SIGKILL")


def test_the_machines_mounts_stay_as_they_are(scene: Scene) -> None:
    before = mounts()
    scene.write_sleep()
    with scene.start() as running:
        running.wait_for_step()
        assert left_mounts(before, scene.directory) == set()
        running.process.send_signal(signal.SIGTERM)
        running.wait()


def test_nobody_waits_for_the_keeper_to_let_go_of_the_output(scene: Scene) -> None:
    """A reader of the program's output sees its end when the program is killed, not when all is cleaned up."""
    scene.write_sleep()
    with scene.start() as running:
        running.wait_for_step()
        assert no_write_end_in(running, running.facts["keeper"])


def no_write_end_in(running: Running, pid: int) -> bool:
    assert running.process.stdout is not None
    pipe = Path(f"/proc/self/fd/{running.process.stdout.fileno()}").readlink()
    return pipe not in {path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir()}
