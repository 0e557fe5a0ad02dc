"""How people write registries."""

from __future__ import annotations

from bad_input.case import HOST, Case, case


def of_pass(given: Case, url: str, registry: str, says: str = "") -> str:
    """Who answers for `registry` when PASS is for `url`."""
    return given.answer(registry, says=says, LOGIN="PASS", PASS=f"u:{given.token}", REG_URL=url)


@case("REG_URL default / `docker.io` / `index.docker.io` / `registry-1.docker.io` / `https://index.docker.io/v1`")
def _(given: Case) -> None:
    spellings = ("docker.io", "index.docker.io", "registry-1.docker.io", "https://index.docker.io/v1")
    for url in ("", *spellings):
        assert of_pass(given, url, "docker.io") == "u"
    for question in ("docker.io", "https://index.docker.io/v1/"):
        found = given.demo.get(question, LOGIN="PASS", PASS=f"u:{given.token}")
        assert (found["ServerURL"], found["Secret"]) == (question, given.token)


@case("REG_URL `https://host/v2/` or `host/path`")
def _(given: Case) -> None:
    for url in ("https://r.own.example/v2/", "r.own.example/v1/", "http://r.own.example"):
        assert of_pass(given, url, "r.own.example") == "u"
    assert of_pass(given, "r.own.example/team", "r.own.example", says="REG_URL: /team is ignored") == "u"


@case("REG_URL `user:pw@host`")
def _(given: Case) -> None:
    url = f"https://u:{given.token}@r.own.example"
    given.fails(2, "REG_URL", "user", LOGIN="PASS", PASS=f"u:{given.token}", REG_URL=url)


@case("REG_URL with query/fragment, spaces, `unix://`, `ftp://`")
def _(given: Case) -> None:
    for url in ("r.example?x", "https://r.example/#x", "r example", "unix:///r", "ftp://r.example"):
        given.fails(2, "REG_URL", LOGIN="PASS", PASS=f"u:{given.token}", REG_URL=url)


@case("upper-case host")
def _(given: Case) -> None:
    given.demo.docker_config({"auths": {"R.Other.Example": given.entry}})
    assert given.answer("r.other.example") == "config"
    assert given.answer("R.OTHER.EXAMPLE") == "config"
    assert given.answer(HOST.upper(), DEMO_TOKEN=given.token) == "demo-user"
    assert of_pass(given, "R.OWN.example", "r.own.EXAMPLE") == "u"


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
    env = {"LOGIN": "PASS", "PASS": f"u:{given.token}", "REG_URL": "r.own.example"}
    ended = given.demo.helper("get", question="r.own.example:5000", **env)
    assert (ended.returncode, ended.stdout) == (1, "credentials not found in native keychain\n"), ended
    assert "there is one for r.own.example, which is another registry" in ended.stderr
    given.demo.docker_config({"auths": {"r.own.example:5000": given.entry}})
    assert sorted(given.answers("r.own.example:5000", **env)) == ["config", "u"]
