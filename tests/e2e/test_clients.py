"""Real clients log in to a real registry through `docker-credential-ocibuild`."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from ocibuild_testkit.registry import Identity, PasswordAuth, TokenAuth, build_image
from support.demo import HELPER, OCIBUILD, Demo
from support.docker import in_docker_format, reads_oci_manifests
from support.go_tools import compiled
from support.missing import need_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ocibuild_testkit.leaks import LeakWatcher
    from ocibuild_testkit.registry import Authority, RegistryServer
    from ocibuild_testkit.registry_fixtures import RegistryFactory

pytestmark = pytest.mark.e2e

IMAGE = "team/base:1"


@pytest.fixture
def password(fresh_secret: Callable[[], str]) -> str:
    return fresh_secret()


@pytest.fixture(params=["password", "token"])
def server(
    request: pytest.FixtureRequest,
    registry_factory: RegistryFactory,
    tls_authority: Authority,
    password: str,
) -> RegistryServer:
    """A registry with TLS that lets `alice` in: with her password, or with tokens that she gets for it."""
    auth = {
        "password": PasswordAuth({"alice": password}),
        "token": TokenAuth([Identity(username="alice", password=password)]),
    }
    # By name: crane sends no credential to a token server whose address is a private one.
    started = registry_factory(auth=auth[request.param], tls=tls_authority, host="localhost")
    started.push_image(IMAGE, files={"etc/motd": "hello"})
    return started


class Client:
    """A client's home, with nothing in it but our helper's name.

    Args:
        directory: a directory of the test's own.
        server: the registry.
        password: alice's.
        watcher: looks at all that is said and written.
    """

    def __init__(self, directory: Path, server: RegistryServer, password: str, watcher: LeakWatcher) -> None:
        self.demo = Demo(directory)
        self._server = server
        self.password = password
        self._watcher = watcher
        self.demo.docker_config({"credsStore": "ocibuild", "credHelpers": {server.address: "ocibuild"}})
        (self.demo.helpers.directory / HELPER.name).symlink_to(HELPER)
        self.demo.env |= {
            "PATH": f"{self.demo.helpers.directory}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "SSL_CERT_FILE": str(server.ca_file),
            "LOGIN": "PASS",
            "PASS": f"alice:{self.password}",
            "REG_URL": server.url,
        }

    def run(self, *command: str | Path, question: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        ended = self.demo.run(*command, question=question, **env)
        self._watcher.check(ended.stdout, f"stdout of {command[0]}")
        self._watcher.check(ended.stderr, f"stderr of {command[0]}")
        self._watcher.check_files(self.demo.home)
        assert ended.returncode == 0, ended
        return ended

    def is_let_in(self) -> bool:
        """Whether the registry gave the image's manifest to alice."""
        return any(
            one.username == "alice" and one.status == 200 and "/manifests/" in one.path for one in self._server.requests
        )


@pytest.fixture
def client(sandbox: Path, server: RegistryServer, password: str, leak_watcher: LeakWatcher) -> Client:
    return Client(sandbox / "c", server, password, leak_watcher)


@contextmanager
def daemon(client: Client) -> Iterator[str]:
    """The address of a daemon that speaks docker's API."""
    podman, place = need_program("podman", "podman"), client.demo.directory
    socket = place / "daemon.sock"
    storage = ["--root", str(place / "root"), "--runroot", str(place / "runroot"), "--storage-driver", "vfs"]
    home = place / "daemon"
    home.mkdir()
    env = {**client.demo.env, "HOME": str(home), "LOGIN": "", "PASS": ""}
    command = [podman, *storage, "system", "service", "--time", "0", f"unix://{socket}"]
    with (place / "daemon.log").open("w+") as log, subprocess.Popen(command, env=env, stderr=log) as running:
        try:
            until = time.monotonic() + 20
            while not socket.exists():
                assert running.poll() is None, (place / "daemon.log").read_text()
                assert time.monotonic() < until
                time.sleep(0.05)
            yield f"unix://{socket}"
        finally:
            running.terminate()


def test_docker_reads_a_manifest(client: Client, server: RegistryServer) -> None:
    docker = need_program("docker", "docker.io")
    if not reads_oci_manifests():
        server.push(IMAGE, in_docker_format(build_image({"etc/motd": "hello"})))
    ended = client.run(docker, "manifest", "inspect", "--insecure", server.reference(IMAGE))
    assert json.loads(ended.stdout)["schemaVersion"] == 2
    assert client.is_let_in()


def test_docker_pulls(client: Client, server: RegistryServer) -> None:
    """Podman answers in the daemon's place: it has no login of its own, so it pulls with what docker hands it."""
    docker = need_program("docker", "docker.io")
    with daemon(client) as address:
        pulled = client.run(docker, "--host", address, "pull", server.reference(IMAGE))
        assert server.reference(IMAGE) in pulled.stdout
        assert client.is_let_in()
        client.run(docker, "--host", address, "rmi", server.reference(IMAGE))
        refused = client.demo.run(docker, "--host", address, "pull", server.reference(IMAGE), LOGIN="", PASS="")
        assert refused.returncode != 0


def test_skopeo_inspects(client: Client, server: RegistryServer) -> None:
    skopeo = need_program("skopeo", "skopeo")
    ended = client.run(skopeo, "inspect", f"docker://{server.reference(IMAGE)}")
    assert json.loads(ended.stdout)["RepoTags"] == ["1"]
    assert client.is_let_in()


def test_podman_pulls(client: Client, server: RegistryServer) -> None:
    podman = need_program("podman", "podman")
    places = ["--root", str(client.demo.directory / "root"), "--runroot", str(client.demo.directory / "runroot")]
    client.run(podman, *places, "--storage-driver", "vfs", "pull", server.reference(IMAGE))
    assert client.is_let_in()


def test_podman_finds_the_helper_in_its_own_settings(client: Client, server: RegistryServer) -> None:
    """containers-registries.conf(5), `credential-helpers`: for every registry."""
    podman = need_program("podman", "podman")
    (client.demo.home / ".docker" / "config.json").unlink()
    settings = client.demo.home / "registries.conf"
    settings.write_text('credential-helpers = ["ocibuild"]\n')
    places = ["--root", str(client.demo.directory / "root"), "--runroot", str(client.demo.directory / "runroot")]
    client.run(
        podman,
        *places,
        "--storage-driver",
        "vfs",
        "pull",
        server.reference(IMAGE),
        CONTAINERS_REGISTRIES_CONF=str(settings),
    )
    assert client.is_let_in()


def test_buildah_pulls(client: Client, server: RegistryServer) -> None:
    buildah = need_program("buildah", "buildah")
    places = ["--root", str(client.demo.directory / "root"), "--runroot", str(client.demo.directory / "runroot")]
    client.run(buildah, *places, "--storage-driver", "vfs", "pull", server.reference(IMAGE))
    assert client.is_let_in()


def test_crane_reads_a_manifest(client: Client, server: RegistryServer) -> None:
    crane = compiled("crane", "github.com/google/go-containerregistry/cmd/crane")
    ended = client.run(crane, "manifest", server.reference(IMAGE))
    assert json.loads(ended.stdout)["schemaVersion"] == 2
    assert client.is_let_in()


@pytest.mark.long  # compiled from source, which takes minutes the first time
def test_helm_pushes_and_pulls_a_chart(client: Client, server: RegistryServer) -> None:
    helm = compiled("helm", "helm.sh/helm/v3/cmd/helm")
    work, authority = client.demo.directory, ["--ca-file", str(server.ca_file)]
    chart = work / "chart"
    chart.mkdir()
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: example\nversion: 1.0.0\n")
    client.run(helm, "package", chart, "--destination", work)
    client.run(helm, "push", work / "example-1.0.0.tgz", f"oci://{server.address}/charts", *authority)
    client.run(helm, "pull", f"oci://{server.address}/charts/example", "--destination", chart, *authority)
    assert (chart / "example-1.0.0.tgz").read_bytes() == (work / "example-1.0.0.tgz").read_bytes()
    assert client.is_let_in()


def test_a_wrong_password_is_the_clients_error(client: Client, server: RegistryServer) -> None:
    skopeo = need_program("skopeo", "skopeo")
    ended = client.demo.run(skopeo, "inspect", f"docker://{server.reference(IMAGE)}", PASS="alice:wrong")
    assert ended.returncode != 0
    assert not client.is_let_in()


def test_a_failed_login_of_ours_is_shown_by_the_client(client: Client, server: RegistryServer) -> None:
    skopeo = need_program("skopeo", "skopeo")
    ended = client.demo.run(skopeo, "inspect", f"docker://{server.reference(IMAGE)}", LOGIN="nobody", PASS="")
    assert ended.returncode != 0
    assert "no auth provider 'nobody' is installed" in ended.stderr


@pytest.mark.parametrize("server", ["password"], indirect=True)
def test_docker_login_and_logout_go_to_the_chosen_provider(client: Client, server: RegistryServer) -> None:
    docker = need_program("docker", "docker.io")
    env = {"LOGIN": "", "PASS": "", "OCIBUILD_CREDENTIAL_STORE": "demo"}
    login = client.run(
        docker, "login", "-u", "alice", "--password-stdin", server.address, question=client.password, **env
    )
    assert "Login Succeeded" in login.stdout
    assert (client.demo.home / "kept").read_text() == f"{server.address} alice\n"
    client.run(docker, "logout", server.address, **env)
    assert not (client.demo.home / "kept").exists()


@pytest.mark.parametrize("server", ["password"], indirect=True)
def test_docker_login_without_a_choice_says_how_to_choose(client: Client, server: RegistryServer) -> None:
    docker = need_program("docker", "docker.io")
    ended = client.demo.run(
        docker, "login", "-u", "alice", "--password-stdin", server.address, question=client.password, LOGIN="", PASS=""
    )
    assert ended.returncode != 0
    assert "set credential-store in ~/.config/ocibuild.yml" in ended.stderr


@pytest.mark.parametrize("server", ["password"], indirect=True)
def test_a_written_config_serves_a_tool_without_helpers(client: Client, server: RegistryServer) -> None:
    skopeo = need_program("skopeo", "skopeo")
    place = client.demo.directory / "written"
    client.run(OCIBUILD, "docker-config", place, server.address)
    client.run(
        skopeo, "inspect", "--authfile", place / "config.json", f"docker://{server.reference(IMAGE)}", LOGIN="", PASS=""
    )
    assert client.is_let_in()
