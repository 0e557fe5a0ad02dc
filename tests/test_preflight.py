"""Every image is asked for as BuildKit will ask, and nobody who answers slowly keeps the run."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.errors import CredentialError, OcibuildError
from ocibuild_core.plugin import Match
from ocibuild_core.preflight import ImageCheck, check_images
from ocibuild_core.registry.check import Verdict
from ocibuild_core.registry.ways import Ways
from ocibuild_testkit.httpd import Handler, HttpServer
from ocibuild_testkit.registry import PasswordAuth, RegistryServer
from support.auth_parts import Teller, credential, resolver_of
from support.programs import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ocibuild_testkit.registry_fixtures import RegistryFactory
    from support.programs import ProgramRunner


@pytest.fixture
def upstream(registry_factory: RegistryFactory) -> RegistryServer:
    return registry_factory()


@pytest.fixture
def mirror(registry_factory: RegistryFactory, fresh_secret: Callable[[], str]) -> RegistryServer:
    """Has `cached/team/base:1`, for alice alone."""
    registry = registry_factory(auth=PasswordAuth({"alice": fresh_secret()}))
    registry.push_image("cached/team/base:1", files={"x": "y"})
    return registry


def ways(upstream: RegistryServer, *mirrors: str) -> Ways:
    return Ways({"registry": {upstream.address: {"mirrors": list(mirrors)}}})


def asked(upstream: RegistryServer, known: Ways, *tellers: Teller, push: bool = False) -> ImageCheck:
    names = [upstream.reference("team/base:1")]
    pulls, pushes = ([], names) if push else (names, [])
    found = check_images(pulls, pushes, resolver=resolver_of(*tellers), ways=known)[0]
    assert isinstance(found, ImageCheck), found
    return found


def login(mirror: RegistryServer, *, right: bool = True) -> Teller:
    assert isinstance(mirror.auth, PasswordAuth)
    answer = credential("alice", mirror.auth.users["alice"]) if right else CredentialError("the vault is closed")
    return Teller("vault", answer, match={mirror.address: Match.SPECIFIC})


def test_an_image_that_its_mirror_alone_has_can_be_pulled(upstream: RegistryServer, mirror: RegistryServer) -> None:
    known = ways(upstream, f"{mirror.address}/cached")
    found = asked(upstream, known, login(mirror))
    assert found.result.verdict is Verdict.OK
    assert found.result.detail == f"from its mirror {mirror.address}"
    assert found.who.startswith("user alice")
    assert asked(upstream, known, push=True).result.verdict is Verdict.ANONYMOUS_OK


def test_mirrors_are_told_whom_they_stand_for(upstream: RegistryServer) -> None:
    paths: list[str] = []

    class Proxy(Handler):
        def do_HEAD(self) -> None:  # noqa: N802  # named by the base class
            paths.append(self.path)
            self.reply(404, {})

    proxy = HttpServer(Proxy)
    proxy.start()
    asked(upstream, ways(upstream, proxy.address))
    proxy.stop()
    assert paths == [f"/v2/team/base/manifests/1?ns={upstream.address.replace(':', '%3A')}"]


@pytest.mark.parametrize("right", [True, False])
def test_where_no_mirror_has_it_the_registry_decides(
    upstream: RegistryServer, mirror: RegistryServer, *, right: bool
) -> None:
    known = ways(upstream, mirror.address)
    missing = asked(upstream, known, login(mirror, right=right)).result
    assert missing.verdict is Verdict.NOT_FOUND
    assert missing.detail.endswith(f"its mirror {mirror.address}: {'not found' if right else 'no credential'}")
    upstream.push_image("team/base:1", files={"x": "y"})
    found = asked(upstream, known, login(mirror, right=right)).result
    assert (found.verdict, found.detail) == (Verdict.ANONYMOUS_OK, "")


@pytest.fixture
def dripping() -> Iterator[HttpServer]:
    """Answers a byte at a time: each comes within every limit for one read."""

    class Dripping(Handler):
        def do_HEAD(self) -> None:  # noqa: N802  # named by the base class
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while True:
                self.wfile.write(b"x")
                time.sleep(0.05)

    server = HttpServer(Dripping)
    server.start()
    yield server
    server.stop()


def test_a_registry_that_never_ends_its_answer_is_given_up(dripping: HttpServer) -> None:
    image = f"{dripping.address}/team/base:1"
    found = check_images([image], [], resolver=resolver_of(), ways=Ways({}), seconds_in_all=0.3)[0]
    assert not isinstance(found, OcibuildError)
    assert (found.result.verdict, found.result.detail) == (Verdict.UNREACHABLE, "no whole answer within 0.3 s")


@pytest.mark.e2e
def test_a_signal_ends_the_run_while_a_registry_answers(
    dripping: HttpServer, run: ProgramRunner, sandbox: Path
) -> None:
    image = f"{dripping.address}/team/base:1"
    command = (PROGRAMS / "ocibuild", "auth", "check", image)
    with subprocess.Popen(command, cwd=sandbox, env=run.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as check:
        with pytest.raises(subprocess.TimeoutExpired):
            check.wait(3)
        check.send_signal(signal.SIGTERM)
        began = time.monotonic()
        code = check.wait(20)
    assert time.monotonic() - began < 2
    assert code == 128 + signal.SIGTERM
