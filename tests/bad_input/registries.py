"""What registries say to a login, and who else gets to see it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from bad_input.case import Case, case
from ocibuild_testkit.registry import Identity, TokenAuth
from support.engine_scene import PATIENCE, Scene

if TYPE_CHECKING:
    from ocibuild_testkit.registry import RegistryServer


def on(registry: RegistryServer) -> tuple[str, dict[str, str]]:
    """A Dockerfile on the registry's image, and the environment that trusts the registry."""
    registry.push_image("team/base:1", files={"x": "y"})
    trust = {"REGISTRY_CA": f"{registry.address}={registry.ca_file}", "REG_URL": registry.url}
    return f"FROM {registry.reference('team/base:1')}\n", trust


def refused(given: Case, dockerfile: str, *says: str, **env: str) -> None:
    """A build that the registry ends: exit code 3, and all of `says`."""
    ended = given.build(dockerfile=dockerfile, **env)
    assert ended.returncode == 3, ended
    missing = [text for text in says if text not in ended.stderr]
    assert not missing, f"{missing} not in: {ended.stderr}"


@case("401/403 from registry after build")
def _(given: Case) -> None:
    basic = given.fixture("tls_registry")
    dockerfile, trust = on(basic)
    refused(given, dockerfile, f"{basic.address} asks for a login, and no credential was configured for it", **trust)
    wrong = {"LOGIN": "PASS", "PASS": f"alice:{given.token}"}
    refused(given, dockerfile, basic.address, "plugin 'basic'", "does not accept the credential", **trust, **wrong)
    reader = Identity(username="reader", password=given.token, pull=("other/*",), push=())
    bearer = given.fixture("registry_factory")(auth=TokenAuth([reader]), tls=given.fixture("tls_authority"))
    dockerfile, trust = on(bearer)
    may_not = {"LOGIN": "PASS", "PASS": f"reader:{given.token}"}
    refused(given, dockerfile, bearer.address, "plugin 'basic'", "lacks the permission", **trust, **may_not)


@case("identity token on Basic registry")
def _(given: Case) -> None:
    basic = given.fixture("tls_registry")
    dockerfile, trust = on(basic)
    given.demo.docker_config({"auths": {basic.address: {"identitytoken": given.token}}})
    refused(
        given, dockerfile, basic.address, "identity token", f"do     give {basic.address} user and password", **trust
    )


def wait_until_there(path: Path) -> None:
    """An engine's socket is there as soon as it takes calls."""
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@case("buildkitd remote/shared")
def _(given: Case) -> None:
    place = given.sandbox / "elsewhere"
    place.mkdir()
    with Scene(place, None).start(pause=600) as running:
        socket = Path(running.wait_for_fact("runtime")) / "buildkitd.sock"
        wait_until_there(socket)
        address = f"unix://{socket}"
        env = {"BUILDKIT_HOST": address, "LOGIN": "PASS", "PASS": f"u:{given.token}", "REG_URL": "r.own.example"}
        said = given.builds(**env)
    assert f"the BuildKit at {address} is shown the password: r.own.example" in said
