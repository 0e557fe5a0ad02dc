"""Files of our own: where they lie, what is in them, and what is left of them."""

from __future__ import annotations

import json
import os
import stat

from bad_input.amazon import no_log_of_the_sdk
from bad_input.case import OTHER, Case, case

COMPOSE = """
import os, pathlib, subprocess, sys
from ocibuild_core.auth.broker import Broker
from ocibuild_core.auth.compose import compose
from ocibuild_core.auth.docker_config import load_user_config
from ocibuild_core.auth.login import parse_login
from ocibuild_core.auth.protocol import Responder
from ocibuild_core.auth.setup import make_resolver
from ocibuild_core.catalog import Catalog
from ocibuild_core.clock import SystemClock
config = load_user_config(os.environ, timeout=5)
resolver = make_resolver(
    login=parse_login(), catalog=Catalog(), options={}, config=config, env=os.environ, clock=SystemClock()
)
with compose(Broker(Responder(resolver.resolve)), env=os.environ, outside=[pathlib.Path.cwd()]) as composed:
    print(composed.directory, flush=True)
    print((composed.directory / "config.json").read_text(), flush=True)
    asked = subprocess.run(
        ["docker-credential-ocibuild", "get"], input=sys.argv[1], text=True, env=dict(composed.child_env), check=False
    )
    if len(sys.argv) > 2:
        os.kill(os.getpid(), 9)
"""


@case("read-only HOME, no HOME, HOME=/")
def _(given: Case) -> None:
    program = (
        "import os, pathlib\n"
        "from ocibuild_core.auth.private_dir import private_directory\n"
        "with private_directory(os.environ, outside=[pathlib.Path.cwd()]) as directory:\n"
        "    print(directory)\n"
    )
    given.demo.home.chmod(0o500)
    for env in ({}, {"HOME": "/"}, {"HOME": ""}, {"HOME": "/", "TMPDIR": "/proc"}):
        assert given.answer(DEMO_TOKEN=given.token, **env) == "demo-user"
        place = given.demo.python(program, **env)
        assert place.returncode == 0, place.stderr
        assert not os.path.exists(place.stdout.strip())  # noqa: PTH110  # what was printed
    given.builds(DEMO_TOKEN=given.token)
    del given.demo.env["HOME"]
    assert given.answer(DEMO_TOKEN=given.token) == "demo-user"
    given.demo.home.chmod(0o700)


@case("generated config has zero auths")
def _(given: Case) -> None:
    lines = given.demo.python(COMPOSE, OTHER).stdout.splitlines()
    assert json.loads(lines[1]) == {"auths": {}, "credsStore": "ocibuild"}
    assert lines[2] == "credentials not found in native keychain"


@case("secret in build cache/outputs")
def _(given: Case) -> None:
    inside = given.demo.home / "tmp"
    inside.mkdir()
    place = given.demo.python(COMPOSE, OTHER, TMPDIR=str(inside)).stdout.splitlines()[0]
    assert not place.startswith(str(given.demo.home))
    (given.work / "cache").mkdir()
    given.builds(
        dockerfile="FROM scratch\nCOPY . /\n", LOGIN="demo,basic", DEMO_TOKEN=given.token, PASS=f"u:{given.token}"
    )
    assert (given.work / "cache" / "index.json").exists()
    assert (given.work / "image" / "image.tar").exists()


@case("crash / SIGKILL leaves dir")
def _(given: Case) -> None:
    given.demo.docker_config({"auths": {OTHER: given.entry}})
    ended = given.demo.python(COMPOSE, OTHER, "die")
    assert ended.returncode == -9
    left = next(given.demo.directory.glob("ocibuild-*"))
    assert stat.S_IMODE(left.stat().st_mode) == 0o700
    assert not [path for path in left.rglob("*") if path.is_file() and given.token in path.read_text()]
    given.builds()
    assert not left.exists()


@case("socket path over 107 bytes (deep TMPDIR)")
def _(given: Case) -> None:
    deep = given.demo.directory / ("d" * 100)
    deep.mkdir()
    place, _, *answer = given.demo.python(COMPOSE, OTHER, TMPDIR=str(deep)).stdout.splitlines()
    assert len(place) < 90
    assert answer == ["credentials not found in native keychain"]
    given.builds(TMPDIR=str(deep))


@case("secret in argv")
def _(given: Case) -> None:
    given.demo.helpers.add_script(
        "mine",
        "import json\n"
        "arguments = open('/proc/%d/cmdline' % os.getppid()).read() + open('/proc/self/cmdline').read()\n"
        "user = 'leak' if os.environ['DEMO_TOKEN'] in arguments else 'clean'\n"
        "print(json.dumps({'Username': user, 'Secret': 'x'}))",
    )
    given.demo.docker_config({"credHelpers": {OTHER: "mine"}})
    assert given.answer(OTHER, DEMO_TOKEN=given.token) == "clean"
    for argv in (("--password", "x", "."), ("--basic-password", given.token, "."), ("--basic-pass", given.token, ".")):
        ended = given.build(*argv)
        assert (ended.returncode, ended.stdout) == (2, ""), ended
    children = given.watch_engine()
    given.builds("-o", "docker,dest=x.tar", ".", LOGIN="demo,PASS", DEMO_TOKEN=given.token, PASS=f"u:{given.token}")
    assert children.ran("buildctl", "buildkitd")
    assert "--local" in children.text()


@case("secret in env of children")
def _(given: Case) -> None:
    names = ("PASS", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN", "DEMO_TOKEN", "BASIC_PASSWORD")
    children = given.watch_engine()
    given.builds(DOCKER_AUTH_CONFIG=json.dumps({"auths": {OTHER: given.entry}}), **dict.fromkeys(names, given.token))
    assert children.ran("buildctl", "buildkitd")
    assert not [name for name in (*names, "DOCKER_AUTH_CONFIG") if f"{name}=" in children.text()]
    assert "PATH=" in children.text()


@case("secret in logs / tracebacks / `--debug` botocore logs")
def _(given: Case) -> None:
    assert given.answer(DEMO_TOKEN=given.token, DEMO_MODE="warns", says="the token is ********") == "demo-user"
    for argv in ("-vv .", "--debug ."):
        said = given.fails(4, "raised ValueError", argv=argv, LOGIN="demo", DEMO_TOKEN=given.token, DEMO_MODE="raises")
        assert given.token not in said
    no_log_of_the_sdk(given)
