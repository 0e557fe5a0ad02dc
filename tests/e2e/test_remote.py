"""A BuildKit elsewhere: over mutual TLS on loopback, with the wrong certificate, and one that goes away."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_buildkit import binary
from ocibuild_testkit.registry import Authority, PasswordAuth, RegistryServer, busybox_files
from support.mapped_root import as_mapped_root, remove_tree
from support.programs import PROGRAMS, ProgramRunner

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e

_START = 'mkdir -p /run/runc && mount -t tmpfs tmpfs /run/runc && exec "$0" "$@"'
_START_ROOTLESS = 'exec "$0" --oci-worker-rootless "$@"'


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """A buildkitd behind mutual TLS. `certificates` is a client's `--tlsdir`."""

    process: subprocess.Popen[bytes]
    address: str
    certificates: Path

    def kill(self) -> None:
        """End it with all that runs in it: its process namespace goes with it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def write_client(authority: Authority, trusted: Authority, directory: Path) -> Path:
    """A directory for `--tlsdir`: a certificate of `authority`, and trust in `trusted`."""
    directory.mkdir()
    client = authority.issue_for_client("builder")
    (directory / "ca.pem").write_bytes(trusted.pem)
    (directory / "cert.pem").write_bytes(client.certificate)
    (directory / "key.pem").write_bytes(client.key)
    return directory


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def daemon(sandbox: Path, authority: Authority, tls_registry: RegistryServer) -> Iterator[Daemon]:
    """A buildkitd of somebody else's, in namespaces of its own, so that nothing of it remains."""
    is_root = os.geteuid() == 0
    place = sandbox / "daemon"
    place.mkdir()
    certificate, key = authority.issue(["127.0.0.1"]).write(place)
    configuration = place / "buildkitd.toml"
    configuration.write_text(tls_registry.buildkitd_toml())
    programs = binary("buildkitd").parent
    command = [
        *as_mapped_root("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"),
        *("sh", "-c", _START if is_root else _START_ROOTLESS, str(programs / "buildkitd")),
        *("--addr", "tcp://127.0.0.1:0", "--root", str(place / "state"), "--config", str(configuration)),
        *("--tlscacert", str(authority.write(place / "ca.pem")), "--tlscert", str(certificate), "--tlskey", str(key)),
        *("--otel-socket-path", str(place / "otel.sock")),
    ]
    log = place / "log"
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(place), "XDG_RUNTIME_DIR": str(place)}
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield Daemon(
            process=process,
            address=f"tcp://{_listening(log, process)}",
            certificates=write_client(authority, authority, sandbox / "tls"),
        )
    finally:
        process.kill()
        process.wait()
        remove_tree(place)


def _listening(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"running server on (127\.0\.0\.1:\d+)", log.read_text())
        if found:
            return found[1]
        time.sleep(0.02)
    pytest.fail(f"buildkitd does not listen:\n{log.read_text()}", pytrace=False)


@pytest.fixture
def work(sandbox: Path) -> Path:
    """A directory with a Dockerfile that needs nobody, and `image/` with the outputs of an earlier build."""
    directory = sandbox / "work"
    (directory / "image").mkdir(parents=True)
    for name in ("digest", "image.tar"):
        (directory / "image" / name).write_text("earlier")
    (directory / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (directory / "busybox").chmod(0o755)
    (directory / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    return directory


def flags(daemon: Daemon, certificates: Path | None = None) -> tuple[str, ...]:
    return "--addr", daemon.address, "--tlsdir", str(certificates or daemon.certificates)


def earlier(work: Path) -> bool:
    """Whether `image/` is as it was."""
    return {path.name: path.read_text() for path in (work / "image").iterdir()} == {
        "digest": "earlier",
        "image.tar": "earlier",
    }


def test_a_build_over_mutual_tls(work: Path, run: ProgramRunner, daemon: Daemon) -> None:
    run("build", *flags(daemon), ".", cwd=work).succeeded()
    assert (work / "image" / "digest").read_text().startswith("sha256:")
    certificates = daemon.certificates
    env = {
        "BUILDKIT_HOST": daemon.address,
        "BUILDKIT_TLS_CACERT": str(certificates / "ca.pem"),
        "BUILDKIT_TLS_CERT": str(certificates / "cert.pem"),
        "BUILDKIT_TLS_KEY": str(certificates / "key.pem"),
    }
    assert "CACHED" in run("build", env=env, cwd=work).succeeded().stdout
    assert daemon.process.poll() is None


def test_without_or_with_a_wrong_certificate_nothing_is_built(
    work: Path, run: ProgramRunner, daemon: Daemon, authority: Authority, sandbox: Path
) -> None:
    stranger = write_client(Authority("stranger"), authority, sandbox / "stranger")
    deceived = write_client(authority, Authority("stranger"), sandbox / "deceived")
    only_ca = ("--addr", daemon.address, "--tlscacert", str(daemon.certificates / "ca.pem"))
    for argv, do in (
        (("--addr", daemon.address), "--tlsdir"),
        (only_ca, "give one of a CA that it trusts with --tlscert and --tlskey"),
        (flags(daemon, stranger), "give one of a CA that it trusts with --tlscert and --tlskey"),
        (flags(daemon, deceived), "name the CA that signed the daemon's certificate: --tlscacert FILE"),
        ((*flags(daemon), "--tlsservername", "other"), "say which name is in the daemon's certificate"),
    ):
        result = run("build", *argv, "--start-timeout", "5s", ".", cwd=work).ended_with(5)
        assert f"the BuildKit at {daemon.address} cannot be reached" in result.stderr
        assert do in result.stderr.partition("\n  do     ")[2], result.stderr
    assert "certificate" in result.stderr
    assert earlier(work)


def test_without_tls_to_a_daemon_that_wants_it_the_flags_for_it_are_named(
    work: Path, run: ProgramRunner, daemon: Daemon
) -> None:
    result = run("build", "--addr", daemon.address, ".", cwd=work).ended_with(5)
    assert "as a daemon does that wants TLS: give --tlsdir" in result.stderr
    assert earlier(work)


def test_an_entitlement_that_the_daemon_does_not_allow_is_told_with_where_to_allow_it(
    work: Path, run: ProgramRunner, daemon: Daemon
) -> None:
    result = run("build", *flags(daemon), "--allow", "security.insecure", ".", cwd=work).ended_with(1)
    said = f"see that the BuildKit at {daemon.address} has security.insecure among its insecure-entitlements"
    assert said in result.stderr
    assert earlier(work)


def test_the_program_that_reaches_an_address_is_named(work: Path, run: ProgramRunner) -> None:
    argv = ("build", "--addr", "docker-container://x", ".")
    result = run(*argv, cwd=work, env={"PATH": str(PROGRAMS)}).ended_with(5)
    assert "do     install docker, by which such an address is reached" in result.stderr


def test_a_state_directory_is_none_of_an_engine_elsewhere(work: Path, run: ProgramRunner, daemon: Daemon) -> None:
    result = run("build", *flags(daemon), "--state-dir", "state", ".", cwd=work).ended_with(2)
    assert "cannot be configured from here\n  why    asked for: --state-dir" in result.stderr
    run("build", *flags(daemon), ".", cwd=work, env={"OCIBUILD_STATE_DIR": "state"}).succeeded()


def test_a_missing_file_is_said_before_anything_is_asked(work: Path, run: ProgramRunner, sandbox: Path) -> None:
    result = run("build", "--addr", "tcp://127.0.0.1:1", "--tlsdir", str(sandbox / "no"), ".", cwd=work).ended_with(2)
    assert "--tlsdir: there is no file" in result.stderr


def test_a_daemon_that_goes_away_ends_the_build(work: Path, run: ProgramRunner, daemon: Daemon) -> None:
    (work / "Dockerfile").write_text(
        'FROM scratch\nCOPY busybox /busybox\nRUN ["/busybox", "sh", "-c", "echo has begun; /busybox sleep 600"]\n'
    )
    with subprocess.Popen(
        [PROGRAMS / "build", *flags(daemon), "."],
        cwd=work, env=run.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        said = ""
        while "has begun\n" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        daemon.kill()
        killed = time.monotonic()
        output, errors = process.communicate(timeout=60)
    assert time.monotonic() - killed < 20
    assert process.returncode == 5, output + errors
    assert f"error: the BuildKit at {daemon.address} went away during the build" in errors
    assert earlier(work)


@pytest.mark.parametrize(
    "env",
    [
        {"REGISTRY_MIRRORS": "mirror.example"},
        {"BUILDKIT_EXTRA_CONFIG": "debug = true"},
        {"REGISTRY_CA": "r.example=Dockerfile"},
        {
            "REGISTRY_MIRRORS": "m.example",
            "BUILDKIT_EXTRA_CONFIG": "debug = true",
            "REGISTRY_CA": "r.example=Dockerfile",
        },
    ],
)
def test_settings_of_the_daemon_are_refused_with_an_address(
    work: Path, run: ProgramRunner, env: dict[str, str]
) -> None:
    result = run("build", "--addr", "tcp://127.0.0.1:1", ".", cwd=work, env=env).ended_with(2)
    assert "runs already and cannot be configured from here" in result.stderr
    assert all(name in result.stderr for name in env)
    assert earlier(work)


def test_that_a_password_is_shown_to_the_daemon_is_said(
    work: Path, run: ProgramRunner, daemon: Daemon, tls_registry: RegistryServer
) -> None:
    assert isinstance(tls_registry.auth, PasswordAuth)
    base = tls_registry.push_image("remote/base:1", files=busybox_files())
    (work / "Dockerfile").write_text(f"FROM {base.reference}\n")
    env = {"LOGIN": "PASS", "PASS": f"alice:{tls_registry.auth.users['alice']}", "REG_URL": tls_registry.url}
    result = run("build", *flags(daemon), ".", cwd=work, env=env).succeeded()
    (line,) = [line for line in result.stderr.splitlines() if "is shown the password" in line]
    assert daemon.address in line
    assert line.endswith(tls_registry.address)
    (work / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    assert "is shown the password" not in run("build", *flags(daemon), ".", cwd=work).succeeded().stderr
