"""`docker-credential-ocibuild` on its own: from the environment and the user's own file, for any client."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.demo import HELPER, OCIBUILD, Demo
from support.programs import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def alone(sandbox: Path) -> Demo:
    return Demo(sandbox)


@pytest.fixture
def token(fresh_secret: Callable[[], str]) -> str:
    return fresh_secret()


HOST = "r.demo.example"


def test_an_installed_provider_answers_by_itself(alone: Demo, token: str) -> None:
    found = alone.get(f"https://{HOST}/v2/", DEMO_TOKEN=token)
    assert (found["ServerURL"], found["Username"], found["Secret"] == token) == (
        f"https://{HOST}/v2/",
        "demo-user",
        True,
    )


def test_what_nobody_knows_is_not_found(alone: Demo) -> None:
    ended = alone.helper("get", question="other.example")
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "credentials not found in native keychain\n", "")


def test_a_provider_that_is_named_owes_an_answer(alone: Demo) -> None:
    ended = alone.helper("get", question=HOST, LOGIN="Demo-Alias")
    assert ended.returncode == 1
    assert ended.stdout.startswith(f"plugin 'demo' (demo-plugin 1.0): no credential for {HOST}: LOGIN names it")
    assert ended.stdout.count("\n") == 1


def test_the_users_own_file_says_how_to_log_in(alone: Demo, token: str) -> None:
    alone.settings(
        "login: none\nregistries: {'*.pinned.example': demo}\nlogin-timeout: 20s\nauth: {demo: {token: {env: MINE}}}\n"
    )
    assert alone.get("x.pinned.example", MINE=token)["Secret"] == token
    assert alone.helper("get", question=HOST, MINE=token).stdout == "credentials not found in native keychain\n"


def test_a_file_in_the_current_directory_says_nothing(alone: Demo, token: str) -> None:
    (alone.home / "ocibuild.yml").write_text("login: nobody\n")
    assert alone.get(HOST, DEMO_TOKEN=token)["Secret"] == token


def test_the_users_docker_config_answers_without_its_helpers(alone: Demo, token: str) -> None:
    auth = base64.b64encode(f"me:{token}".encode()).decode()
    alone.docker_config({"credsStore": "ocibuild", "credHelpers": {HOST: "loops"}, "auths": {HOST: {"auth": auth}}})
    assert alone.get(HOST)["Username"] == "me"


def test_a_plugin_may_be_left_out(alone: Demo, token: str) -> None:
    assert alone.helper("get", question=HOST, DEMO_TOKEN=token, OCIBUILD_PLUGINS="core").returncode == 1


def test_a_plugin_that_was_listed_and_is_not_there_is_said(alone: Demo, token: str) -> None:
    ended = alone.helper("get", question=HOST, OCIBUILD_PLUGINS="demo,absent", DEMO_TOKEN=token)
    assert ended.returncode == 1
    assert ended.stdout.startswith("plugin 'absent': is listed by OCIBUILD_PLUGINS, but not installed")


def test_a_variable_that_makes_no_sense_to_a_provider_that_nobody_named_does_no_harm(alone: Demo) -> None:
    ended = alone.helper("get", question=HOST, DEMO_COUNT="many")
    assert (ended.returncode, ended.stdout) == (1, "credentials not found in native keychain\n")


def test_a_variable_that_makes_no_sense_to_a_provider_that_was_named_is_an_error(alone: Demo) -> None:
    ended = alone.helper("get", question=HOST, DEMO_COUNT="many", LOGIN="demo")
    assert (ended.returncode, "DEMO_COUNT" in ended.stdout) == (1, True)


@pytest.mark.parametrize("mode", ["prints"])
def test_nothing_but_the_answer_is_on_stdout(alone: Demo, token: str, mode: str) -> None:
    ended = alone.helper("get", question=HOST, DEMO_TOKEN=token, DEMO_MODE=mode)
    assert json.loads(ended.stdout)["Secret"] == token
    assert ended.stdout.count("\n") == 1
    assert "to descriptor 1" in ended.stderr
    assert "from a child" in ended.stderr


def test_a_warning_is_on_stderr_without_the_secret(alone: Demo, token: str) -> None:
    ended = alone.helper("get", question=HOST, DEMO_TOKEN=token, DEMO_MODE="warns")
    assert ended.stderr == "docker-credential-ocibuild: the token is ********\n"


def test_an_error_that_quotes_the_secret_is_masked(alone: Demo, token: str, sandbox: Path) -> None:
    env = {"DEMO_TOKEN": token, "DEMO_MODE": "tells", "LOGIN": "demo"}
    helped = alone.helper("get", question=HOST, **env)
    assert (helped.returncode, token in helped.stdout, "bad token ********" in helped.stdout) == (1, False, True)

    (sandbox / "Dockerfile").write_text(f"FROM {HOST}/a\n")
    commands = (
        (PROGRAMS / "build", sandbox),
        (PROGRAMS / "build", "--explain", sandbox),
        (OCIBUILD, "auth", "check", f"{HOST}/a"),
        (OCIBUILD, "docker-config", sandbox / "config", HOST),
    )
    for command in commands:
        ended = alone.run(*command, **env)
        said = ended.stdout + ended.stderr
        assert (ended.returncode, token in said, "bad token ********" in said) == (3, False, True), command


@pytest.mark.parametrize("mode", ["hangs", "hangs in a pool"])
def test_one_that_hangs_ends_at_the_deadline(alone: Demo, token: str, mode: str) -> None:
    # It hangs for ten minutes; a program here is given one.
    ended = alone.helper("get", question=HOST, DEMO_TOKEN=token, DEMO_MODE=mode, LOGIN="demo", LOGIN_TIMEOUT="500ms")
    assert ended.returncode == 1
    assert ended.stdout.startswith(f"plugin 'demo' (demo-plugin 1.0): no answer for {HOST} within 0.5 s")


def test_one_that_asks_the_user_gets_no_answer(alone: Demo, token: str) -> None:
    ended = alone.helper("get", question=HOST, DEMO_TOKEN=token, DEMO_MODE="asks", LOGIN="demo")
    assert (ended.returncode, "EOFError" in ended.stdout) == (1, True)


def test_one_that_exits_is_at_fault(alone: Demo, token: str) -> None:
    ended = alone.helper("get", question=HOST, DEMO_TOKEN=token, DEMO_MODE="exits", LOGIN="demo")
    assert (ended.returncode, "SystemExit" in ended.stdout) == (1, True)


def test_an_automatic_one_that_fails_is_passed_over(alone: Demo) -> None:
    ended = alone.helper("get", question=HOST, DEMO_MODE="fails")
    assert (ended.returncode, ended.stdout) == (1, "credentials not found in native keychain\n")


def test_store_list_and_erase_go_to_the_chosen_provider(alone: Demo, token: str) -> None:
    alone.settings("credential-store: demo\n")
    document = json.dumps({"ServerURL": "https://index.docker.io/v1/", "Username": "me", "Secret": token})
    stored = alone.helper("store", question=document)
    assert (stored.returncode, stored.stdout, stored.stderr) == (0, "", "")
    assert (alone.home / "kept").read_text() == "docker.io me\n"
    assert json.loads(alone.helper("list", question="unused").stdout) == {"https://index.docker.io/v1/": "me"}
    assert alone.helper("erase", question="https://index.docker.io/v1/").returncode == 0
    assert not (alone.home / "kept").exists()


def test_list_needs_no_stdin(alone: Demo) -> None:
    """At a terminal nobody types a word for it; here stdin stays open, and says nothing."""
    alone.settings("credential-store: demo\n")
    kept = {"https://index.docker.io/v1/": "me"}
    with subprocess.Popen(
        [HELPER, "list"], env=alone.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as listing:
        assert listing.stdout
        assert json.loads(listing.stdout.read()) == kept
    assert json.loads(alone.helper("list", question="").stdout) == kept


@pytest.mark.parametrize(("name", "works"), [("demo", True), ("DEMO-alias", True), ("none-such", False)])
def test_the_keeper_is_named_by_a_variable_too(alone: Demo, name: str, *, works: bool) -> None:
    ended = alone.helper("list", question="unused", OCIBUILD_CREDENTIAL_STORE=name)
    assert (ended.returncode == 0) is works, ended
    assert works or "none-such" in ended.stdout


def test_without_a_choice_it_is_refused_with_those_that_could(alone: Demo, token: str) -> None:
    document = json.dumps({"ServerURL": HOST, "Username": "me", "Secret": token})
    ended = alone.helper("store", question=document)
    assert ended.returncode == 1
    assert "credential-store" in ended.stdout
    assert "demo" in ended.stdout


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("get", "extra"), ("--bogus",)])
def test_anything_else_is_told_the_usage(alone: Demo, arguments: tuple[str, ...]) -> None:
    ended = alone.helper(*arguments)
    assert (ended.returncode, ended.stdout) == (1, "Usage: docker-credential-ocibuild <store|get|erase|list|version>\n")


def test_a_malformed_file_of_settings_is_said(alone: Demo) -> None:
    alone.settings("login: [")
    ended = alone.helper("get", question=HOST)
    assert (ended.returncode, "not YAML" in ended.stdout) == (1, True)


def test_no_home_does_no_harm(alone: Demo, token: str) -> None:
    del alone.env["HOME"]
    assert alone.get(HOST, DEMO_TOKEN=token)["Secret"] == token


def test_a_closed_stdin_does_not_hang(alone: Demo) -> None:
    ended = subprocess.run(
        ["sh", "-c", f"{HELPER} get <&-"], env=alone.env, capture_output=True, text=True, check=False, timeout=20
    )
    assert (ended.returncode, ended.stdout) == (1, "no credentials server URL\n")


def test_twenty_at_once_all_succeed(alone: Demo, token: str) -> None:
    running = [
        subprocess.Popen(
            [HELPER, "get"],
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
def test_nothing_heavy_is_loaded(alone: Demo, arguments: tuple[str, ...]) -> None:
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


FAULTY = """
import sys
import ocibuild_core.auth.ambient as ambient
from ocibuild_core.auth.helper import main
def broken(env):
    raise ValueError("hunter2")
ambient.read_ambient = broken
sys.argv = ["docker-credential-ocibuild", "get"]
main()
"""


def test_a_fault_of_our_own_is_a_line_on_stdout(alone: Demo) -> None:
    ended = alone.run(sys.executable, "-c", FAULTY, question=HOST)
    assert ended.returncode == 1
    assert ended.stdout.startswith("ocibuild failed by a fault of its own: ValueError in ")
    assert ended.stdout.count("\n") == 1
    assert "hunter2" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "command",
    [
        (OCIBUILD, "auth", "explain", "--json", HOST),
        (OCIBUILD, "auth", "check", "--json", f"{HOST}/team/base:1"),
        (OCIBUILD, "docker-config", "--json", "config", HOST),
        (PROGRAMS / "build", "--explain", "--json", "."),
    ],
    ids=lambda command: " ".join(map(str, command[1:3])),
)
def test_nothing_but_the_result_is_on_stdout(alone: Demo, token: str, command: tuple[str, ...]) -> None:
    (alone.home / "Dockerfile").write_text(f"FROM {HOST}/team/base:1\n")
    ended = alone.run(*command, DEMO_TOKEN=token, DEMO_MODE="prints")
    assert json.loads(ended.stdout)
    assert "to descriptor 1" in ended.stderr
    assert "from a child" in ended.stderr


def test_no_core_dump_has_the_secret_in_it(alone: Demo, token: str) -> None:
    probe = "import resource, sys\nprint('limit', resource.getrlimit(resource.RLIMIT_CORE)[0], file=sys.stderr)\n"
    alone.module("demo_plugin", probe + (alone.site / "demo_plugin.py").read_text())
    raised = ("sh", "-c", 'ulimit -Sc "$(ulimit -Hc)"; exec "$@"', "sh")
    ended = alone.run(*raised, HELPER, "get", question=HOST, DEMO_TOKEN=token)
    assert (ended.returncode, ended.stderr) == (0, "limit 0\n")


def test_a_client_that_has_gone_is_no_fault(alone: Demo, token: str) -> None:
    script = f"echo {HOST} | {{ {HELPER} get; echo $? >&2; }} | true"
    ended = alone.run("sh", "-c", f"sleep 0.1; {script}", DEMO_TOKEN=token)
    assert ended.stderr == "0\n"
