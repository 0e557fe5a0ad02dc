"""`PASS`, and what stands in it."""

from __future__ import annotations

import json

from bad_input.case import HOST, OTHER, Case, case
from support.demo import login

HUB = "https://index.docker.io/v1/"
SAYS_WHAT_IS_EXPECTED = "PASS must be user:password"


def given_by_helper(given: Case, text: str, says: str = "", **env: str) -> str:
    """The password that the helper finds in PASS for the user `u`."""
    ended = given.demo.helper("get", question=HUB, LOGIN="PASS", PASS=text, **env)
    assert ended.returncode == 0, ended
    assert says in ended.stderr
    assert bool(says) == bool(ended.stderr)
    given.watcher.check(ended.stderr, "the helper's stderr")
    found = json.loads(ended.stdout)
    assert found["ServerURL"] == HUB
    return found["Secret"]  # type: ignore[no-any-return]


def refused(given: Case, text: str, *says: str) -> None:
    """A build with this PASS ends before the solve, and says so without showing it."""
    given.fails(3, "plugin 'basic'", "PASS", *says, LOGIN="PASS", PASS=text)


@case("`PASS` without colon")
def _(given: Case) -> None:
    refused(given, given.token, SAYS_WHAT_IS_EXPECTED)


@case("colon(s) in password")
def _(given: Case) -> None:
    assert given_by_helper(given, f"u:a:{given.token}::b") == f"a:{given.token}::b"


@case("empty user (`:pw`)")
def _(given: Case) -> None:
    refused(given, f":{given.token}", "user name is empty")
    given.demo.docker_config({"auths": {OTHER: login("", given.token)}})
    given.fails(3, "username is empty", OTHER, host=OTHER)


@case("empty password (`u:`)")
def _(given: Case) -> None:
    refused(given, "u:", "password is empty")
    given.demo.docker_config({"auths": {OTHER: login("u", "")}})
    given.fails(3, "secret is empty", OTHER, host=OTHER)


@case("`PASS` empty string / only white space with LOGIN=PASS")
def _(given: Case) -> None:
    for text in ("", " \n\t"):
        refused(given, text, "LOGIN=PASS but PASS is empty")


@case("`PASS` set, LOGIN unset")
def _(given: Case) -> None:
    said = given.builds(PASS=f"u:{given.token}")
    assert said.count("warning: PASS is ignored: set LOGIN=PASS") == 1


@case("trailing newline in PASS (YAML block, secret file)")
def _(given: Case) -> None:
    for end in ("\n", "\r\n"):
        assert given_by_helper(given, f"u:{given.token}{end}", says="PASS ends with a line end") == given.token
    path = given.demo.home / "pass"
    path.write_text(f"u:{given.token}\n")
    ended = given.demo.helper("get", question=HUB, LOGIN="PASS", BASIC_PASS_FILE=str(path))
    assert json.loads(ended.stdout)["Secret"] == given.token
    refused(given, f"u:{given.token}\n\n", "line end")
    refused(given, f"u:a\n{given.token}", "line end")
    key = f'{{\n  "private_key": "{given.token}"\n}}'
    assert given_by_helper(given, f"_json_key:{key}\n", says="line end") == key


@case("leading/trailing spaces")
def _(given: Case) -> None:
    assert given_by_helper(given, f"u:  {given.token} ") == f"  {given.token} "
    for user in (" u", "u u", "u\t", "u\x07"):
        refused(given, f"{user}:{given.token}", "white space or a control character")


@case("non-ASCII password")
def _(given: Case) -> None:
    password = f'pä$$ wörd\\"密{given.token}'
    assert given_by_helper(given, f"u:{password}") == password
    assert given.demo.get(HOST, DEMO_TOKEN=password)["Secret"] == password
    given.fails(3, "plugin 'basic'", "not UTF-8", LOGIN="PASS", PASS=f"u:{given.token}\udcff")
    given.fails(3, "not UTF-8", LOGIN="demo", DEMO_TOKEN=given.token + "\udcff")


@case("very long secret (ECR SSO > 2.5 kB, JSON key 2.4 kB, up to 64 kB)")
def _(given: Case) -> None:
    long = given.token * (65536 // len(given.token))
    assert given_by_helper(given, f"u:{long}") == long
    assert given.demo.get(HOST, DEMO_TOKEN=long)["Secret"] == long
    refused(given, f"u:{long}{given.token}", "longer than 64 KiB")
    given.fails(4, "longer than 65536 bytes", DEMO_TOKEN=long + given.token, LOGIN="demo")
