"""Providers that fail, hang, or give what they should not."""

from __future__ import annotations

import base64
import time

from bad_input.case import HOST, OTHER, Case, case
from support.demo import login

BLAME = "plugin 'demo' (demo-plugin 1.0)"


@case("automatic provider A raises, B ok")
def _(given: Case) -> None:
    given.demo.docker_config({"auths": {OTHER: given.entry}})
    for mode in ("fails", "raises", "exits", "malformed"):
        assert given.answer(DEMO_TOKEN=given.token, DEMO_MODE=mode) == "anonymous"
    assert given.answer(OTHER, DEMO_MODE="fails") == "config"
    told = given.fails_to_pull("-v", ".", DEMO_MODE="fails")
    assert sum("the service is down" in line for line in told.splitlines()) == 1, told
    assert "the service is down" not in given.fails_to_pull(".", DEMO_MODE="fails")


@case("provider explicit raises")
def _(given: Case) -> None:
    given.demo.install("other")
    env = {"DEMO_TOKEN": given.token, "LOGIN": "demo,other"}
    given.fails(3, f"{BLAME}: the service is down", "wait", DEMO_MODE="fails", **env)
    given.fails(4, BLAME, "raised ValueError", DEMO_MODE="raises", **env)
    both = given.build(
        dockerfile=f"FROM {HOST}/a\nCOPY --from={OTHER}/b / /\n", DEMO_MODE="fails", OTHER_MODE="fails", **env
    )
    assert (both.returncode, both.stderr.count("the service is down"), both.stdout) == (3, 2, ""), both


@case("provider returns a malformed Credential")
def _(given: Case) -> None:
    given.fails(4, BLAME, "a value of type tuple", DEMO_MODE="malformed", DEMO_TOKEN=given.token, LOGIN="demo")


@case("provider hangs")
def _(given: Case) -> None:
    for mode in ("hangs", "hangs in a pool"):
        started = time.monotonic()
        given.fails(3, BLAME, "no answer", "0.5 s", DEMO_MODE=mode, LOGIN="demo", LOGIN_TIMEOUT="500ms")
        # It hangs for ten minutes.
        assert time.monotonic() - started < 60
    explained = given.program("build", "--help").stdout.partition("--login-timeout")[2]
    assert " ".join(explained.split()).startswith("TIME How long one login may take. [env LOGIN_TIMEOUT, default 30s]")


@case("token already expired / expires before estimate")
def _(given: Case) -> None:
    env = {"LOGIN": "demo", "DEMO_TOKEN": given.token}
    given.fails(3, BLAME, "expired at", "clock", DEMO_MODE="expired", **env)
    assert given.answer(DEMO_LIFE="20m", says="ends in 20.0 min", **env) == "demo-user"
    assert given.answer(DEMO_LIFE="2m", says="BuildKit may use it for 5 min", **env) == "demo-user"
    assert given.answer(DEMO_LIFE="31m", **env) == "demo-user"


@case("secret inside exception chain")
def _(given: Case) -> None:
    given.fails(4, "raised ValueError", DEMO_MODE="raises", DEMO_TOKEN=given.token, LOGIN="demo")
    given.fails(4, "raised ValueError", DEMO_MODE="raises", DEMO_TOKEN=given.token, LOGIN="demo", argv="-v .")
    bad = base64.b64encode(given.token.encode()).decode()
    given.demo.docker_config({"auths": {OTHER: {"auth": bad}}})
    given.fails(3, "not user:password", OTHER, host=OTHER)


@case("needed host has no credential")
def _(given: Case) -> None:
    told = given.fails_to_pull("-v", ".", "--cache-from", f"type=registry,ref={OTHER}/cache")
    assert f"login  {HOST}: anonymous" in told
    assert f"login  {OTHER}: anonymous" in told
    ended = given.build(".", "-o", f"registry,name={OTHER}/x:1")
    assert f"warning: {OTHER}: the build pushes to it, and there is no credential for it" in ended.stderr
    given.demo.docker_config({"auths": {OTHER: login("u", given.token)}})
    assert "no credential" not in given.build(".", "-o", f"registry,name={OTHER}/x:1").stderr
