"""The network under `ocibuild doctor`: registries by every way, names, proxies and clocks, each wrong for real."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from ocibuild_testkit.httpd import Handler, HttpServer
from ocibuild_testkit.proxy import NameProxy
from ocibuild_testkit.registry import Authority, RegistryServer
from support.examination import Doctor

pytestmark = pytest.mark.e2e

ELSEWHERE = ("--addr=unix:///nowhere/buildkitd.sock",)
"""No engine is started for what is not about one; its own failure comes with every run."""


class ClockHandler(Handler):
    """A registry whose clock is off by `behind`."""

    behind = timedelta(0)

    def do_GET(self) -> None:  # noqa: N802  # named by the base class
        self.reply(200, {})

    def date_time_string(self, timestamp: float | None = None) -> str:
        del timestamp
        return format_datetime(datetime.now(UTC) - self.behind, usegmt=True)


@pytest.fixture
def serve() -> Iterator[Callable[..., HttpServer]]:
    """Starts servers that end with the test."""
    running: list[HttpServer] = []

    def start(handler: type[BaseHTTPRequestHandler], authority: Authority | None = None) -> HttpServer:
        server = HttpServer(handler, authority=authority)
        server.start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def registries(found: object) -> dict[str, str]:
    """The severity of each registry's line, by the registry."""
    return {one["what"].split(" ")[0]: one["severity"] for one in found.of("registry")}  # type: ignore[attr-defined]


def test_registries_are_asked_as_a_build_would_ask_them(
    doctor: Doctor, registry: RegistryServer, tls_registry: RegistryServer, serve: Callable[..., HttpServer]
) -> None:
    class Lost(Handler):
        def do_GET(self) -> None:  # noqa: N802  # named by the base class
            self.reply(404, {})

    lost = serve(Lost)
    trusted = f"--registry-ca={tls_registry.address}={tls_registry.ca_file}"
    hosts = (registry.address, tls_registry.address, lost.address)
    found = doctor(trusted, *hosts)
    said = {one["what"] for one in found.of("registry")}
    assert said == {
        f"{registry.address} answers anybody over plain http",
        f"{tls_registry.address} answers whoever logs in",
        f"{lost.address} answers with HTTP status 404",
    }
    assert found.one("clock")["severity"] == "ok"
    assert found.one("dns")["what"] == "nothing to look up"


def test_what_a_dockerfile_and_the_configuration_name_is_asked(
    doctor: Doctor, registry: RegistryServer, tls_registry: RegistryServer, sandbox: Path
) -> None:
    (sandbox / "Dockerfile").write_text(f"FROM {registry.reference('a:1')}\nCOPY --from=made-up.invalid/b:2 / /\n")
    config = sandbox / "settings.yml"
    config.write_text(f"registries:\n  {tls_registry.address}: basic\n  '*.glob.invalid': basic\n")
    found = doctor(f"--config={config}", f"--registry-insecure={tls_registry.address}")
    assert registries(found) == {registry.address: "ok", "made-up.invalid": "failure", tls_registry.address: "ok"}
    (insecure_line,) = [one for one in found.of("registry") if one["what"].startswith(tls_registry.address)]
    assert insecure_line["what"].endswith(" answers whoever logs in, its certificate unchecked")
    assert found.bad()["dns"] == ["the registry made-up.invalid has no address"]
    assert found.code == 1
    assert [one["severity"] for one in found.of("engine")] == ["ok"], found.text


def test_a_certificate_of_an_unknown_authority_names_the_flag(doctor: Doctor, tls_registry: RegistryServer) -> None:
    wanted = f'[registry."{tls_registry.address}"]\nhttp = false\n'
    found = doctor(tls_registry.address, env={"BUILDKIT_EXTRA_CONFIG": wanted})
    said = found.one("registry")
    assert (found.code, said["severity"]) == (1, "failure")
    assert "certificate is not trusted" in said["why"]
    assert said["do"] == f"name its authority: --registry-ca {tls_registry.address}=FILE"


def test_one_that_speaks_no_tls_names_the_flag(doctor: Doctor, registry: RegistryServer) -> None:
    no_tls = f'[registry."{registry.address}"]\nhttp = false\n'
    said = doctor(registry.address, env={"BUILDKIT_EXTRA_CONFIG": no_tls}).one("registry")
    assert said["do"] == f"if it speaks no TLS: --registry-http {registry.address}", said


def test_one_that_speaks_tls_where_plain_http_is_meant_names_the_flag(
    doctor: Doctor, tls_registry: RegistryServer
) -> None:
    said = doctor(tls_registry.address).one("registry")
    assert said["what"] == f"{tls_registry.address} answers with HTTP status 400"
    assert said["do"].endswith(f"name the CA that signed its certificate: --registry-ca {tls_registry.address}=FILE")


def test_trusted_authorities_that_are_not_there_are_named(doctor: Doctor, tls_registry: RegistryServer) -> None:
    env = {
        "BUILDKIT_EXTRA_CONFIG": f'[registry."{tls_registry.address}"]\nhttp = false\n',
        "SSL_CERT_FILE": "/nowhere.pem",
    }
    said = doctor(tls_registry.address, env=env).one("registry")
    assert said["do"] == "SSL_CERT_FILE names /nowhere.pem, which is not there: correct or unset it"


def test_a_dead_proxy_is_named_without_its_password(
    doctor: Doctor, nobody: str, fresh_secret: Callable[[], str]
) -> None:
    env = {"HTTPS_PROXY": f"http://user:{fresh_secret()}@{nobody}", "NO_PROXY": "exempt.invalid"}
    found = doctor(*ELSEWHERE, "far.invalid", "exempt.invalid", env=env)
    proxy = found.one("proxy")
    assert proxy["what"] == f"{nobody} (HTTPS_PROXY) cannot be reached"
    assert proxy["why"] == "Connection refused"
    assert {one["what"] for one in found.of("registry")} == {
        f"far.invalid cannot be reached through the proxy {nobody}",
        "exempt.invalid cannot be reached",
    }
    assert found.bad("warning")["dns"] == ["the registry exempt.invalid has no address"]


def test_a_proxy_that_is_no_address_is_said(doctor: Doctor) -> None:
    found = doctor(*ELSEWHERE, env={"https_proxy": "http://proxy.invalid:port"})
    assert found.one("proxy")["why"] == "its value is no URL"


def test_a_registry_behind_a_proxy_is_reached_through_it(
    doctor: Doctor, registry_factory: Callable[..., RegistryServer], tls_authority: Authority
) -> None:
    name = "registry.test.invalid"
    server = registry_factory(tls=tls_authority, names=(name,))
    with NameProxy({name: f"127.0.0.1:{server.port}"}) as proxy:
        ca = f"--registry-ca={name}={server.ca_file}"
        found = doctor(ca, name, env={"HTTPS_PROXY": proxy.url})
        assert proxy.asked == (f"{name}:443",)
    assert found.one("registry")["what"] == f"{name} answers anybody through the proxy {proxy.url[7:]}"
    assert found.one("proxy")["severity"] == "ok"


def test_a_clock_that_is_off_is_told_by_the_registry(doctor: Doctor, serve: Callable[..., HttpServer]) -> None:
    right = serve(ClockHandler)
    wrong = serve(type("Off", (ClockHandler,), {"behind": timedelta(hours=2)}))
    found = doctor(right.address, wrong.address)
    said = found.one("clock")
    assert (said["severity"], said["what"], found.code) == ("failure", f"2 h ahead of {wrong.address}", 3), found.text


def test_mirrors_and_an_engine_elsewhere_make_it_a_warning(
    doctor: Doctor, registry: RegistryServer, nobody: str
) -> None:
    found = doctor("docker.io", f"--registry-mirror={registry.address}", env={"HTTPS_PROXY": f"http://{nobody}"})
    assert registries(found) == {"docker.io": "warning"}
    assert registries(doctor(*ELSEWHERE, nobody)) == {nobody: "warning"}
    unknown = doctor(*ELSEWHERE, "made-up.invalid")
    assert {check: len(told) for check, told in unknown.bad("warning").items()} == {"dns": 1, "registry": 1}


def test_the_page_shows_what_is_seen(
    doctor: Doctor, registry_factory: Callable[..., RegistryServer], tls_authority: Authority
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()
    command, shown = re.findall(r"^```(?:sh|text)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    name = command.split()[-1]
    server = registry_factory(tls=tls_authority, names=(name,))
    with NameProxy({name: f"127.0.0.1:{server.port}"}) as proxy:
        env = {"HTTPS_PROXY": proxy.url, "AWS_EC2_METADATA_DISABLED": "true", "NO_GCE_CHECK": "true"}
        run = doctor.run("bash", "-euc", command, cwd=doctor.directory, env=env).ended_with(1)
    seen = run.stdout.replace(f" through the proxy {proxy.url[7:]}", "").splitlines()
    of_the_reader = re.compile(r"ok +(privilege|engine)|…|[0-9]+ failure|$")
    for line in shown.splitlines():
        assert of_the_reader.match(line) or line in seen, run.stdout


def test_what_is_no_host_is_an_error_of_usage(doctor: Doctor) -> None:
    found = doctor.run("ocibuild", "doctor", "ftp://host", cwd=doctor.directory).ended_with(2)
    assert "'ftp://host' is no registry" in found.stderr


class Hop(Handler):
    """A metadata service whose session tokens get lost, as beyond the hop limit."""

    released = threading.Event()

    def do_PUT(self) -> None:  # noqa: N802  # named by the base class
        self.released.wait(30)
        self.close_connection = True

    def do_GET(self) -> None:  # noqa: N802  # named by the base class
        self.reply(401, {})


def test_the_hop_limit_of_the_metadata_service_is_told_by_the_plugin(
    doctor: Doctor, serve: Callable[..., HttpServer]
) -> None:
    server = serve(Hop)
    env = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url, "AWS_EC2_METADATA_DISABLED": "", "LOGIN": "ecr"}
    env["ECR_REGISTRIES"] = "123456789012"
    env["ECR_REGION"] = "eu-west-1"
    found = doctor(*ELSEWHERE, "made-up.invalid", env=env)
    Hop.released.set()
    by_provider = {one["what"].partition(":")[0]: one for one in found.of("providers")}
    assert by_provider["ecr"]["severity"] == "failure"
    assert "HttpPutResponseHopLimit=2" in by_provider["ecr"]["do"]
    assert by_provider["gcr"]["severity"] == "ok"
    assert found.code == 3
