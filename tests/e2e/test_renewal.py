"""A credential of six minutes in a build that takes longer: it pulls, waits, and pushes past the credential's end.

python -m pytest tests/e2e/test_renewal.py -m long
"""

from __future__ import annotations

import http.server
import json
import secrets
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from ocibuild_testkit.registry import PasswordAuth, RegistryServer, busybox_files
from support.demo import Demo
from support.programs import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ocibuild_testkit.leaks import LeakWatcher
    from ocibuild_testkit.registry import Authority
    from ocibuild_testkit.registry_fixtures import RegistryFactory

pytestmark = [pytest.mark.e2e, pytest.mark.long]

LIFE = timedelta(minutes=6)
WAIT = 400

PLUGIN = """
import json, urllib.request
from datetime import datetime
from ocibuild_core.plugin import AuthProvider, Credential, Match, Option, Secret, hookimpl

class Provider(AuthProvider):
    name = "mint"
    summary = "Asks the test for a new account."
    options = (Option(name="url", help="Where"),)
    def match(self, registry, options):
        return Match.SPECIFIC if options.text("url") else Match.NO
    def get(self, request):
        with urllib.request.urlopen(request.options.text("url"), timeout=request.remaining()) as answer:
            given = json.load(answer)
        end = datetime.fromisoformat(given["expires_at"])
        return Credential(username=given["username"], secret=Secret(given["password"]), expires_at=end)

@hookimpl
def ocibuild_auth_providers():
    return [Provider()]
"""


class Mint:
    """Makes accounts of a registry that end after six minutes.

    Args:
        auth: the registry's accounts.
        fresh_secret: makes passwords.
    """

    def __init__(self, auth: PasswordAuth, fresh_secret: Callable[[], str]) -> None:
        self.made: list[str] = []
        self._auth = auth
        self._fresh_secret = fresh_secret
        self._lock = threading.Lock()

    def __call__(self) -> dict[str, str]:
        with self._lock:
            name = f"user{len(self.made) + 1}"
            self.made.append(name)
            password = self._fresh_secret()
            self._auth.set_password(name, password)
            timer = threading.Timer(LIFE.total_seconds(), self._auth.remove, [name])
            timer.daemon = True
            timer.start()
        return {"username": name, "password": password, "expires_at": (datetime.now(UTC) + LIFE).isoformat()}


@pytest.fixture
def server(registry_factory: RegistryFactory, tls_authority: Authority) -> RegistryServer:
    return registry_factory(auth=PasswordAuth({"setup": secrets.token_hex(8)}), tls=tls_authority)


@pytest.fixture
def mint(server: RegistryServer, fresh_secret: Callable[[], str]) -> Mint:
    assert isinstance(server.auth, PasswordAuth)
    return Mint(server.auth, fresh_secret)


@pytest.fixture
def mint_url(mint: Mint) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(mint()).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
            del format, args

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_address[1]}/"
        serving.shutdown()


def test_a_build_goes_on_past_the_end_of_its_first_credential(
    server: RegistryServer, mint: Mint, mint_url: str, sandbox: Path, leak_watcher: LeakWatcher
) -> None:
    base = server.push_image("team/base:1", files=busybox_files())
    demo = Demo(sandbox / "d")
    demo.install("mint", PLUGIN)
    work = demo.home / "work"
    work.mkdir()
    (work / "Dockerfile").write_text(f"FROM {base.reference}\nRUN echo {time.time()} && sleep {WAIT}\n")
    demo.seconds = WAIT + 120
    demo.env |= {
        "PATH": f"{PROGRAMS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "MINT_URL": mint_url,
        "REGISTRY_CA": f"{server.address}={server.ca_file}",
    }
    target = f"registry,name={server.reference('team/built:1')}"
    started = time.monotonic()
    ended = demo.run(PROGRAMS / "build", "--login", "mint", "-o", target, work)
    leak_watcher.check(ended.stdout, "stdout")
    leak_watcher.check(ended.stderr, "stderr")

    assert ended.returncode == 0, ended
    assert time.monotonic() - started > LIFE.total_seconds()
    let_in = [one for one in server.requests if one.status in (200, 201, 202)]
    pulled = {one.username for one in let_in if "/team/base/" in one.path and one.username != "setup"}
    pushed = {one.username for one in let_in if one.method == "PUT" and "/team/built/manifests/" in one.path}
    assert pulled == {"user1"}
    assert pushed == {mint.made[-1]} != {"user1"}
    assert not [one for one in server.requests if one.status == 401 and one.username]
