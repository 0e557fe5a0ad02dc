"""What fingers used to docker buildx type, and what its users expect of registries: with it and without."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_testkit.registry import NoAuth, PasswordAuth, RegistryServer, build_image, busybox_files
from support.images import read_image

if TYPE_CHECKING:
    from ocibuild_testkit.registry_fixtures import RegistryFactory
    from support.programs import ProgramRunner

pytestmark = pytest.mark.e2e


@pytest.fixture
def work(sandbox: Path) -> Path:
    """A directory with `image/`."""
    directory = sandbox / "work"
    (directory / "image").mkdir(parents=True)
    return directory


def files_of(work: Path) -> dict[str, bytes]:
    return read_image(work / "image" / "image.tar").files


def test_no_cache_runs_every_step_again(work: Path, run: ProgramRunner, registry: RegistryServer) -> None:
    base = registry.push_image("base:1", files=busybox_files())
    (work / "Dockerfile").write_text(f"FROM {base.reference}\nRUN cat /proc/sys/kernel/random/uuid > /made\n")
    made = []
    for argv in ((), (), ("--no-cache",)):
        run("build", *argv, ".", cwd=work).succeeded()
        made.append(files_of(work)["made"])
    assert made[0] == made[1] != made[2]


def test_a_base_image_is_the_one_that_its_tag_names_now(
    work: Path, run: ProgramRunner, registry: RegistryServer
) -> None:
    """Also without --pull: an engine that starts for each build has no other memory of tags."""
    (work / "Dockerfile").write_text(f"FROM {registry.reference('moving:1')}\n")
    for content, argv in ((b"one", ()), (b"two", ("--pull",)), (b"three", ())):
        registry.push("moving:1", build_image({"f": content}))
        run("build", *argv, ".", cwd=work).succeeded()
        assert files_of(work)["f"] == content
    assert "image-resolve-mode=pull" in run("build", "--pull", "--print", ".", cwd=work).succeeded().stdout
    assert "image-resolve-mode" not in run("build", "--print", ".", cwd=work).succeeded().stdout


def test_a_registry_without_tls_is_named(work: Path, run: ProgramRunner, registry_factory: RegistryFactory) -> None:
    registry = registry_factory(auth=NoAuth())
    registry.push("base:1", build_image({"f": b"over http"}))
    # The same registry under an address that BuildKit does not take for loopback, where it would try HTTP by itself.
    address = registry.address.replace("127.0.0.1", "0.0.0.0").replace("localhost", "0.0.0.0")  # noqa: S104
    (work / "Dockerfile").write_text(f"FROM {address}/base:1\n")
    refused = run("build", ".", cwd=work).ended_with(1)
    assert "HTTP response to HTTPS client" in refused.stdout
    for argv, env in ((("--registry-http", address), {}), ((), {"REGISTRY_HTTP_HOSTS": address})):
        run("build", *argv, ".", cwd=work, env=env).succeeded()
        assert files_of(work) == {"f": b"over http"}


def test_a_registry_with_a_certificate_of_nobody_is_named(
    work: Path, run: ProgramRunner, tls_registry: RegistryServer
) -> None:
    assert isinstance(tls_registry.auth, PasswordAuth)
    tls_registry.push("base:1", build_image({"f": b"over tls"}))
    (work / "Dockerfile").write_text(f"FROM {tls_registry.reference('base:1')}\n")
    login = {"LOGIN": "PASS", "PASS": f"alice:{tls_registry.auth.users['alice']}", "REG_URL": tls_registry.url}
    run("build", ".", cwd=work, env=login).ended_with(1)
    run("build", "--registry-insecure", f" https://{tls_registry.address}/", ".", cwd=work, env=login).succeeded()
    assert files_of(work) == {"f": b"over tls"}
    result = run(
        "build", "--addr", "tcp://127.0.0.1:9", ".", cwd=work, env={"REGISTRY_INSECURE_HOSTS": "r.example"}
    ).ended_with(2)
    assert "asked for: REGISTRY_INSECURE_HOSTS" in result.stderr


def test_a_secret_may_be_named_in_a_file_of_settings(work: Path, run: ProgramRunner, registry: RegistryServer) -> None:
    base = registry.push_image("base:1", files=busybox_files())
    (work / "Dockerfile").write_text(
        f"FROM {base.reference}\nRUN --mount=type=secret,id=it wc -c < /run/secrets/it > /seen\n"
    )
    (work.parent / "it").write_text("12345")
    (work / "named.yml").write_text(f"secret-files:\n  it: {work.parent}/it\n")
    run("build", ".", cwd=work).ended_with(1)
    run("build", "--config", "named.yml", ".", cwd=work).succeeded()
    assert files_of(work)["seen"] == b"5\n"
    (work / "ocibuild.yml").write_text(f"secret-files:\n  it: {work.parent}/it\n")
    assert "not allowed in a file that lies beside" in run("build", ".", cwd=work).ended_with(2).stderr


def test_attest_and_call_mean_what_they_mean_in_buildx(work: Path, run: ProgramRunner) -> None:
    (work / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    run("build", "--attest", "type=provenance,mode=max", "-o", "local,dest=out", ".", cwd=work).succeeded()
    assert (work / "out" / "provenance.json").exists()
    run("build", "--attest", "type=provenance,disabled=true", "-o", "./out", "--call=build", ".", cwd=work).succeeded()
    assert not (work / "out" / "provenance.json").exists()
    (work / "Dockerfile").write_text("from scratch\nCOPY Dockerfile /\n")
    assert "the Dockerfile has 1 warning" in run("build", "--call", "check", ".", cwd=work).ended_with(1).stderr


def test_a_label_may_have_no_value(work: Path, run: ProgramRunner) -> None:
    (work / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    run("build", "--label", "bare", "--label", "a=1", ".", cwd=work, env={"bare": "x"}).succeeded()
    assert read_image(work / "image" / "image.tar").config["config"]["Labels"] == {"bare": "", "a": "1"}


def test_debugging_shows_the_engines_log(work: Path, run: ProgramRunner) -> None:
    (work / "Dockerfile").write_text("FROM scratch\nCOPY missing /\n")
    shown = run("build", ".", env={"DEBUG": "1"}, cwd=work).ended_with(1).stderr
    assert "the engine's log:\n" in shown
    assert "level=debug" in shown
    assert "level=debug" not in run("build", ".", cwd=work).ended_with(1).stderr
