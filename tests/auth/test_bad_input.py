"""Bad and odd input of logins: what each gets, through the installed programs. The ids are the cases' own words."""

from __future__ import annotations

import base64
import json
import os
import stat
import sys
import time
from typing import TYPE_CHECKING

import pytest
from support.demo import Demo, login
from support.users import OrdinaryUser

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.programs import ProgramRunner

    Check = Callable[["Case"], None]

HOST = "r.demo.example"
CASES: dict[str, Check] = {}


class Case:
    """What a check works with.

    Args:
        demo: a home with the plugin `demo`.
        token: a secret that is watched.
        run: runs programs as another user.
        user: that user.
    """

    def __init__(self, demo: Demo, token: str, run: ProgramRunner, user: OrdinaryUser) -> None:
        self.demo = demo
        self.token = token
        self.run = run
        self.user = user

    def fails(self, code: int, *texts: str, host: str = HOST, **env: str) -> str:
        """Asking for `host` ends with `code`, and all of `texts` are said; no traceback is. Gives all that was said."""
        ended = self.demo.explain(host, **env)
        said = ended.stdout + ended.stderr
        assert ended.returncode == code, said
        missing = [text for text in texts if text not in said]
        assert not missing, f"{missing} not in: {said}"
        assert "Traceback" not in said
        return said

    def answer(self, host: str = HOST, *, says: str = "", **env: str) -> str:
        """The user that answers for `host`, or "anonymous"; `says` is on stderr, which is empty without it."""
        ended = self.demo.explain("--json", host, **env)
        assert ended.returncode == 0, ended
        assert says in ended.stderr, ended.stderr
        assert bool(says) == bool(ended.stderr), ended.stderr
        (found,) = json.loads(ended.stdout)
        return found["username"] or found["identity"]  # type: ignore[no-any-return]

    @property
    def entry(self) -> dict[str, str]:
        """An entry of a docker config with the secret in it, for the user `config`."""
        return login("config", self.token)


def case(text: str) -> Callable[[Check], Check]:
    def add(check: Check) -> Check:
        CASES[text] = check
        return check

    return add


@pytest.mark.parametrize("check", CASES.values(), ids=CASES.keys())
def test_bad_input(
    check: Check, sandbox: Path, fresh_secret: Callable[[], str], run: ProgramRunner, ordinary_user: OrdinaryUser
) -> None:
    check(Case(Demo(sandbox / "d"), fresh_secret(), run, ordinary_user))


@case("`LOGIN=ecr` lower/mixed case, spaces, `LOGIN=ECR,PASS`")
def _(given: Case) -> None:
    given.demo.install("other")
    env = {"DEMO_TOKEN": given.token, "OTHER_TOKEN": given.token}
    for spelling in ("demo", "DEMO", " Demo ", "OTHER, demo", "other-ALIAS,demo,"):
        assert given.answer(LOGIN=spelling, **env) == "demo-user"


@case("unknown LOGIN/`--login`")
def _(given: Case) -> None:
    given.fails(4, "LOGIN", "'demmo'", "did you mean 'demo'", "installed:", "pip install", LOGIN="demmo")
    given.fails(4, "pip install", LOGIN="a-name-that-nothing-has")


@case("plugin requested but its import fails (boto3 missing)")
def _(given: Case) -> None:
    given.demo.install("cloud", "import a_module_that_is_not_there\n")
    given.fails(4, "plugin 'cloud' (cloud-plugin 1.0)", "a_module_that_is_not_there", "pip install", LOGIN="cloud")


@case("broken plugin installed but not requested")
def _(given: Case) -> None:
    for name, source in (("a", "import none_such"), ("b", "def"), ("c", "raise SystemExit(3)"), ("e", "1/0")):
        given.demo.install(name, source)
    assert given.answer(DEMO_TOKEN=given.token) == "demo-user"


@case("upper-case host")
def _(given: Case) -> None:
    given.demo.docker_config({"auths": {"R.Other.Example": given.entry}})
    assert given.answer("r.other.example") == "config"
    assert given.answer("R.OTHER.EXAMPLE") == "config"
    assert given.answer(HOST.upper(), DEMO_TOKEN=given.token) == "demo-user"


@case("explicit `:443` / `:80`")
def _(given: Case) -> None:
    given.demo.docker_config({"auths": {"a.example:443": given.entry, "b.example": given.entry}})
    assert given.answer("a.example") == "config"
    assert given.answer("b.example:443") == "config"
    assert given.answer("b.example:80", says="another registry") == "anonymous"


@case("port mismatch (`localhost` vs `localhost:5077`)")
def _(given: Case) -> None:
    given.demo.docker_config({"auths": {"localhost:5077": given.entry}})
    assert given.answer("localhost", says="there is one for localhost:5077") == "anonymous"
    assert given.answer("localhost:5077") == "config"


@case("automatic provider A raises, B ok")
def _(given: Case) -> None:
    given.demo.docker_config({"auths": {"r.other.example": given.entry}})
    for mode in ("fails", "raises", "exits", "malformed"):
        assert given.answer(DEMO_TOKEN=given.token, DEMO_MODE=mode) == "anonymous"
    assert given.answer("r.other.example", DEMO_MODE="fails") == "config"


@case("provider explicit raises")
def _(given: Case) -> None:
    given.demo.install("other")
    env = {"DEMO_TOKEN": given.token, "LOGIN": "demo,other"}
    given.fails(3, "plugin 'demo' (demo-plugin 1.0): the service is down", "wait", DEMO_MODE="fails", **env)
    given.fails(4, "plugin 'demo' (demo-plugin 1.0)", "raised ValueError", DEMO_MODE="raises", **env)
    ended = given.demo.explain(HOST, "r.other.example", DEMO_MODE="fails", OTHER_MODE="fails", **env)
    said = ended.stdout + ended.stderr
    assert (ended.returncode, said.count("the service is down")) == (3, 2), said


@case("provider returns a malformed Credential")
def _(given: Case) -> None:
    env = {"DEMO_TOKEN": given.token, "LOGIN": "demo"}
    given.fails(4, "plugin 'demo' (demo-plugin 1.0)", "a value of type tuple", DEMO_MODE="malformed", **env)


@case("provider hangs")
def _(given: Case) -> None:
    for mode in ("hangs", "hangs in a pool"):
        started = time.monotonic()
        given.fails(3, "no answer", "0.5 s", DEMO_MODE=mode, LOGIN="demo", LOGIN_TIMEOUT="500ms")
        assert time.monotonic() - started < 20


@case("existing `credsStore` in user config")
def _(given: Case) -> None:
    given.demo.helpers.add("store", user="stored", secret=given.token)
    given.demo.docker_config({"credsStore": "store"})
    assert given.answer(LOGIN="demo", DEMO_TOKEN=given.token, says=f"{HOST}: plugin 'demo'") == "demo-user"
    assert given.answer("docker.io", LOGIN="demo", DEMO_TOKEN=given.token) == "stored"
    assert given.demo.helpers.questions("store") == ["https://index.docker.io/v1/"]


@case("existing credHelpers entry for our host")
def _(given: Case) -> None:
    given.demo.helpers.add("mine", user="mine", secret=given.token)
    given.demo.docker_config({"credHelpers": {HOST: "mine"}})
    assert given.answer(LOGIN="demo", DEMO_TOKEN=given.token, says="credHelpers name 'mine'") == "demo-user"
    assert given.answer(DEMO_TOKEN=given.token) == "mine"


@case("credsStore binary missing")
def _(given: Case) -> None:
    path = given.demo.docker_config({"credsStore": "gone"})
    says = f"{path} names credsStore 'gone', but docker-credential-gone is not on PATH; install docker-credential-gone"
    assert given.answer("r.other.example", says=says) == "anonymous"
    assert given.answer(DEMO_TOKEN=given.token, says=says) == "demo-user"


@case("binary of an exact `credHelpers` entry missing, host needed")
def _(given: Case) -> None:
    path = given.demo.docker_config({"credHelpers": {"r.other.example": "gone"}})
    given.fails(3, str(path), "docker-credential-gone is not on PATH", "r.other.example", host="r.other.example")
    assert given.answer(DEMO_TOKEN=given.token) == "demo-user"


@case("config.json invalid JSON")
def _(given: Case) -> None:
    path = given.demo.docker_config('{"auths": {\n  "r.other.example": {"auth": ' + given.token + "}}}")
    given.fails(2, str(path), "line 2, column 3", host="r.other.example")


@case("one bad base64 entry for another host")
def _(given: Case) -> None:
    given.demo.docker_config({"auths": {"bad.example": {"auth": given.token + "!"}, "good.example": given.entry}})
    assert given.answer("good.example", says="the entry for bad.example is dropped") == "config"
    given.fails(3, "no base64", "bad.example", host="bad.example")


@case('empty file, `null`, `[]`, `{"auths":null}`')
def _(given: Case) -> None:
    for text in ("", "null", '{"auths":null}', "{}"):
        given.demo.docker_config(text)
        assert given.answer("r.other.example") == "anonymous"
    path = given.demo.docker_config("[]")
    given.fails(2, str(path), "a JSON array, not an object", host="r.other.example")


@case("symlinked config.json (k8s secret `..data`)")
def _(given: Case) -> None:
    path = given.demo.docker_config({"auths": {"r.other.example": given.entry}})
    data = path.parent / "..2030_01_02" / "config.json"
    data.parent.mkdir()
    path.rename(data)
    (path.parent / "..data").symlink_to(data.parent.name)
    path.symlink_to("..data/config.json")
    before = data.read_bytes()
    assert given.answer("r.other.example") == "config"
    assert data.read_bytes() == before
    assert path.is_symlink()


@case("config world-readable / owned by other uid")
def _(given: Case) -> None:
    path = given.demo.docker_config({"auths": {"r.other.example": given.entry}}, mode=0o644)
    assert given.answer("r.other.example", says=f"chmod 600 {path}") == "config"
    path.chmod(0o600)
    os.chown(path, given.user.uid, given.user.gid)
    assert given.answer("r.other.example", says=f"another user (uid {given.user.uid})") == "config"


@case("unreadable (EACCES)")
def _(given: Case) -> None:
    given.demo.directory.parent.chmod(0o755)
    path = given.demo.docker_config("{}", mode=0o000)
    given.demo.home.chmod(0o755)
    home, elsewhere = str(given.demo.home), given.demo.directory
    usual = given.run("ocibuild", "auth", "explain", "r.example", cwd=elsewhere, user=given.user, env={"HOME": home})
    assert f"warning: the docker config {path} is ignored: Permission denied" in usual.succeeded().stderr
    named = {"DOCKER_CONFIG": str(path.parent)}
    ended = given.run("ocibuild", "auth", "explain", "r.example", cwd=elsewhere, user=given.user, env=named)
    assert f"the docker config {path} cannot be read" in ended.ended_with(2).stderr


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
    del given.demo.env["HOME"]
    assert given.answer(DEMO_TOKEN=given.token) == "demo-user"
    given.demo.home.chmod(0o700)


@case("`DOCKER_AUTH_CONFIG` present")
def _(given: Case) -> None:
    given.demo.docker_config({"auths": {"r.other.example": login("file", given.token), HOST: given.entry}})
    variable = json.dumps({"auths": {"r.other.example": given.entry, HOST: given.entry}})
    notice = "DOCKER_AUTH_CONFIG comes before the docker config"
    assert given.answer("r.other.example", DOCKER_AUTH_CONFIG=variable, says=notice) == "config"
    env = {"LOGIN": "demo", "DEMO_TOKEN": given.token}
    assert given.answer(DOCKER_AUTH_CONFIG=variable, says="not DOCKER_AUTH_CONFIG", **env) == "demo-user"
    broken = '{"auths": ' + given.token
    assert given.answer("r.other.example", DOCKER_AUTH_CONFIG=broken, says="DOCKER_AUTH_CONFIG is ignored") == "file"


@case("`REGISTRY_AUTH_FILE` / podman auth.json only")
def _(given: Case) -> None:
    document = json.dumps({"auths": {"r.other.example": given.entry}})
    path = given.demo.home / "auth.json"
    path.write_text(document)
    path.chmod(0o600)
    assert given.answer("r.other.example", REGISTRY_AUTH_FILE=str(path)) == "config"
    usual = given.demo.home / "run" / "containers" / "auth.json"
    usual.parent.mkdir(parents=True)
    path.rename(usual)
    assert given.answer("r.other.example") == "config"
    usual.write_text(json.dumps({"auths": {"r.other.example/team": given.entry}}))
    assert given.answer("r.other.example", says="r.other.example/team is ignored") == "anonymous"


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


@case("generated config has zero auths")
def _(given: Case) -> None:
    lines = given.demo.python(COMPOSE, "r.other.example").stdout.splitlines()
    assert json.loads(lines[1]) == {"auths": {}, "credsStore": "ocibuild"}
    assert lines[2] == "credentials not found in native keychain"


@case("secret in build cache/outputs")
def _(given: Case) -> None:
    inside = given.demo.home / "tmp"
    inside.mkdir()
    place = given.demo.python(COMPOSE, "r.other.example", TMPDIR=str(inside)).stdout.splitlines()[0]
    assert not place.startswith(str(given.demo.home))


@case("crash / SIGKILL leaves dir")
def _(given: Case) -> None:
    given.demo.docker_config({"auths": {"r.other.example": given.entry}})
    ended = given.demo.python(COMPOSE, "r.other.example", "die")
    assert ended.returncode == -9
    left = next(given.demo.directory.glob("ocibuild-*"))
    assert stat.S_IMODE(left.stat().st_mode) == 0o700
    assert not [path for path in left.rglob("*") if path.is_file() and given.token in path.read_text()]
    given.demo.python(COMPOSE, "r.other.example")
    assert not left.exists()


@case("socket path over 107 bytes (deep TMPDIR)")
def _(given: Case) -> None:
    deep = given.demo.directory / ("d" * 100)
    deep.mkdir()
    place, _, *answer = given.demo.python(COMPOSE, "r.other.example", TMPDIR=str(deep)).stdout.splitlines()
    assert len(place) < 90
    assert answer == ["credentials not found in native keychain"]


@case("token already expired / expires before estimate")
def _(given: Case) -> None:
    env = {"LOGIN": "demo", "DEMO_TOKEN": given.token}
    given.fails(3, "plugin 'demo' (demo-plugin 1.0)", "expired at", "clock", DEMO_MODE="expired", **env)
    assert given.answer(DEMO_LIFE="20m", says="ends in 20.0 min", **env) == "demo-user"
    assert given.answer(DEMO_LIFE="2m", says="BuildKit may use it for 5 min", **env) == "demo-user"
    assert given.answer(DEMO_LIFE="31m", **env) == "demo-user"


@case("secret inside exception chain")
def _(given: Case) -> None:
    given.fails(4, "raised ValueError", DEMO_MODE="raises", DEMO_TOKEN=given.token, LOGIN="demo")
    bad = base64.b64encode(given.token.encode()).decode()
    given.demo.docker_config({"auths": {"r.other.example": {"auth": bad}}})
    given.fails(3, "not user:password", host="r.other.example")


@case("secret in argv")
def _(given: Case) -> None:
    given.demo.helpers.add_script(
        "mine",
        "import json\n"
        "arguments = open('/proc/%d/cmdline' % os.getppid()).read() + open('/proc/self/cmdline').read()\n"
        "user = 'leak' if os.environ['DEMO_TOKEN'] in arguments else 'clean'\n"
        "print(json.dumps({'Username': user, 'Secret': 'x'}))",
    )
    given.demo.docker_config({"credHelpers": {"r.other.example": "mine"}})
    assert given.answer("r.other.example", DEMO_TOKEN=given.token) == "clean"
    ended = given.demo.explain(HOST, "--password", "x")
    assert (ended.returncode, "No such option" in ended.stderr) == (2, True)


@case("helper prints log line on stdout")
def _(given: Case) -> None:
    ended = given.demo.helper("get", question=HOST, DEMO_TOKEN=given.token, DEMO_MODE="prints")
    assert json.loads(ended.stdout)["Username"] == "demo-user"
    assert "to stdout" not in ended.stdout


@case("`registrytoken` in the user's config for a needed host")
def _(given: Case) -> None:
    path = given.demo.docker_config({"auths": {"r.other.example": {"registrytoken": given.token}}})
    given.fails(3, str(path), "'registrytoken', which no credential helper can hand on", host="r.other.example")


@case("the user's config names our own helper")
def _(given: Case) -> None:
    document = {
        "credsStore": "ocibuild",
        "credHelpers": {"r.other.example": "ocibuild"},
        "auths": {"r.other.example": given.entry},
    }
    given.demo.docker_config(document)
    assert given.answer("r.other.example") == "config"
    assert given.demo.get("r.other.example")["Username"] == "config"
    assert given.answer("r.third.example") == "anonymous"


@case("non-ASCII password")
def _(given: Case) -> None:
    password = f'pä$$ wörd\\"密{given.token}'
    assert given.demo.get(HOST, DEMO_TOKEN=password)["Secret"] == password
    given.demo.env["DEMO_TOKEN"] = given.token + "\udcff"
    given.fails(3, "not UTF-8", LOGIN="demo")


@case("very long secret (ECR SSO > 2.5 kB, JSON key 2.4 kB, up to 64 kB)")
def _(given: Case) -> None:
    long = given.token * (65536 // len(given.token))
    assert given.demo.get(HOST, DEMO_TOKEN=long)["Secret"] == long
    given.fails(4, "longer than 65536 bytes", DEMO_TOKEN=long + given.token, LOGIN="demo")


@case("secret in logs / tracebacks / `--debug` botocore logs")
def _(given: Case) -> None:
    assert given.answer(DEMO_TOKEN=given.token, DEMO_MODE="warns", says="the token is ********") == "demo-user"


@case("empty password (`u:`)")
def _(given: Case) -> None:
    given.demo.docker_config({"auths": {"r.other.example": login("u", "")}})
    given.fails(3, "secret is empty", "r.other.example", host="r.other.example")


@case("empty user (`:pw`)")
def _(given: Case) -> None:
    given.demo.docker_config({"auths": {"r.other.example": login("", given.token)}})
    given.fails(3, "username is empty", "r.other.example", host="r.other.example")


@case("needed host has no credential")
def _(given: Case) -> None:
    assert given.answer("r.other.example") == "anonymous"
    program = (
        "from support.auth_parts import resolver_of\n"
        "resolver_of(login=['none']).require([], pushed=['r.other.example'])\n"
    )
    tests = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120  # a text for PYTHONPATH
    ended = given.demo.python(program, PYTHONPATH=f"{given.demo.env['PYTHONPATH']}:{tests}")
    assert ended.stderr == "r.other.example: the build pushes to it, and there is no credential for it\n", sys.path
