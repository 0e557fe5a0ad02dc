"""The user's own docker config, in all of its shapes."""

from __future__ import annotations

import json

from bad_input.case import HOST, OTHER, Case, case
from support.demo import login
from support.strangers import stranger


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
    assert given.answer(OTHER, says=says) == "anonymous"
    assert given.answer(DEMO_TOKEN=given.token, says=says) == "demo-user"
    assert says in given.fails_to_pull(".")


@case("binary of an exact `credHelpers` entry missing, host needed")
def _(given: Case) -> None:
    path = given.demo.docker_config({"credHelpers": {OTHER: "gone"}})
    given.fails(3, str(path), "docker-credential-gone is not on PATH", OTHER, host=OTHER)
    assert given.answer(DEMO_TOKEN=given.token) == "demo-user"


@case("config.json invalid JSON")
def _(given: Case) -> None:
    path = given.demo.docker_config('{"auths": {\n  "r.other.example": {"auth": ' + given.token + "}}}")
    given.fails(2, str(path), "line 2, column 3", host=OTHER)


@case("one bad base64 entry for another host")
def _(given: Case) -> None:
    given.demo.docker_config({"auths": {"bad.example": {"auth": given.token + "!"}, "good.example": given.entry}})
    assert given.answer("good.example", says="the entry for bad.example is dropped") == "config"
    given.fails(3, "no base64", "bad.example", host="bad.example")


@case('empty file, `null`, `[]`, `{"auths":null}`')
def _(given: Case) -> None:
    for text in ("", "null", '{"auths":null}', "{}"):
        given.demo.docker_config(text)
        assert given.answer(OTHER) == "anonymous"
    path = given.demo.docker_config("[]")
    given.fails(2, str(path), "a JSON array, not an object", host=OTHER)


@case("symlinked config.json (k8s secret `..data`)")
def _(given: Case) -> None:
    path = given.demo.docker_config({"auths": {OTHER: given.entry}})
    data = path.parent / "..2030_01_02" / "config.json"
    data.parent.mkdir()
    path.rename(data)
    (path.parent / "..data").symlink_to(data.parent.name)
    path.symlink_to("..data/config.json")
    before, names = data.read_bytes(), sorted(path.parent.rglob("*"))
    assert given.answer(OTHER) == "config"
    given.builds()
    assert data.read_bytes() == before
    assert path.is_symlink()
    assert sorted(path.parent.rglob("*")) == names


@case("config world-readable / owned by other uid")
def _(given: Case) -> None:
    path = given.demo.docker_config({"auths": {OTHER: given.entry}}, mode=0o644)
    assert given.answer(OTHER, says=f"chmod 600 {path}") == "config"
    path.chmod(0o644)
    uid = stranger(given.user).take(path)
    assert given.answer(OTHER, says=f"another user (uid {uid})") == "config"


@case("unreadable (EACCES)")
def _(given: Case) -> None:
    run = given.fixture("run")
    given.demo.directory.parent.chmod(0o755)
    path = given.demo.docker_config("{}", mode=0o000)
    given.demo.home.chmod(0o755)
    home, elsewhere = str(given.demo.home), given.demo.directory
    usual = run("ocibuild", "auth", "explain", "r.example", cwd=elsewhere, user=given.user, env={"HOME": home})
    assert f"warning: the docker config {path} is ignored: Permission denied" in usual.succeeded().stderr
    named = {"DOCKER_CONFIG": str(path.parent)}
    ended = run("ocibuild", "auth", "explain", "r.example", cwd=elsewhere, user=given.user, env=named)
    assert f"the docker config {path} cannot be read" in ended.ended_with(2).stderr


@case("`DOCKER_AUTH_CONFIG` present")
def _(given: Case) -> None:
    given.demo.docker_config({"auths": {OTHER: login("file", given.token), HOST: given.entry}})
    variable = json.dumps({"auths": {OTHER: given.entry, HOST: given.entry}})
    notice = "DOCKER_AUTH_CONFIG comes before the docker config"
    assert given.answer(OTHER, DOCKER_AUTH_CONFIG=variable, says=notice) == "config"
    env = {"LOGIN": "demo", "DEMO_TOKEN": given.token}
    assert given.answer(DOCKER_AUTH_CONFIG=variable, says="not DOCKER_AUTH_CONFIG", **env) == "demo-user"
    broken = '{"auths": ' + given.token
    assert given.answer(OTHER, DOCKER_AUTH_CONFIG=broken, says="DOCKER_AUTH_CONFIG is ignored") == "file"
    children = given.watch_engine()
    given.builds(DOCKER_AUTH_CONFIG=variable)
    assert children.ran("buildctl")
    assert "DOCKER_AUTH_CONFIG" not in children.text()


@case("`REGISTRY_AUTH_FILE` / podman auth.json only")
def _(given: Case) -> None:
    document = json.dumps({"auths": {OTHER: given.entry}})
    path = given.demo.home / "auth.json"
    path.write_text(document)
    path.chmod(0o600)
    assert given.answer(OTHER, REGISTRY_AUTH_FILE=str(path)) == "config"
    usual = given.demo.home / "run" / "containers" / "auth.json"
    usual.parent.mkdir(parents=True)
    path.rename(usual)
    assert given.answer(OTHER) == "config"
    usual.write_text(json.dumps({"auths": {f"{OTHER}/team": given.entry}}))
    assert given.answer(OTHER, says=f"{OTHER}/team is ignored") == "anonymous"


@case("`registrytoken` in the user's config for a needed host")
def _(given: Case) -> None:
    path = given.demo.docker_config({"auths": {OTHER: {"registrytoken": given.token}}})
    given.fails(3, str(path), "'registrytoken', which no credential helper can hand on", host=OTHER)
