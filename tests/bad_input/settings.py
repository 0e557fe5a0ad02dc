"""Settings that come from where they should not."""

from __future__ import annotations

from bad_input.case import HOST, Case, case


@case("`ocibuild.yml` found in the context sets logins, plugins or env references")
def _(given: Case) -> None:
    path = given.work / "ocibuild.yml"
    for text in (
        "login: demo\n",
        "registries: {r.demo.example: demo}\n",
        "auth: {demo: {mode: fails}}\n",
        "plugins: {block: [ecr]}\n",
        'secrets: ["id=x,env=PASS"]\n',
        'secrets: ["id=x,src=/etc/shadow"]\n',
    ):
        path.write_text(text)
        given.fails(2, "ocibuild.yml", "--config", "~/.config/ocibuild.yml", DEMO_TOKEN=given.token)
    path.write_text("login: demo\n")
    env = {"DEMO_TOKEN": given.token, "DEMO_MODE": "fails"}
    given.fails(3, "the service is down", argv=f"--config {path} .", **env)
    path.unlink()
    given.demo.settings("login: demo\n")
    given.fails(3, "the service is down", host=HOST, **env)


@case("`DEBUG=app:*` in a laptop's environment, arguments given")
def _(given: Case) -> None:
    assert "warning: DEBUG" in given.builds(".", DEBUG="app:*")
    (given.work / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    ended = given.program("build", DEBUG="app:*")
    assert (ended.returncode, ended.stdout) == (2, ""), ended
    assert "DEBUG" in ended.stderr
