"""examples/cluster: certificates, a daemon with the manifest's very arguments, a client with its very variables."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ocibuild_buildkit import binary
from ocibuild_testkit.registry import RegistryServer, busybox_files
from support.go_tools import compiled
from support.missing import need_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.programs import ProgramRunner
    from support.users import OrdinaryUser

Objects = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="session")
def folder(examples: Path) -> Path:
    return examples / "cluster"


@pytest.fixture(scope="session")
def objects(folder: Path) -> Objects:
    """The manifests' objects by kind and name, decoded as strictly as an API server can."""
    decoder = compiled("manifests", "ocibuild.invalid/manifests")
    done = subprocess.run(
        [decoder, folder / "buildkitd.yaml", folder / "client.yaml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    read = [json.loads(line) for line in done.stdout.splitlines()]
    return {(one["kind"], one["metadata"]["name"]): one for one in read}


def test_a_misspelt_field_is_an_error(folder: Path, tmp_path: Path) -> None:
    """What reads the manifests would notice."""
    (tmp_path / "wrong.yaml").write_text((folder / "client.yaml").read_text().replace("restartPolicy", "restartPolcy"))
    decoder = compiled("manifests", "ocibuild.invalid/manifests")
    done = subprocess.run([decoder, tmp_path / "wrong.yaml"], capture_output=True, text=True, check=False)
    assert (done.returncode, 'unknown field "spec.restartPolcy"' in done.stderr) == (1, True)


def test_the_manifests_name_each_other_right(objects: Objects) -> None:
    daemon = objects["StatefulSet", "buildkitd"]["spec"]
    pod = daemon["template"]["spec"]
    labels = daemon["template"]["metadata"]["labels"]
    assert daemon["selector"]["matchLabels"] == labels
    assert objects["Service", "buildkitd"]["spec"]["selector"] == labels
    policy = objects["NetworkPolicy", "buildkitd"]["spec"]
    assert policy["podSelector"]["matchLabels"] == labels
    client = objects["Pod", "build"]
    assert policy["ingress"][0]["from"][0]["podSelector"]["matchLabels"] == client["metadata"]["labels"]
    assert ("ConfigMap", pod["volumes"][1]["configMap"]["name"]) in objects
    for spec in (pod, client["spec"]):
        [container] = spec["containers"]
        there = {volume["name"] for volume in spec["volumes"]} | {
            claim["metadata"]["name"] for claim in daemon["volumeClaimTemplates"]
        }
        assert {mount["name"] for mount in container["volumeMounts"]} <= there


def test_the_image_is_that_of_the_engine(objects: Objects) -> None:
    from ocibuild_buildkit import __version__

    [container] = objects["StatefulSet", "buildkitd"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"moby/buildkit:v{__version__}-rootless"


def make_certificates(folder: Path, user: OrdinaryUser, directory: Path) -> Path:
    """Run the script as the user; returns where it put them."""
    need_program("openssl", "openssl")
    command = user.command(str(folder / "certificates.sh"), str(directory))
    subprocess.run(command, env={"PATH": "/usr/bin:/bin", **user.env()}, check=True, capture_output=True)
    return directory


@contextmanager
def daemon(objects: Objects, certificates: Path, registry: RegistryServer, user: OrdinaryUser) -> Iterator[str]:
    """A buildkitd with the manifest's arguments and configuration, as an ordinary user; gives its address."""
    [container] = objects["StatefulSet", "buildkitd"]["spec"]["template"]["spec"]["containers"]
    place = certificates.parent
    config = place / "buildkitd.toml"
    own = registry.buildkitd_toml()
    config.write_text(objects["ConfigMap", "buildkitd"]["data"]["buildkitd.toml"] + own)
    places = {
        "unix:///run/user/1000/": f"unix://{place}/",
        "tcp://0.0.0.0:1234": "tcp://127.0.0.1:0",
        "=/certificates/": f"={certificates}/daemon/",
        "=/config/": f"={place}/",
    }
    arguments = container["args"]
    for inside, here in places.items():
        assert any(inside in argument for argument in arguments), inside
        arguments = [argument.replace(inside, here) for argument in arguments]
    user.own(place)
    programs = binary("buildkitd").parent
    log = place / "log"
    # The image's entrypoint, and its HOME, below which the state lies (moby/buildkit, Dockerfile, stage `rootless`).
    command = user.command(str(programs / "rootlesskit"), str(programs / "buildkitd"), *arguments)
    env = {
        **user.env(),
        "HOME": str(place),
        "XDG_RUNTIME_DIR": str(place),
        "PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=env, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield f"tcp://{_listening(log, process)}"
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(place, ignore_errors=True)


def _listening(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"running server on (127\.0\.0\.1:\d+)", log.read_text()):
            return found[1]
        time.sleep(0.02)
    pytest.fail(f"buildkitd does not listen:\n{log.read_text()}", pytrace=False)


@pytest.mark.e2e
def test_the_client_builds_with_the_daemon_and_a_stranger_does_not(
    folder: Path, objects: Objects, ordinary_user: OrdinaryUser, run: ProgramRunner, registry: RegistryServer
) -> None:
    place = ordinary_user.own(_made(ordinary_user.home / "cluster"))
    certificates = make_certificates(folder, ordinary_user, place / "certificates")
    [container] = objects["Pod", "build"]["spec"]["containers"]
    variables = {one["name"]: one["value"] for one in container["env"] if "value" in one}
    work = ordinary_user.own(_made(ordinary_user.home / "source"))
    base = registry.push_image("team/base:1", files=busybox_files())
    (work / "Dockerfile").write_text(f"FROM {base.reference}\nRUN echo built in the cluster\n")
    # A registry of the test instead of the example's; the command is otherwise the pod's.
    command = [word.replace("registry.example.com", registry.address) for word in container["command"]]

    with daemon(objects, certificates, registry, ordinary_user) as address:
        name = re.fullmatch(r"tcp://([\w.]+):1234", variables["BUILDKIT_HOST"])
        assert name
        env = {
            "BUILDKIT_HOST": address,
            "BUILDKIT_TLS_DIR": str(certificates / "client"),
            # As if the daemon had been reached by the service's name.
            "BUILDKIT_TLS_SERVERNAME": name[1],
        }
        # What `allowPrivilegeEscalation: false` is to the kernel: no newuidmap, so no BuildKit of its own.
        result = run("setpriv", "--no-new-privs", *command, env=env, cwd=work, user=ordinary_user).succeeded()
        assert "built in the cluster" in result.stdout
        assert registry.client().tags("team/app") == ("1",)

        [one] = objects["StatefulSet", "buildkitd"]["spec"]["template"]["spec"]["containers"]
        probe = [word.replace("/run/user/1000/", f"{place}/") for word in one["readinessProbe"]["exec"]["command"]]
        assert probe == [
            word.replace("/run/user/1000/", f"{place}/") for word in one["livenessProbe"]["exec"]["command"]
        ]
        inside = {"PATH": f"{binary('buildctl').parent}:/usr/bin:/bin"}
        assert "linux/" in run("env", *probe, env=inside, cwd=work, user=ordinary_user).succeeded().stdout
        [state] = [mount["mountPath"] for mount in one["volumeMounts"] if mount["name"] == "state"]
        assert (place / Path(state).relative_to("/home/user") / "buildkitd.lock").exists()

        stranger = make_certificates(folder, ordinary_user, place / "stranger")
        for wrong in (
            {"BUILDKIT_TLS_DIR": str(stranger / "client")},
            {"BUILDKIT_TLS_DIR": str(certificates / "client"), "BUILDKIT_TLS_SERVERNAME": "elsewhere.example"},
        ):
            arguments = [*command, "--start-timeout", "3s"]
            refused = run(*arguments, env={**env, **wrong}, cwd=work, user=ordinary_user).ended_with(5)
            assert "certificate" in refused.stderr


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def test_the_script_renews_with_the_authority_that_is_there(folder: Path, tmp_path: Path) -> None:
    openssl = need_program("openssl", "openssl")
    directory = tmp_path / "with space"
    make = [str(folder / "certificates.sh"), str(directory), "build.example"]
    authority, certificate = directory / "ca" / "cert.pem", directory / "daemon" / "cert.pem"

    subprocess.run(make, check=True, capture_output=True)
    before = authority.read_bytes(), certificate.read_bytes()
    subprocess.run(make, check=True, capture_output=True)
    assert authority.read_bytes() == before[0]
    assert certificate.read_bytes() != before[1]

    verify = [openssl, "verify", "-CAfile", str(authority), "-purpose"]
    as_server = [*verify, "sslserver", "-verify_hostname", "build.example", str(certificate)]
    subprocess.run(as_server, check=True, capture_output=True)
    as_client = subprocess.run([*verify, "sslclient", str(certificate)], check=False, capture_output=True)
    assert as_client.returncode != 0
    keys = [directory / name / "key.pem" for name in ("ca", "daemon", "client")]
    assert {key.stat().st_mode & 0o077 for key in keys} == {0}
    assert {path.name for path in (directory / "client").iterdir()} == {"ca.pem", "cert.pem", "key.pem"}
