"""Names of plugins: `LOGIN`, `--login`, and plugins that are broken."""

from __future__ import annotations

import json

from bad_input.case import HOST, OTHER, Case, case

_WITNESS = "import pathlib\npathlib.Path({path!r}).open('a').write(__name__ + '\\n')\nraise ImportError(__name__)\n"


@case("`LOGIN=ecr` lower/mixed case, spaces, `LOGIN=ECR,PASS`")
def _(given: Case) -> None:
    given.demo.install("other")
    env = {"DEMO_TOKEN": given.token, "OTHER_TOKEN": given.token, "REG_URL": "r.own.example"}
    for spelling in ("demo", "DEMO", " Demo ", "OTHER, demo", "other-ALIAS,demo,"):
        assert given.answer(LOGIN=spelling, **env) == "demo-user"
    env["PASS"] = f"u:{given.token}"
    assert given.answer(LOGIN="demo", says="PASS is ignored: set LOGIN=PASS", **env) == "demo-user"
    for spelling in ("DEMO,PASS", " pass , Demo", "basic"):
        assert given.answer("r.own.example", LOGIN=spelling, **env) == "u"


@case("unknown LOGIN/`--login`")
def _(given: Case) -> None:
    given.fails(
        4,
        "LOGIN",
        "'demmo'",
        "did you mean 'demo'",
        "installed: basic, demo, demo-alias, ecr",
        "do     write demo",
        LOGIN="demmo",
    )
    told = given.fails(
        4, "--login", "'a-name-that-nothing-has'", "install the plugin", argv="--login a-name-that-nothing-has ."
    )
    assert "pip install" not in told  # a stranger may have registered it


@case("plugin requested but its import fails (boto3 missing)")
def _(given: Case) -> None:
    given.demo.install("cloud", "import a_module_that_is_not_there\n")
    given.fails(4, "plugin 'cloud' (cloud-plugin 1.0)", "a_module_that_is_not_there", "pip install", LOGIN="cloud")
    ended = given.build("-v", dockerfile=f"FROM {HOST}/x\n", LOGIN="cloud")
    assert (ended.returncode, "Traceback" in ended.stderr) == (4, True), ended
    missing = "raise ModuleNotFoundError(f'No module named {__name__!r}', name=__name__)\n"
    for module in ("boto3", "botocore"):
        given.demo.module(module, missing)
    amazons = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    given.fails(3, "plugin 'ecr' (ocibuild-ecr", "SDK is not installed", "pip install", host=amazons, LOGIN="ECR")


@case("broken plugin installed but not requested")
def _(given: Case) -> None:
    names = {"a": "import none_such", "b": "def", "c": "raise SystemExit(3)", "e": "1/0"}
    for name, source in names.items():
        given.demo.install(name, source)
    assert given.answer(DEMO_TOKEN=given.token) == "demo-user"
    assert "plugin" not in given.builds()
    told = [line for line in given.builds("-v", ".").splitlines() if "-plugin 1.0" in line]
    assert all(any(f"'{name}' ({name}-plugin 1.0)" in line for line in told) for name in names), told


@case("pip user has many plugins: start-up")
def _(given: Case) -> None:
    loaded = given.demo.home / "loaded"
    for number in range(20):
        given.demo.install(f"many{number}")
    for module in ("boto3", "botocore", "keyring", "google/auth"):
        given.demo.module(module, _WITNESS.format(path=str(loaded)))
    given.builds()
    for command in (("build", "--help"), ("ocibuild", "plugins"), ("docker-credential-ocibuild", "version")):
        assert given.program(*command).returncode == 0
    assert given.answer("r.many7.example", LOGIN="many7", MANY7_TOKEN=given.token) == "many7-user"
    assert not loaded.exists(), loaded.read_text()
    # They are in the way of whoever does ask for them.
    given.demo.helper("get", question=OTHER, LOGIN="basic")
    assert "keyring" in loaded.read_text()


@case("the user's config names our own helper")
def _(given: Case) -> None:
    document = {"credsStore": "ocibuild", "credHelpers": {OTHER: "ocibuild"}, "auths": {OTHER: given.entry}}
    given.demo.docker_config(document)
    assert given.answer(OTHER) == "config"
    assert given.demo.get(OTHER)["Username"] == "config"
    assert given.answer("r.third.example") == "anonymous"


@case("helper prints log line on stdout")
def _(given: Case) -> None:
    ended = given.demo.helper("get", question=HOST, DEMO_TOKEN=given.token, DEMO_MODE="prints")
    assert json.loads(ended.stdout)["Username"] == "demo-user"
    assert "to stdout" not in ended.stdout
    assert ended.stdout.count("\n") == 1
