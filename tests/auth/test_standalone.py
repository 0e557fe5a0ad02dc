"""`docker-credential-ocibuild` on its own: from the environment and the user's own file, for any client."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.programs import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROGRAM = PROGRAMS / "docker-credential-ocibuild"

PLUGIN = """
import os, subprocess, sys, time
from ocibuild_core.plugin import (
    AuthProvider, Credential, CredentialError, CredentialStore, Match, Option, OptionType, Secret, StoredCredential,
    hookimpl,
)

class Demo(AuthProvider, CredentialStore):
    name = "demo"
    summary = "For tests."
    aliases = ("dm",)
    options = (
        Option(name="token", help="Token", type=OptionType.SECRET),
        Option(name="mode", help="How to behave", default=""),
        Option(name="count", help="A number", type=OptionType.INT),
    )
    def match(self, registry, options):
        return Match.SPECIFIC if registry.endswith("demo.example") else Match.NO
    def get(self, request):
        mode, token = request.options.text("mode"), request.options.secret("token")
        if mode == "prints":
            print("to stdout")
            os.write(1, b"to descriptor 1\\n")
            subprocess.run(["echo", "from a child"], check=True)
        if mode == "hangs":
            time.sleep(600)
        if mode == "hangs in a pool":
            from concurrent.futures import ThreadPoolExecutor
            ThreadPoolExecutor().submit(time.sleep, 600).result()
        if mode == "asks":
            input("password: ")
        if mode == "warns":
            request.log.warning("the token is %s", token.reveal())
        if mode == "exits":
            sys.exit(0)
        if mode == "fails":
            raise CredentialError("the service is down", do="wait")
        return Credential(username="demo-user", secret=token) if token else None
    def store(self, request, credential):
        with open(os.environ["HOME"] + "/kept", "a") as file:
            file.write(request.registry + " " + credential.username + "\\n")
    def erase(self, request):
        os.unlink(os.environ["HOME"] + "/kept")
        return True
    def list(self, context):
        return [StoredCredential(registry="docker.io", username="me")]

@hookimpl
def ocibuild_auth_providers():
    return [Demo()]
"""


class Alone:
    """The program in a home of its own, with the plugin `demo` installed.

    Args:
        directory: a directory of the test's own.
    """

    def __init__(self, directory: Path) -> None:
        self.home = directory / "home"
        self.home.mkdir()
        site = directory / "site"
        info = site / "demo_plugin-1.0.dist-info"
        info.mkdir(parents=True)
        (site / "demo_plugin.py").write_text(PLUGIN)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: demo-plugin\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[ocibuild]\ndemo = demo_plugin\n")
        self.env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "PYTHONPATH": str(site),
        }

    def __call__(self, *arguments: str, question: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *arguments],
            input=question,
            capture_output=True,
            text=True,
            env=self.env | env,
            cwd=self.home,
            check=False,
            timeout=60,
        )

    def get(self, question: str, **env: str) -> dict[str, str]:
        ended = self("get", question=question, **env)
        assert (ended.returncode, ended.stderr) == (0, ""), ended
        return json.loads(ended.stdout)  # type: ignore[no-any-return]

    def settings(self, text: str) -> None:
        path = self.home / ".config" / "ocibuild.yml"
        path.parent.mkdir()
        path.write_text(text)

    def docker_config(self, document: object) -> None:
        path = self.home / ".docker" / "config.json"
        path.parent.mkdir()
        path.write_text(json.dumps(document))
        path.chmod(0o600)


@pytest.fixture
def alone(tmp_path: Path) -> Alone:
    return Alone(tmp_path)


@pytest.fixture
def token(fresh_secret: Callable[[], str]) -> str:
    return fresh_secret()


HOST = "r.demo.example"


def test_an_installed_provider_answers_by_itself(alone: Alone, token: str) -> None:
    found = alone.get(f"https://{HOST}/v2/", DEMO_TOKEN=token)
    assert (found["ServerURL"], found["Username"], found["Secret"] == token) == (
        f"https://{HOST}/v2/",
        "demo-user",
        True,
    )


def test_what_nobody_knows_is_not_found(alone: Alone) -> None:
    ended = alone("get", question="other.example")
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "credentials not found in native keychain\n", "")


def test_a_provider_that_is_named_owes_an_answer(alone: Alone) -> None:
    ended = alone("get", question=HOST, LOGIN="DM")
    assert ended.returncode == 1
    assert ended.stdout.startswith(f"plugin 'demo' (demo-plugin 1.0): no credential for {HOST}: LOGIN names it")
    assert ended.stdout.count("\n") == 1


def test_the_users_own_file_says_how_to_log_in(alone: Alone, token: str) -> None:
    alone.settings(
        "login: none\nregistries: {'*.pinned.example': demo}\nlogin-timeout: 20s\nauth: {demo: {token: {env: MINE}}}\n"
    )
    assert alone.get("x.pinned.example", MINE=token)["Secret"] == token
    assert alone("get", question=HOST, MINE=token).stdout == "credentials not found in native keychain\n"


def test_a_file_in_the_current_directory_says_nothing(alone: Alone, token: str) -> None:
    (alone.home / "ocibuild.yml").write_text("login: nobody\n")
    assert alone.get(HOST, DEMO_TOKEN=token)["Secret"] == token


def test_the_users_docker_config_answers_without_its_helpers(alone: Alone, token: str) -> None:
    auth = base64.b64encode(f"me:{token}".encode()).decode()
    alone.docker_config({"credsStore": "ocibuild", "credHelpers": {HOST: "loops"}, "auths": {HOST: {"auth": auth}}})
    assert alone.get(HOST)["Username"] == "me"


def test_a_plugin_may_be_left_out(alone: Alone, token: str) -> None:
    assert alone("get", question=HOST, DEMO_TOKEN=token, OCIBUILD_PLUGINS="core").returncode == 1


def test_a_variable_that_makes_no_sense_to_a_provider_that_nobody_named_does_no_harm(alone: Alone) -> None:
    ended = alone("get", question=HOST, DEMO_COUNT="many")
    assert (ended.returncode, ended.stdout) == (1, "credentials not found in native keychain\n")


def test_a_variable_that_makes_no_sense_to_a_provider_that_was_named_is_an_error(alone: Alone) -> None:
    ended = alone("get", question=HOST, DEMO_COUNT="many", LOGIN="demo")
    assert (ended.returncode, "DEMO_COUNT" in ended.stdout) == (1, True)


@pytest.mark.parametrize("mode", ["prints"])
def test_nothing_but_the_answer_is_on_stdout(alone: Alone, token: str, mode: str) -> None:
    ended = alone("get", question=HOST, DEMO_TOKEN=token, DEMO_MODE=mode)
    assert json.loads(ended.stdout)["Secret"] == token
    assert ended.stdout.count("\n") == 1
    assert "to descriptor 1" in ended.stderr
    assert "from a child" in ended.stderr


def test_a_warning_is_on_stderr_without_the_secret(alone: Alone, token: str) -> None:
    ended = alone("get", question=HOST, DEMO_TOKEN=token, DEMO_MODE="warns")
    assert ended.stderr == "docker-credential-ocibuild: the token is ********\n"


@pytest.mark.parametrize("mode", ["hangs", "hangs in a pool"])
def test_one_that_hangs_ends_at_the_deadline(alone: Alone, token: str, mode: str) -> None:
    started = time.monotonic()
    ended = alone("get", question=HOST, DEMO_TOKEN=token, DEMO_MODE=mode, LOGIN="demo", LOGIN_TIMEOUT="500ms")
    assert ended.returncode == 1
    assert ended.stdout.startswith(f"plugin 'demo' (demo-plugin 1.0): no answer for {HOST} within 0.5 s")
    assert time.monotonic() - started < 20


def test_one_that_asks_the_user_gets_no_answer(alone: Alone, token: str) -> None:
    ended = alone("get", question=HOST, DEMO_TOKEN=token, DEMO_MODE="asks", LOGIN="demo")
    assert (ended.returncode, "EOFError" in ended.stdout) == (1, True)


def test_one_that_exits_is_at_fault(alone: Alone, token: str) -> None:
    ended = alone("get", question=HOST, DEMO_TOKEN=token, DEMO_MODE="exits", LOGIN="demo")
    assert (ended.returncode, "SystemExit" in ended.stdout) == (1, True)


def test_an_automatic_one_that_fails_is_passed_over(alone: Alone) -> None:
    ended = alone("get", question=HOST, DEMO_MODE="fails")
    assert (ended.returncode, ended.stdout) == (1, "credentials not found in native keychain\n")


def test_store_list_and_erase_go_to_the_chosen_provider(alone: Alone, token: str) -> None:
    alone.settings("credential-store: demo\n")
    document = json.dumps({"ServerURL": "https://index.docker.io/v1/", "Username": "me", "Secret": token})
    stored = alone("store", question=document)
    assert (stored.returncode, stored.stdout, stored.stderr) == (0, "", "")
    assert (alone.home / "kept").read_text() == "docker.io me\n"
    assert json.loads(alone("list", question="unused").stdout) == {"https://index.docker.io/v1/": "me"}
    assert alone("erase", question="https://index.docker.io/v1/").returncode == 0
    assert not (alone.home / "kept").exists()


@pytest.mark.parametrize(("name", "works"), [("demo", True), ("DM", True), ("none-such", False)])
def test_the_keeper_is_named_by_a_variable_too(alone: Alone, name: str, *, works: bool) -> None:
    ended = alone("list", question="unused", OCIBUILD_CREDENTIAL_STORE=name)
    assert (ended.returncode == 0) is works, ended
    assert works or "none-such" in ended.stdout


def test_without_a_choice_it_is_refused_with_those_that_could(alone: Alone, token: str) -> None:
    document = json.dumps({"ServerURL": HOST, "Username": "me", "Secret": token})
    ended = alone("store", question=document)
    assert ended.returncode == 1
    assert "credential-store" in ended.stdout
    assert "demo" in ended.stdout


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("get", "extra"), ("--bogus",)])
def test_anything_else_is_told_the_usage(alone: Alone, arguments: tuple[str, ...]) -> None:
    ended = alone(*arguments)
    assert (ended.returncode, ended.stdout) == (1, "Usage: docker-credential-ocibuild <store|get|erase|list|version>\n")


def test_a_malformed_file_of_settings_is_said(alone: Alone) -> None:
    alone.settings("login: [")
    ended = alone("get", question=HOST)
    assert (ended.returncode, "not YAML" in ended.stdout) == (1, True)


def test_no_home_does_no_harm(alone: Alone, token: str) -> None:
    del alone.env["HOME"]
    assert alone.get(HOST, DEMO_TOKEN=token)["Secret"] == token


def test_a_closed_stdin_does_not_hang(alone: Alone) -> None:
    ended = subprocess.run(
        ["sh", "-c", f"{PROGRAM} get <&-"], env=alone.env, capture_output=True, text=True, check=False, timeout=20
    )
    assert (ended.returncode, ended.stdout) == (1, "no credentials server URL\n")


def test_twenty_at_once_all_succeed(alone: Alone, token: str) -> None:
    running = [
        subprocess.Popen(
            [PROGRAM, "get"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=alone.env | {"DEMO_TOKEN": token},
        )
        for _ in range(20)
    ]
    answers = [json.loads(process.communicate(HOST)[0]) for process in running]
    assert all(answer["Secret"] == token for answer in answers)


@pytest.mark.parametrize("arguments", [("version",), ("get",)])
def test_nothing_heavy_is_loaded(alone: Alone, arguments: tuple[str, ...]) -> None:
    """No cloud's SDK, no click, no YAML without a file of it; for `version` not even the rest of core."""
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ocibuild_core.auth.helper", *arguments],
        input=HOST,
        env=alone.env,
        capture_output=True,
        text=True,
        check=False,
    )
    imported = {line.split("|")[-1].strip() for line in ended.stderr.splitlines() if "import time" in line}
    heavy: set[Any] = {"boto3", "botocore", "keyring", "google", "google.auth", "click", "yaml", "asyncio", "ssl"}
    assert not imported & heavy
    if arguments == ("version",):
        assert "ocibuild_core.loader" not in imported
