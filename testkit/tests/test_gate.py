"""The gated registry, and the proxy that gives servers of the test real-looking names."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from ocibuild_testkit.clock import FakeClock
from ocibuild_testkit.proxy import NameProxy
from ocibuild_testkit.registry import (
    Authority,
    GatedRegistry,
    GateManners,
    Identity,
    IssuedPasswords,
    Refusal,
    RegistryClient,
    RegistryError,
    basic_header,
    build_image,
    digest_of,
)
from ocibuild_testkit.registry.images import push

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
LONG = "x" * 4000


@pytest.fixture
def passwords(fake_clock: FakeClock) -> IssuedPasswords:
    return IssuedPasswords(fake_clock)


@pytest.fixture
def gated(passwords: IssuedPasswords, tls_authority: Authority, tmp_path: Path) -> Iterator[GatedRegistry]:
    with GatedRegistry(passwords, tls=tls_authority, directory=tmp_path) as registry:
        yield registry


def client(registry: GatedRegistry, username: str, password: str) -> RegistryClient:
    """A client that comes to the gate like anybody."""
    return RegistryClient(
        registry.address,
        connect_to=("127.0.0.1", registry.port),
        authority=registry.authority,
        authorize=lambda _: basic_header(username, password),
    )


def test_each_issued_password_opens_to_its_last_byte(gated: GatedRegistry, passwords: IssuedPasswords) -> None:
    gated.push_image("team/base:1", files={"a": "a"})
    for end in "12":
        passwords.issue(Identity(username="AWS", password=LONG + end))

    for end in "12":
        assert client(gated, "AWS", LONG + end).tags("team/base") == ("1",)
    for username, password in (("AWS", LONG + "3"), ("AWS", LONG), ("aws", LONG + "1"), ("", "")):
        with pytest.raises(RegistryError, match="gave 401"):
            client(gated, username, password).manifest("team/base", "1")

    passwords.revoke(LONG + "1")
    with pytest.raises(RegistryError, match="gave 401"):
        client(gated, "AWS", LONG + "1").manifest("team/base", "1")


def test_a_password_expires_by_the_clock(
    gated: GatedRegistry, passwords: IssuedPasswords, fake_clock: FakeClock
) -> None:
    gated.push_image("team/base:1", files={})
    passwords.issue(Identity(username="AWS", password=LONG), expires_at=fake_clock.now() + timedelta(hours=12))
    fake_clock.advance(12 * 3600 - 1)
    client(gated, "AWS", LONG).manifest("team/base", "1")

    fake_clock.advance(1)

    with pytest.raises(RegistryError, match=r"gave 403.*authorization token has expired"):
        client(gated, "AWS", LONG).manifest("team/base", "1")


def test_rights_are_those_of_the_identity(gated: GatedRegistry, passwords: IssuedPasswords) -> None:
    passwords.issue(Identity(username="AWS", password="writer", push=("team/*",)))
    passwords.issue(Identity(username="AWS", password="reader", pull=("team/*",), push=()))
    image = build_image({"a": "a"})

    pushed = push(client(gated, "AWS", "writer"), gated.address, "team/deep/app:1", image)
    assert client(gated, "AWS", "reader").manifest("team/deep/app", "1")[1] == image.manifest

    assert pushed.digest == digest_of(image.manifest)
    with pytest.raises(RegistryError, match="gave 403"):
        push(client(gated, "AWS", "writer"), gated.address, "other/app:1", image)
    with pytest.raises(RegistryError, match="gave 403"):
        push(client(gated, "AWS", "reader"), gated.address, "team/deep/app:2", image)
    gated.push_image("other/app:1", files={})
    with pytest.raises(RegistryError, match="gave 403"):
        client(gated, "AWS", "reader").manifest("other/app", "1")


def test_large_blobs_go_through_in_both_directions(gated: GatedRegistry, passwords: IssuedPasswords) -> None:
    passwords.issue(Identity(username="a", password="b"))
    content = bytes(range(256)) * 20_000

    digest = client(gated, "a", "b").push_blob("big", content)

    assert client(gated, "a", "b").blob("big", digest) == content


def test_chunked_uploads_go_through(gated: GatedRegistry, passwords: IssuedPasswords) -> None:
    passwords.issue(Identity(username="a", password="b"))
    speaker = client(gated, "a", "b")
    _, headers, _ = speaker._expect(202, "POST", "x", "blobs/uploads/")
    connection = speaker._connection()
    sent = {"Authorization": basic_header("a", "b"), "Content-Type": "application/octet-stream"}
    location = headers["location"]
    assert location.startswith(gated.url)

    connection.request("PATCH", location.removeprefix(gated.url), iter([b"one", b"two"]), sent, encode_chunked=True)
    response = connection.getresponse()

    assert response.status == 202
    assert response.headers["Range"] == "0-5"
    connection.close()


def test_it_refuses_as_it_is_told(passwords: IssuedPasswords) -> None:
    challenge = f'Basic realm="https://{HOST}/",service="ecr.amazonaws.com"'
    unknown = Refusal(status=401, code="UNAUTHORIZED", message="Not Authorized")
    with GatedRegistry(passwords, manners=GateManners(challenge=challenge, unknown=unknown)) as registry:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{registry.url}/v2/", timeout=10)
        with caught.value as answer:
            assert answer.headers["WWW-Authenticate"] == challenge
            assert b"Not Authorized" in answer.read()


def test_the_next_requests_can_be_made_to_fail(gated: GatedRegistry, passwords: IssuedPasswords) -> None:
    passwords.issue(Identity(username="a", password="b"))
    gated.fail_next(Refusal(status=429, code="TOOMANYREQUESTS", message="slow down", headers=(("Retry-After", "1"),)))

    with pytest.raises(RegistryError, match="gave 429"):
        client(gated, "a", "b").manifest("x", "1")
    with pytest.raises(RegistryError, match="gave 404"):
        client(gated, "a", "b").manifest("x", "1")
    seen = [(one.path, one.username, one.status) for one in gated.requests]
    assert seen == [("/v2/x/manifests/1", "a", 429), ("/v2/x/manifests/1", "a", 404)]


def test_a_real_looking_name_leads_to_the_test(
    passwords: IssuedPasswords, tls_authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords.issue(Identity(username="AWS", password=LONG))
    with (
        GatedRegistry(passwords, tls=tls_authority, host=HOST, bind="127.0.0.1") as registry,
        NameProxy({HOST: f"127.0.0.1:{registry.port}"}) as proxy,
    ):
        monkeypatch.setenv("https_proxy", proxy.url)
        context = tls_authority.client_context()
        request = urllib.request.Request(f"https://{HOST}/v2/", headers={"Authorization": basic_header("AWS", LONG)})
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.URLError, match="502"):
            urllib.request.urlopen("https://registry-1.docker.io/v2/", context=context, timeout=10)
        with pytest.raises(urllib.error.URLError) as caught:
            urllib.request.urlopen(f"https://{HOST}/v2/", context=ssl.create_default_context(), timeout=10)

    assert isinstance(caught.value.reason, ssl.SSLCertVerificationError)
    assert proxy.asked == (f"{HOST}:443", "registry-1.docker.io:443", f"{HOST}:443")
    assert registry.requests[0].host == HOST


def test_a_client_may_name_each_media_type_in_a_header_of_its_own(
    gated: GatedRegistry, passwords: IssuedPasswords, tls_authority: Authority
) -> None:
    gated.push_image("team/base:1", files={"a": "a"})
    passwords.issue(Identity(username="AWS", password=LONG))
    context = ssl.create_default_context(cadata=tls_authority.pem.decode())
    with closing(http.client.HTTPSConnection("127.0.0.1", gated.port, context=context, timeout=10)) as connection:
        connection.putrequest("GET", "/v2/team/base/manifests/1")
        connection.putheader("Authorization", basic_header("AWS", LONG))
        for kind in (
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.docker.distribution.manifest.v1+json",
        ):
            connection.putheader("Accept", kind)
        connection.endheaders()
        assert connection.getresponse().status == 200
