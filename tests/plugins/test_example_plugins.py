"""The plugins in `examples/`, as wheels in a fresh environment next to ours, used by real builds."""

# ruff: noqa: ANN401  # a module that is loaded by its path has no types

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from ocibuild_testkit.registry import TokenAuth, busybox_files
from support.fresh_env import ROOT, FreshEnvironment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ocibuild_testkit.registry import Authority, RegistryServer
    from ocibuild_testkit.registry_fixtures import RegistryFactory
    from support.fresh_env import Wheelhouse
    from support.programs import ProgramRunner

pytestmark = pytest.mark.e2e
EXAMPLES = ROOT / "examples" / "plugins"


@pytest.fixture(scope="module")
def environment(wheelhouse: Wheelhouse, tmp_path_factory: pytest.TempPathFactory) -> FreshEnvironment:
    made = FreshEnvironment(tmp_path_factory.mktemp("examples") / "environment", wheelhouse)
    wheels = [str(wheelhouse.build(EXAMPLES / name)) for name in ("acr", "cyclonedx")]
    made.install("ocibuild-core[engine]", *(f"{wheel}[test]" for wheel in wheels))
    return made


@pytest.fixture(scope="module")
def azure_module() -> Any:
    spec = importlib.util.spec_from_file_location("azure", EXAMPLES / "acr" / "tests" / "azure.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["azure"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def registry(registry_factory: RegistryFactory, azure_module: Any) -> RegistryServer:
    return registry_factory(auth=azure_module.registry_auth())


@pytest.fixture
def azure(
    azure_module: Any, registry: RegistryServer, tls_authority: Authority, fresh_secret: Callable[[], str]
) -> Iterator[Any]:
    server = azure_module.FakeAzure(tls_authority, fresh_secret(), registry)
    yield server
    server.stop()


@pytest.fixture
def acr_env(azure: Any, azure_module: Any, tls_authority: Authority, sandbox: Path) -> dict[str, str]:
    authority = tls_authority.write(sandbox / "ca.pem")
    return {
        "AZURE_TENANT_ID": azure_module.TENANT,
        "AZURE_CLIENT_ID": azure_module.CLIENT,
        "AZURE_CLIENT_SECRET": azure.client_secret,
        "ACR_AUTHORITY": azure.url,
        "SSL_CERT_FILE": str(authority),
        "BUILDKIT_EXTRA_CONFIG": f'[registry."{azure.address}"]\nhttp = false\nca = ["{authority}"]\n',
    }


@pytest.fixture
def work(sandbox: Path) -> Path:
    directory = sandbox / "work"
    (directory / "image").mkdir(parents=True)
    return directory


def test_both_are_listed_with_what_they_offer(environment: FreshEnvironment) -> None:
    done = subprocess.run(
        [environment.program("ocibuild"), "plugins", "--json"], capture_output=True, text=True, check=True
    )
    listed = {row["id"]: row for row in json.loads(done.stdout)}
    assert set(listed) == {"acr", "core", "cyclonedx"}
    assert [offer["name"] for offer in listed["acr"]["offers"]] == ["acr"]
    assert [offer["kind"] for offer in listed["cyclonedx"]["offers"]] == ["exporter"]


@pytest.mark.parametrize("name", ["acr", "cyclonedx"])
def test_its_own_tests_pass_with_the_wheel(name: str, environment: FreshEnvironment, tmp_path: Path) -> None:
    """The directory `src` is not on the path: what is tested is what a user installs."""
    command = [str(environment.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", str(tmp_path)]
    done = subprocess.run(command, cwd=EXAMPLES / name, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


@pytest.mark.parametrize("asked", ["named", "automatic"])
def test_a_base_image_of_a_self_hosted_registry_that_an_option_claims(  # fixtures
    asked: str,
    environment: FreshEnvironment,
    azure: Any,
    registry: RegistryServer,
    acr_env: dict[str, str],
    work: Path,
    run: ProgramRunner,
) -> None:
    registry.push_image("team/base:1", files=busybox_files())
    (work / "Dockerfile").write_text(f"FROM {azure.address}/team/base:1\nRUN echo out of the self-hosted registry\n")
    flags = ["--login", "azure"] if asked == "named" else []

    build = str(environment.program("build"))
    done = run(build, ".", "--acr-registries", azure.address, *flags, env=acr_env, cwd=work).succeeded()

    assert "out of the self-hosted registry" in done.stdout
    assert (work / "image" / "image.tar").exists()
    assert azure.exchanges == 1
    assert isinstance(registry.auth, TokenAuth)
    granted = [request for request in registry.auth.realm.requests if request.granted]
    assert {request.username for request in granted} == {"00000000-0000-0000-0000-000000000000"}


def test_a_wrong_secret_ends_the_build_before_it_begins(
    environment: FreshEnvironment, azure: Any, acr_env: dict[str, str], work: Path, run: ProgramRunner
) -> None:
    (work / "Dockerfile").write_text(f"FROM {azure.address}/team/base:1\n")
    env = {**acr_env, "AZURE_CLIENT_SECRET": "wrong", "ACR_REGISTRIES": azure.address}
    done = run(str(environment.program("build")), ".", "--login", "acr", env=env, cwd=work).ended_with(3)
    assert f"plugin 'acr' (ocibuild-acr 1.0.0): Entra refuses the login for {azure.address}" in done.stderr
    assert "HTTP 401, AADSTS7000215" in done.stderr
    assert done.stdout == ""


def test_an_exporter_writes_its_file_next_to_the_image(
    environment: FreshEnvironment, work: Path, run: ProgramRunner
) -> None:
    (work / "status").write_text("Package: made\nStatus: install ok installed\nVersion: 1.2\nArchitecture: all\n")
    (work / "Dockerfile").write_text("FROM scratch\nCOPY status /var/lib/dpkg/status\n")

    build = str(environment.program("build"))
    run(build, ".", "-o", "docker", "-o", "cyclonedx,file=packages.json", cwd=work).succeeded()

    document = json.loads((work / "image" / "packages.json").read_text())
    assert [part["purl"] for part in document["components"]] == ["pkg:deb/debian/made@1.2?arch=all"]
    with tarfile.open(work / "image" / "image.tar") as archive:
        (image,) = json.load(archive.extractfile("manifest.json") or pytest.fail("no manifest.json"))
    assert document["metadata"]["component"]["name"] == f"sha256:{image['Config'].rpartition('/')[2]}"
    assert sorted(path.name for path in (work / "image").iterdir()) == ["image.tar", "packages.json"]


def test_a_mistake_in_an_exporters_option_ends_the_build_before_it_begins(
    environment: FreshEnvironment, work: Path, run: ProgramRunner
) -> None:
    (work / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    build = str(environment.program("build"))
    done = run(build, ".", "-o", "cyclonedx,file=../up", cwd=work).ended_with(2)
    assert "--output cyclonedx,file='../up': a file name is expected" in done.stderr
    done = run(build, ".", "-o", "cyclonedx,fiel=x", cwd=work).ended_with(2)
    assert "--output cyclonedx: unknown option 'fiel'; did you mean 'file'?" in done.stderr
