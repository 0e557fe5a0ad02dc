"""Plugins, docker configs and settings under `ocibuild doctor`, each broken for real."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from ocibuild_testkit.leaks import LeakWatcher
from ocibuild_testkit.registry import RegistryServer
from support.examination import Doctor
from support.made_plugins import Site
from support.programs import PROGRAMS

pytestmark = pytest.mark.e2e

ELSEWHERE = ("--addr=unix:///nowhere/buildkitd.sock",)

DOCTORING = """
from ocibuild_core.plugin import Diagnostics, Finding, Severity

class Doctoring(Provider, Diagnostics):
    def diagnose(self, context):
        import time
        if self.name == "hangs":
            time.sleep(60)
        if self.name == "raises":
            raise RuntimeError("hunter2")
        print("on stdout")
        yield Finding(severity=Severity.FAILURE, what="its key is bent", do="bend it back")

@hookimpl
def ocibuild_auth_providers():
    return [Doctoring("bent"), Doctoring("raises"), Doctoring("hangs")]
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


def test_a_broken_plugin_is_a_warning_until_somebody_counts_on_it(doctor: Doctor, site: Site) -> None:
    site.add("bad", "import no_such_sdk\n")
    env = {"PYTHONPATH": str(site.directory)}
    (told,) = doctor(*ELSEWHERE, env=env).bad("warning")["plugins"]
    assert told.startswith("plugin 'bad' (ocibuild-bad 1.0): misses a module")
    named = doctor(*ELSEWHERE, "--login=bad,ecrr", env=env)
    broken, unknown = named.bad()["plugins"]
    assert broken == told
    assert unknown.startswith("--login asks for 'ecrr': no auth provider 'ecrr' is installed")
    assert named.code == 4
    listed = doctor(*ELSEWHERE, env=env | {"OCIBUILD_PLUGINS": "bad,absent"})
    assert sorted("absent" in what for what in listed.bad()["plugins"]) == [False, True]
    assert listed.code == 4


def test_a_login_whose_plugin_is_blocked_is_a_failure_as_in_a_build(doctor: Doctor) -> None:
    found = doctor(*ELSEWHERE, "--login=basic", "--no-plugin=basic")
    (told,) = found.bad()["plugins"]
    assert told.startswith("--login asks for 'basic': plugin 'basic' (ocibuild-basic ")
    assert told.endswith("is blocked")
    assert found.code == 4


def test_options_of_a_named_login_that_make_no_sense_are_a_failure_as_in_a_build(doctor: Doctor) -> None:
    env = {"LOGIN": "ecr,basic", "REGISTRIES": "12", "REG_URL": "u:p@host"}
    found = doctor(*ELSEWHERE, env=env)
    account, url = sorted(what.partition(": ")[2] for what in found.bad()["logins"])
    assert account.startswith("REGISTRIES: '12' is no AWS account id")
    assert url.startswith("REG_URL must be a registry's host")
    assert found.code == 2
    assert doctor(*ELSEWHERE, env={"LOGIN": "ecr", "REGISTRIES": "123456789012"}).one("logins")["what"] == (
        "ecr: 123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    )
    assert doctor(*ELSEWHERE, env={"REGISTRIES": "12"}).one("logins")["what"] == "none is named"


def test_plugins_are_asked_and_what_hangs_holds_nobody_up(doctor: Doctor, site: Site, registry: RegistryServer) -> None:
    site.add("made", DOCTORING)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = f"127.0.0.1:{listener.getsockname()[1]}"
        found = doctor(silent, registry.address, env={"PYTHONPATH": str(site.directory)})
    registries = {one["what"].split(" ")[0]: one["severity"] for one in found.of("registry")}
    assert registries == {silent: "failure", registry.address: "ok"}
    assert found.one("engine")["severity"] == "ok"
    said = {one["what"].partition(":")[0]: one for one in found.of("providers")}
    assert (said["bent"]["severity"], said["bent"]["do"]) == ("failure", "bend it back")
    assert said["raises"]["severity"] == "warning"
    assert "hunter2" not in found.text
    assert said["hangs"]["severity"] == "warning"
    assert said["ecr"]["severity"] == "ok"
    assert found.code == 3


@pytest.fixture
def docker_config(doctor: Doctor) -> Callable[..., Path]:
    """Writes the docker config of whoever runs the program."""

    def write(content: object, mode: int = 0o600) -> Path:
        path = doctor.run.home / ".docker" / "config.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        path.chmod(mode)
        return path

    return write


def test_a_config_that_is_no_json_is_a_failure_that_says_where(
    doctor: Doctor, docker_config: Callable[..., Path]
) -> None:
    path = docker_config('{"auths": {\n  nonsense')
    found = doctor(*ELSEWHERE)
    assert found.code == 2
    assert found.bad()["docker config"] == [f"the docker config {path} is malformed"]
    assert "line 2, column 3" in found.one("docker config")["why"]


def test_a_config_that_is_ignored_is_not_told_to_be_none(doctor: Doctor) -> None:
    path = doctor.run.home / ".docker" / "config.json"
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(path.name)
    (told,) = doctor(*ELSEWHERE).of("docker config")
    assert told["severity"] == "warning"
    assert told["what"] == f"the docker config {path} is ignored: Too many levels of symbolic links"


def test_secrets_that_all_may_read_are_told_and_not_shown(
    doctor: Doctor, docker_config: Callable[..., Path], fresh_secret: Callable[[], str], leak_watcher: LeakWatcher
) -> None:
    secret = fresh_secret()
    auth = base64.b64encode(f"me:{secret}".encode()).decode()
    path = docker_config({"auths": {"r.example": {"auth": auth}, "s.example": {"auth": "%%%"}}}, 0o644)
    found = doctor(*ELSEWHERE, may_hold_secrets=[path])
    warnings = found.bad("warning")["docker config"]
    assert [text for text in warnings if "every user of this machine may read it" in text]
    assert [text for text in warnings if "the entry for s.example is dropped" in text]
    assert [one["do"] for one in found.of("docker config") if "every user" in one["what"]] == [f"chmod 600 {path}"]
    leak_watcher.check(found.text, "what doctor said")


def test_helpers_that_are_missing_count_where_they_are_needed(
    doctor: Doctor, docker_config: Callable[..., Path], sandbox: Path
) -> None:
    programs = sandbox / "programs"
    programs.mkdir()
    (programs / "docker-credential-alias").symlink_to(PROGRAMS / "docker-credential-ocibuild")
    docker_config(
        {
            "credHelpers": {"needed.invalid": "absent", "other.invalid": "absent", "round.invalid": "alias"},
            "credsStore": "gone",
        }
    )
    path = f"{programs}:{doctor.run.env()['PATH']}"
    found = doctor("needed.invalid", env={"PATH": path})
    (needed,) = found.bad()["docker config"]
    assert "'absent' for needed.invalid: docker-credential-absent is not on PATH" in needed
    warnings = "\n".join(found.bad("warning")["docker config"])
    assert "for other.invalid: docker-credential-absent is not on PATH" in warnings
    assert "names the credsStore 'gone'" in warnings
    assert "is our own helper under another name" in warnings
    assert found.code == 3


def test_malformed_settings_are_told_and_the_rest_is_looked_at(doctor: Doctor, sandbox: Path) -> None:
    (sandbox / "ocibuild.yml").write_text("no-such-key: 1\n")
    found = doctor(env={"LOGIN_TIMEOUT": "soon", "BUILDKIT_EXTRA_CONFIG": "= no toml"})
    assert found.code == 2
    told = "\n".join(found.bad()["settings"])
    assert "no-such-key" in told
    assert "LOGIN_TIMEOUT" in told
    assert found.one("privilege")["severity"] == "ok"
    assert found.one("state")["severity"] == "ok"


def test_a_file_of_settings_or_a_dockerfile_that_is_named_and_not_there_is_told_once(doctor: Doctor) -> None:
    found = doctor(*ELSEWHERE, "--config=nowhere.yml", "--file=none/Dockerfile")
    assert found.bad()["settings"] == [f"cannot read {doctor.directory}/nowhere.yml", "there is no none/Dockerfile"]
    assert found.code == 2


def test_people_read_one_line_a_check_with_the_remedy_below(doctor: Doctor) -> None:
    command = ("ocibuild", "doctor", *ELSEWHERE, "made-up.invalid")
    run = doctor.run(*command, cwd=doctor.directory, env={"AWS_EC2_METADATA_DISABLED": "true"}).ended_with(5)
    lines = run.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("warning  dns"))
    assert lines[at].split()[2:] == ["the", "registry", "made-up.invalid", "has", "no", "address"]
    assert [line.split()[0] for line in lines[at + 1 : at + 3]] == ["why", "do"]
    assert lines[-1].startswith("1 failure, 2 warnings, ")
    assert run.stderr == ""
