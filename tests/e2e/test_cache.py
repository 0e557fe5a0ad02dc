"""Caches that outlive the engine's own: the directory `cache/`, and those in registries."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_testkit.registry import NoAuth, PasswordAuth, RegistryServer, busybox_files
from support.programs import PROGRAMS, ProgramRunner, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.e2e


@pytest.fixture
def work(sandbox: Path, registry: RegistryServer) -> Path:
    """A directory with `image/` and a Dockerfile whose one slow step says that it ran."""
    base = registry.push_image("cached/base:1", files=busybox_files())
    directory = sandbox / "work"
    (directory / "image").mkdir(parents=True)
    (directory / "Dockerfile").write_text(
        f"FROM {base.reference} AS tools\nARG WHO=nobody\nRUN echo the step of $WHO > /made; cat /made\n"
        "FROM scratch\nCOPY --from=tools /made /made\n"
    )
    return directory


@pytest.fixture
def fresh(work: Path, run: ProgramRunner, sandbox: Path) -> Callable[..., Run]:
    """Builds with an engine that remembers nothing."""
    number = iter(range(100))

    def build(*argv: str, env: dict[str, str] | None = None) -> Run:
        state = str(sandbox / f"state-{next(number)}")
        return run("build", "--state-dir", state, *argv, ".", cwd=work, env=env)

    return build


def ran(result: Run, who: str = "nobody") -> bool:
    """Whether the step was run, and not found in a cache."""
    return f"the step of {who}\n" in result.succeeded().stdout


def test_without_the_directory_every_engine_runs_the_step(fresh: Callable[..., Run]) -> None:
    assert ran(fresh())
    assert ran(fresh())


def test_the_directory_carries_steps_to_the_next_engine(work: Path, fresh: Callable[..., Run]) -> None:
    (work / "cache").mkdir()
    assert ran(fresh())
    (work / "image" / "image.tar").unlink()
    second = fresh()
    assert not ran(second)
    assert "CACHED" in second.stdout
    assert second.stdout.startswith("#1 "), "what the client says of its cache's file system is for nobody"
    assert (work / "image" / "image.tar").exists()


def test_a_directory_below_other_letters_does_as_well(work: Path, run: ProgramRunner, sandbox: Path) -> None:
    elsewhere = work.rename(sandbox / "jürgen")
    (elsewhere / "cache").mkdir()
    caches = ("--cache-to", "type=local,dest=more", "--cache-from", "type=local,src=more")
    first = run("build", "--state-dir", str(sandbox / "one"), *caches, ".", cwd=elsewhere)
    assert ran(first)
    assert (elsewhere / "more" / "index.json").exists()
    assert not ran(run("build", "--state-dir", str(sandbox / "two"), *caches, ".", cwd=elsewhere))


def test_two_branches_that_take_turns_both_find_their_steps(work: Path, fresh: Callable[..., Run]) -> None:
    (work / "cache").mkdir()
    for who in ("one", "two"):
        assert ran(fresh("--build-arg", f"WHO={who}"), who)
    for who in ("one", "two", "one"):
        assert not ran(fresh("--build-arg", f"WHO={who}"), who)


def test_the_bound_is_kept(work: Path, fresh: Callable[..., Run]) -> None:
    (work / "cache").mkdir()
    fresh("--build-arg", "WHO=one").succeeded()
    size = sum(path.stat().st_size for path in (work / "cache").rglob("*") if path.is_file())
    for who in ("two", "three"):
        result = fresh("--build-arg", f"WHO={who}", "--cache-size", str(size + 500)).succeeded()
    assert "1 older dropped" in result.stderr
    assert len(json.loads((work / "cache" / "index.json").read_bytes())["manifests"]) == 1
    kept = sum(path.stat().st_size for path in (work / "cache" / "blobs").rglob("*") if path.is_file())
    assert kept <= size + 500
    assert not ran(fresh("--build-arg", "WHO=three", "--cache-size", str(size + 500)), "three")


def test_a_cache_that_is_too_large_is_said(work: Path, fresh: Callable[..., Run]) -> None:
    (work / "cache").mkdir()
    result = fresh(env={"OCIBUILD_CACHE_SIZE": "1kB"}).succeeded()
    assert "cache/ takes in nothing" in result.stderr
    assert fresh("--cache-size", "much").ended_with(2).stdout == ""


def test_additional_targets_feed_the_same_cache(work: Path, fresh: Callable[..., Run]) -> None:
    (work / "cache").mkdir()
    (work / "tools").mkdir()
    assert ran(fresh(env={"ADDITIONAL_TARGETS": "tools"}))
    assert not ran(fresh(env={"ADDITIONAL_TARGETS": "tools"}))
    assert (work / "tools" / "image.tar").exists()


@pytest.fixture
def mounted(work: Path) -> Iterator[Path]:
    """`cache/` as a mount point, as Concourse makes it."""
    (work / "cache").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", work / "cache"], check=True)
    yield work / "cache"
    subprocess.run(["umount", work / "cache"], check=True)


@pytest.mark.mounts
def test_a_mount_point_is_filled_in_place(mounted: Path, fresh: Callable[..., Run]) -> None:
    assert ran(fresh())
    assert not ran(fresh())
    assert sorted(path.name for path in mounted.iterdir()) == ["blobs", "index.json", "oci-layout"]


def test_a_damaged_cache_is_no_harm(work: Path, fresh: Callable[..., Run]) -> None:
    (work / "cache").mkdir()
    fresh().succeeded()
    for path in (work / "cache" / "blobs" / "sha256").iterdir():
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:10])
    assert ran(fresh())
    assert not ran(fresh())


def test_a_byte_that_turned_fails_one_build(
    work: Path, run: ProgramRunner, fresh: Callable[..., Run], sandbox: Path
) -> None:
    (work / "cache").mkdir()
    fresh().succeeded()
    for path in (work / "cache" / "blobs" / "sha256").iterdir():
        content = bytearray(path.read_bytes())
        if content.startswith(b"\x1f\x8b"):
            content[-1] ^= 1
            path.chmod(0o644)  # BuildKit's client leaves them read-only
            path.write_bytes(content)
    state = ("--state-dir", str(sandbox / "state"))
    failed = run("build", *state, ".", cwd=work).ended_with(1)
    assert "error: cache/ held something damaged" in failed.stderr
    assert "unexpected commit digest" in failed.stderr
    assert ran(run("build", *state, ".", cwd=work))
    assert not ran(fresh())


def test_killed_in_mid_build_the_cache_serves_the_next(
    work: Path, run: ProgramRunner, fresh: Callable[..., Run]
) -> None:
    (work / "cache").mkdir()
    fresh().succeeded()
    slow = (work / "Dockerfile").read_text().replace("FROM scratch", "RUN sleep 60\nFROM scratch")
    (work / "Slow").write_text(slow.replace("COPY --from", "COPY Slow /\nCOPY --from"))
    with subprocess.Popen(
        [PROGRAMS / "build", "-f", "Slow"],
        cwd=work,
        env=run.env(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + 60
        while not list(work.parent.glob(".ocibuild-*/*/blobs")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not ran(fresh())
    assert sorted(path.name for path in (work / "cache").iterdir()) == ["blobs", "index.json", "oci-layout"]


def test_a_cache_in_a_registry_is_exported_and_imported(fresh: Callable[..., Run], registry: RegistryServer) -> None:
    reference = registry.reference("caches/one:latest")
    assert ran(fresh("--cache-to", f"type=registry,ref={reference},mode=max"))
    assert ran(fresh())
    assert not ran(fresh("--cache-from", reference))


def test_an_inline_cache_travels_with_the_image(fresh: Callable[..., Run], registry: RegistryServer) -> None:
    name = registry.reference("inline/one:1")
    assert isinstance(registry.auth, NoAuth)
    assert ran(fresh("--target", "tools", "--push", "-t", name, "--cache-to", "type=inline"))
    assert not ran(fresh("--target", "tools", "--cache-from", f"type=registry,ref={name}"))


def test_the_registry_of_a_cache_is_logged_in_to(
    fresh: Callable[..., Run], work: Path, tls_registry: RegistryServer
) -> None:
    assert isinstance(tls_registry.auth, PasswordAuth)
    (work / "image").rmdir()
    reference = tls_registry.reference("caches/two:latest")
    env = {"REGISTRY_CA": f"{tls_registry.address}={tls_registry.ca_file}"}
    fresh("--cache-to", reference, env=env).ended_with(3)
    env |= {"LOGIN": "PASS", "PASS": f"alice:{tls_registry.auth.users['alice']}", "REG_URL": tls_registry.url}
    assert "--cache-to" in fresh("--explain", "--cache-to", reference, env=env).succeeded().stdout
    result = fresh("--cache-to", f"type=registry,ref={reference},mode=max", env=env).succeeded()
    assert f"login  {tls_registry.address}: " in result.stderr
    assert not ran(fresh("--cache-from", reference, env=env))


@pytest.mark.parametrize("form", ["true", "false"])
def test_what_buildkit_itself_wrote_there_is_taken_over(work: Path, fresh: Callable[..., Run], form: str) -> None:
    assert ran(fresh("--cache-to", f"type=local,dest=cache,mode=max,image-manifest={form}"))
    assert (work / "cache" / "index.json").exists()
    assert not ran(fresh())
    assert not ran(fresh())


def test_buildkit_itself_reads_what_is_there(work: Path, fresh: Callable[..., Run]) -> None:
    (work / "cache").mkdir()
    assert ran(fresh())
    (work / "cache").rename(work / "elsewhere")
    assert ran(fresh())
    assert not ran(fresh("--cache-from", "type=local,src=elsewhere"))


@pytest.mark.parametrize("login", [{}, {"LOGIN": "PASS", "PASS": "alice:wrong"}], ids=["nobody", "wrong password"])
def test_a_step_that_fails_is_not_blamed_on_a_cache_that_could_not_be_read(
    login: dict[str, str], fresh: Callable[..., Run], work: Path, tls_registry: RegistryServer
) -> None:
    (work / "Dockerfile").write_text("FROM scratch\nCOPY nothing-there /\n")
    env = {"REGISTRY_CA": f"{tls_registry.address}={tls_registry.ca_file}", "REG_URL": tls_registry.url, **login}
    result = fresh("--cache-from", tls_registry.reference("caches/none:1"), env=env).ended_with(1)
    assert "401 Unauthorized" in result.stdout
    assert "the build failed at '[1/1] COPY nothing-there /'\n" in result.stderr
    assert "importing cache" not in result.stderr
    assert "refused the login" not in result.stderr
