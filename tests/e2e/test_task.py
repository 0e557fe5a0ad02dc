"""The installed `ocibuild task` from outside: a request on stdin, an answer in a file."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.cli.task import read_request
from support.images import read_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocibuild_testkit.registry import PasswordAuth, RegistryServer
    from support.programs import ProgramRunner, Run

pytestmark = pytest.mark.e2e


@pytest.fixture
def work(sandbox: Path) -> Path:
    directory = sandbox / "work"
    (directory / "image").mkdir(parents=True)
    (directory / "Dockerfile").write_text("FROM scratch AS one\nARG A\nLABEL a=$A\nFROM scratch\nCOPY Dockerfile /\n")
    return directory


class Task:
    """Sends a request to the task."""

    def __init__(self, run: ProgramRunner, work: Path) -> None:
        self._run = run
        self.work = work
        self.response = work / "response.json"

    def __call__(self, config: object, *, env: Mapping[str, str] | None = None, after: str = "") -> Run:
        return self.send(json.dumps({"response_path": str(self.response), "config": config}) + after, env=env)

    def send(self, stdin: str, *, env: Mapping[str, str] | None = None) -> Run:
        return self._run("ocibuild", "task", stdin=stdin, env=env, cwd=self.work)


@pytest.fixture
def task(run: ProgramRunner, work: Path) -> Task:
    return Task(run, work)


def test_a_request_is_built_and_answered(task: Task) -> None:
    result = task({"target": "one", "build_args": ["A=1,2"], "Labels": ["b=3"], "unknown": [1]}, after="\nnot json")
    result.succeeded()
    assert result.stdout.startswith("#1 [internal] load build definition from Dockerfile")
    image = read_image(task.work / "image" / "image.tar")
    assert image.config["config"]["Labels"] == {"a": "1,2", "b": "3"}
    assert task.response.read_bytes() == b'{"outputs":["image","cache"]}\n'


def test_the_environment_says_nothing_of_what_is_built(task: Task) -> None:
    task({}, env={"TARGET": "one", "BUILD_ARG_A": "x", "LABEL_b": "3", "CONTEXT": "missing"}).succeeded()
    image = read_image(task.work / "image" / "image.tar")
    assert list(image.files) == ["Dockerfile"]
    assert "Labels" not in image.config["config"]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"target": 5}, "request: target: a number where a text is expected"),
        ({"build_args": {"A": 1}}, "request: build_args: a number where a text is expected"),
        ({"debug": "yes"}, "request: debug: a text where true or false is expected"),
        ({"labels": True}, "request: labels: a boolean where"),
        ([], "request: config: a list where an object is expected"),
        ({"target": [1, "a"]}, "request: target: a number where"),
        ({"target": ["a"]}, "request: target: a list where a text is expected\n"),
        ({"dockerfile": "-"}, "stdin is already read by the request"),
        ({"login": "PASS", "pass": "bob:x", "reg_url": True}, "request: reg_url: a boolean where a text is expected"),
        ({"region": {"a": 1}}, "request: region: a mapping where a text is expected"),
        ({"registries": True}, "request: registries: a boolean where a list or a text is expected"),
        ({"registries": [123456789012]}, "request: registries: a number where a text is expected"),
    ],
)
def test_a_wrong_type_is_an_error_and_nothing_is_answered(config: object, says: str, task: Task) -> None:
    assert says in task(config).ended_with(2).stderr
    assert not task.response.exists()


@pytest.mark.parametrize(
    "stdin", ["", "{", "[]", '{"config": {}}', '{"response_path": "missing/x"}', '{"response_path": "a\\u0000b"}']
)
def test_a_malformed_request_is_an_error(stdin: str, task: Task) -> None:
    assert task.send(stdin).ended_with(2).stdout == ""


@pytest.mark.parametrize("path", [".", "image", "/proc/response", "Dockerfile/response", "x" * 256, "/dev/null"])
def test_a_response_that_cannot_be_written_is_an_error_before_the_build(path: str, task: Task) -> None:
    result = task.send(json.dumps({"response_path": path})).ended_with(2)
    assert "request: response_path: " in result.stderr
    assert result.stdout == ""
    assert sorted(file.name for file in task.work.iterdir()) == ["Dockerfile", "image"]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("Dockerfile", "it would replace Dockerfile"),
        (".dockerignore", "it would replace .dockerignore"),
        ("link", "it would replace Dockerfile"),
        ("args", "it would replace args, which the build reads"),
        ("image/image.tar", "the build writes {work}/image/image.tar"),
        ("image/digest", "the build writes {work}/image/digest"),
        ("image/rootfs/response", "the build writes {work}/image/rootfs"),
        ("cache/index.json", "the build writes {work}/cache"),
    ],
)
def test_a_response_does_not_take_the_place_of_what_is_read_or_written(path: str, why: str, task: Task) -> None:
    (task.work / "image" / "rootfs").mkdir()
    (task.work / "cache").mkdir()
    (task.work / "args").write_text("A=1\n")
    (task.work / ".dockerignore").write_text("args\n")
    (task.work / "link").symlink_to("Dockerfile")
    before = (task.work / "Dockerfile").read_text()
    config = {"build_args_file": "args", "unpack_rootfs": True}
    result = task.send(json.dumps({"response_path": path, "config": config})).ended_with(2)
    assert f"the response cannot go to {path}\n  why    {why.format(work=task.work)}\n" in result.stderr
    assert result.stdout == ""
    assert (task.work / "Dockerfile").read_text() == before
    assert not list(task.work.glob("image/*.tar"))


@pytest.mark.parametrize("path", ["response.json", "image/response.json", "link"])
def test_a_response_may_go_beside_the_outputs_and_over_an_earlier_one(path: str, task: Task) -> None:
    (task.work / "response.json").write_text("{}" * 100)
    (task.work / "link").symlink_to("not-there-yet")
    task.send(json.dumps({"response_path": path, "config": {"target": "one"}})).succeeded()
    assert json.loads((task.work / path).read_text()) == {"outputs": ["image", "cache"]}
    assert (task.work / "link").is_symlink()


def test_what_is_no_request_is_named_as_json_does(task: Task) -> None:
    assert "the request on stdin is null where an object is expected" in task.send("null").ended_with(2).stderr


def test_a_failed_build_is_not_answered(task: Task) -> None:
    (task.work / "Dockerfile").write_text("FROM scratch\nCOPY missing /\n")
    task({}).ended_with(1)
    assert not task.response.exists()


@pytest.mark.parametrize("where", ["request", "environment"])
def test_it_logs_in(where: str, task: Task, tls_registry: RegistryServer) -> None:
    auth: PasswordAuth = tls_registry.auth  # type: ignore[assignment]
    base = tls_registry.push_image("team/base:1", files={"f": b"private"})
    (task.work / "Dockerfile").write_text(f"FROM {base.reference}\nCOPY Dockerfile /\n")
    login = {"LOGIN": "PASS", "PASS": f"alice:{auth.users['alice']}", "REG_URL": tls_registry.url}
    env = {"REGISTRY_CA": f"{tls_registry.address}={tls_registry.ca_file}"}
    if where == "environment":
        task({}, env={**env, **login}).succeeded()
    else:
        # The environment's login is another's, and does not count beside the request's.
        config = {name.lower(): value for name, value in login.items()}
        task(config, env={**env, "LOGIN": "ECR", "PASS": "bob:wrong"}).succeeded()
    assert read_image(task.work / "image" / "image.tar").files["f"] == b"private"


def test_what_follows_the_request_is_not_waited_for(sandbox: Path) -> None:
    reading, writing = os.pipe()
    request = json.dumps({"response_path": f"{sandbox}/r", "config": {"target": "one"}}).encode()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as pipe:
        pipe.write(request[:20])
        threading.Timer(0.1, pipe.write, [request[20:] + b"\n\xff"]).start()
        assert read_request(stream).config == {"target": "one"}
