from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ocibuild_core.credentials import Credential, CredentialKind
from ocibuild_core.registry.check import CheckResult, RegistryCheck, Verdict
from ocibuild_core.registry.http import HttpClient
from ocibuild_core.registry.reference import ImageReference, parse_reference
from ocibuild_core.secret import Secret
from ocibuild_testkit.httpd import Handler, HttpServer
from ocibuild_testkit.registry import (
    Authority,
    Identity,
    PasswordAuth,
    RegistryServer,
    TokenAuth,
)

RIGHT = Credential(username="alice", secret=Secret("right-password"))
WRONG = Credential(username="alice", secret=Secret("wrong-password"))
READER = Credential(username="reader", secret=Secret("reader-password"))
STRANGER = Credential(username="stranger", secret=Secret("stranger-password"))


@pytest.fixture(scope="module")
def basic() -> Iterator[RegistryServer]:
    with RegistryServer(auth=PasswordAuth({"alice": "right-password"}), tls=Authority()) as registry:
        registry.push_image("team/base:1", files={"x": "y"})
        yield registry


@pytest.fixture(scope="module")
def bearer() -> Iterator[RegistryServer]:
    accounts = [
        Identity(username="alice", password="right-password", identity_token="alices-identity-token"),
        Identity(username="reader", password="reader-password", push=()),
        Identity(username="stranger", password="stranger-password", pull=(), push=()),
    ]
    with RegistryServer(auth=TokenAuth(accounts), tls=Authority()) as registry:
        registry.push_image("team/base:1", files={"x": "y"})
        yield registry


@pytest.fixture(scope="module")
def open_registry() -> Iterator[RegistryServer]:
    with RegistryServer() as registry:
        registry.push_image("team/base:1", files={"x": "y"})
        yield registry


def check(registry: RegistryServer, credential: Credential | None) -> RegistryCheck:
    ca_file = registry.ca_file if registry.authority else None
    http = HttpClient(ca_files=[ca_file] if ca_file else (), timeout=5)
    return RegistryCheck(registry.address, credential, http=http, plain_http=not ca_file)


def image(registry: RegistryServer, name: str = "team/base:1") -> ImageReference:
    return parse_reference(registry.reference(name))


@pytest.mark.parametrize(
    ("credential", "verdict"),
    [(RIGHT, Verdict.OK), (WRONG, Verdict.WRONG_PASSWORD), (None, Verdict.NO_CREDENTIAL)],
)
def test_a_password_registry(basic: RegistryServer, credential: Credential | None, verdict: Verdict) -> None:
    found = check(basic, credential)
    assert found.login().verdict is verdict
    assert found.pull(image(basic)).verdict is verdict
    assert found.push(image(basic)).verdict is verdict


@pytest.mark.parametrize(
    ("credential", "login", "pull", "push"),
    [
        (RIGHT, Verdict.OK, Verdict.OK, Verdict.OK),
        (READER, Verdict.OK, Verdict.OK, Verdict.NO_PERMISSION),
        (STRANGER, Verdict.OK, Verdict.NO_PERMISSION, Verdict.NO_PERMISSION),
        (WRONG, Verdict.WRONG_PASSWORD, Verdict.WRONG_PASSWORD, Verdict.WRONG_PASSWORD),
    ],
)
def test_a_token_registry(
    bearer: RegistryServer, credential: Credential, login: Verdict, pull: Verdict, push: Verdict
) -> None:
    found = check(bearer, credential)
    assert found.login().verdict is login
    assert found.pull(image(bearer)).verdict is pull
    assert found.push(image(bearer)).verdict is push


def test_an_identity_token_is_traded_at_a_token_registry_and_refused_by_a_password_registry(
    basic: RegistryServer, bearer: RegistryServer
) -> None:
    token = Credential(username="", secret=Secret("alices-identity-token"), kind=CredentialKind.IDENTITY_TOKEN)
    assert check(bearer, token).pull(image(bearer)).verdict is Verdict.OK
    refused = check(basic, token).login()
    assert (refused.verdict, "identity token" in refused.detail) == (Verdict.WRONG_PASSWORD, True)


def test_an_image_that_is_not_there(basic: RegistryServer) -> None:
    assert check(basic, RIGHT).pull(image(basic, "team/other:1")).verdict is Verdict.NOT_FOUND


def test_a_registry_for_everybody(open_registry: RegistryServer) -> None:
    assert check(open_registry, None).pull(image(open_registry)).verdict is Verdict.ANONYMOUS_OK
    assert check(open_registry, RIGHT).push(image(open_registry)).verdict is Verdict.ANONYMOUS_OK


def test_an_untrusted_certificate_is_said(basic: RegistryServer) -> None:
    result = RegistryCheck(basic.address, RIGHT, http=HttpClient(timeout=5)).login()
    assert result.verdict is Verdict.UNREACHABLE
    assert "certificate is not trusted" in result.detail


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    result = RegistryCheck(address, None, http=HttpClient(timeout=2), plain_http=True).login()
    assert (result.verdict, result.detail) == (Verdict.UNREACHABLE, "Connection refused")


def test_a_token_becomes_known_to_whoever_masks(bearer: RegistryServer) -> None:
    learned: list[Secret] = []
    http = HttpClient(ca_files=[bearer.ca_file], timeout=5)
    RegistryCheck(bearer.address, RIGHT, http=http, learned=learned.append).login()
    assert len(learned) == 1
    assert learned[0].reveal().count(".") == 2


def answering(
    *answers: tuple[int, dict[str, str], bytes], authority: Authority | None = None
) -> tuple[HttpServer, list[tuple[str, str | None]]]:
    """A server that gives these answers in turn, and what it was asked, with which authorization."""
    waiting, asked = list(answers), []

    class Odd(Handler):
        def _answer(self) -> None:
            self.body()
            asked.append((self.command, self.headers.get("Authorization")))
            status, headers, content = waiting.pop(0)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_DELETE = _answer  # noqa: N815  # the base class looks for these names

    return HttpServer(Odd, authority=authority), asked


@contextmanager
def serving(server: HttpServer) -> Iterator[None]:
    server.start()
    try:
        yield
    finally:
        server.stop()


def pushed_to(server: HttpServer) -> Verdict:
    address = f"127.0.0.1:{server.port}"
    check = RegistryCheck(address, RIGHT, http=HttpClient(timeout=5), plain_http=True)
    return check.push(parse_reference(f"{address}/team/new:1")).verdict


@pytest.mark.parametrize(
    "location", ["https://127.0.0.1:{port}/v2/u/1", "http://localhost:{port}/v2/u/1", "http://[bad"]
)
def test_the_credential_goes_to_no_address_that_the_registry_names_elsewhere(location: str) -> None:
    asks = (401, {"WWW-Authenticate": 'Basic realm="x"'}, b"")
    headers: dict[str, str] = {}
    server, asked = answering(asks, (202, headers, b""))
    with serving(server):
        headers["Location"] = location.format(port=server.port)
        assert pushed_to(server) is Verdict.OK
    assert [method for method, _ in asked] == ["POST", "POST"]


@pytest.mark.parametrize("realm", ["https://[bad", "https://a b/", "file:///etc/passwd", ""])
def test_a_token_server_without_an_address_is_unreachable(realm: str) -> None:
    server, _ = answering((401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'}, b""))
    with serving(server):
        assert pushed_to(server) is Verdict.UNREACHABLE


def test_a_token_server_that_answers_nonsense_is_unreachable() -> None:
    headers: dict[str, str] = {}
    server, _ = answering((401, headers, b""), (200, {}, b"[" * 900_000))
    with serving(server):
        headers["WWW-Authenticate"] = f'Bearer realm="http://127.0.0.1:{server.port}/token"'
        assert pushed_to(server) is Verdict.UNREACHABLE


def pulled_from(server: HttpServer, *, ca_file: Path | None = None) -> CheckResult:
    http = HttpClient(ca_files=[ca_file] if ca_file else (), timeout=5)
    check = RegistryCheck(server.address, RIGHT, http=http, plain_http=not ca_file)
    return check.pull(parse_reference(f"{server.address}/team/base:1"))


def test_a_manifest_that_is_elsewhere_is_asked_for_there(open_registry: RegistryServer) -> None:
    """As registry.k8s.io has it."""
    there = {"Location": f"{open_registry.url}/v2/team/base/manifests/1"}
    server, _ = answering((307, there, b""))
    with serving(server):
        assert pulled_from(server) == CheckResult(verdict=Verdict.ANONYMOUS_OK)


@pytest.mark.parametrize(("status", "verdict"), [(200, Verdict.OK), (404, Verdict.NOT_FOUND)])
def test_a_redirect_takes_the_credential_along_on_the_same_server_alone(status: int, verdict: Verdict) -> None:
    asks = (401, {"WWW-Authenticate": 'Basic realm="x"'}, b"")
    headers: dict[str, str] = {}
    other, asked_there = answering((status, {}, b""))
    server, asked = answering(asks, (307, {"Location": "/v2/elsewhere"}, b""), (307, headers, b""))
    with serving(server), serving(other):
        headers["Location"] = f"{other.url}/v2/team/base/manifests/1"
        assert pulled_from(server).verdict is verdict
    assert [bool(authorization) for _, authorization in asked] == [False, True, True]
    assert asked_there == [("HEAD", None)]


def test_a_redirect_from_tls_to_none_takes_no_credential_along(tmp_path: Path) -> None:
    authority = Authority()
    asks = (401, {"WWW-Authenticate": 'Basic realm="x"'}, b"")
    headers: dict[str, str] = {}
    other, asked_there = answering((200, {}, b""))
    server, asked = answering(asks, (302, headers, b""), authority=authority)
    with serving(server), serving(other):
        headers["Location"] = f"{other.url}/v2/"
        assert pulled_from(server, ca_file=authority.write(tmp_path / "ca.pem")).verdict is Verdict.OK
    assert [bool(authorization) for _, authorization in asked] == [False, True]
    assert asked_there == [("HEAD", None)]


def test_a_server_elsewhere_that_wants_a_login_says_nothing_of_this_credential() -> None:
    headers: dict[str, str] = {}
    other, asked_there = answering((401, {"WWW-Authenticate": 'Basic realm="x"'}, b""))
    server, _ = answering((307, headers, b""))
    with serving(server), serving(other):
        headers["Location"] = f"{other.url}/v2/"
        result = pulled_from(server)
    assert result.verdict is Verdict.UNREACHABLE
    assert result.detail == "it redirects to 127.0.0.1, which wants a login of its own"
    assert asked_there == [("HEAD", None)]


@pytest.mark.parametrize("location", ["/v2/again", "http://[bad", "file:///etc/passwd"])
def test_a_redirect_that_leads_nowhere_is_unreachable(location: str) -> None:
    server, asked = answering(*[(307, {"Location": location}, b"")] * 11)
    with serving(server):
        assert pulled_from(server).verdict is Verdict.UNREACHABLE
    assert len(asked) == (11 if location.startswith("/") else 1)


def test_an_upload_is_not_begun_elsewhere() -> None:
    server, asked = answering((307, {"Location": "/v2/elsewhere"}, b""))
    with serving(server):
        assert pushed_to(server) is Verdict.UNREACHABLE
    assert len(asked) == 1


def test_a_registry_that_refuses_without_asking_for_a_login_is_said() -> None:
    """It has not been shown the credential, and a build would not show it either."""
    body = b'{"errors": [{"message": "not from here"}]}'
    server, asked = answering((403, {}, body), (403, {}, b""))
    with serving(server):
        address = f"{server.address}/team/new:1"
        told = RegistryCheck(server.address, RIGHT, http=HttpClient(timeout=5), plain_http=True)
        found = told.push(parse_reference(address))
        assert (found.verdict, found.detail) == (
            Verdict.NO_PERMISSION,
            "not from here; it refuses without asking for a login",
        )
        nobody = RegistryCheck(server.address, None, http=HttpClient(timeout=5), plain_http=True)
        assert nobody.push(parse_reference(address)).verdict is Verdict.NO_CREDENTIAL
    assert [authorization for _, authorization in asked] == [None, None]
