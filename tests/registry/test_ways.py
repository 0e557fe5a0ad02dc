"""How registries are spoken to, held against real ones: each way reaches its own registry and no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ocibuild_core.registry.check import Verdict
from ocibuild_core.registry.ways import Way, Ways, is_loopback, open_check
from ocibuild_testkit.registry import Authority, RegistryServer


@pytest.fixture(scope="module")
def plain() -> Iterator[RegistryServer]:
    with RegistryServer() as registry:
        yield registry


@pytest.fixture(scope="module")
def encrypted() -> Iterator[RegistryServer]:
    with RegistryServer(tls=Authority()) as registry:
        yield registry


def asked(registry: RegistryServer, way: Way) -> tuple[Verdict, str]:
    result = open_check(registry.address, None, way, seconds=5).login()
    return result.verdict, result.detail


def test_a_registry_that_nothing_is_said_about_has_tls_unless_it_is_on_loopback() -> None:
    ways = Ways({})
    assert ways.to("r.example") == Way()
    assert ways.to("127.0.0.1:5000") == Way(plain_http=True)
    assert Ways({"registry": {"127.0.0.1:5000": {"mirrors": ["m"]}}}).to("127.0.0.1:5000").plain_http


def test_tables_are_found_by_any_spelling_of_the_registry() -> None:
    tables = {
        "https://R.example:443": {"ca": ["/one.pem", "/two.pem"]},
        "127.0.0.1:5000": {"http": False, "insecure": True},
        "registry-1.docker.io": {"mirrors": ["m.example"]},
        "broken.example": "text",
    }
    ways = Ways({"registry": tables, "worker": {"oci": {}}})
    assert ways.to("r.example") == Way(ca_files=(Path("/one.pem"), Path("/two.pem")))
    assert ways.to("127.0.0.1:5000") == Way(is_insecure=True)
    assert ways.to("docker.io") == Way(mirrors=("m.example",))
    assert ways.to("broken.example") == Way()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.8.7", True),
        ("[::1]", True),
        ("[::ffff:127.0.0.1]", True),
        ("127.example.com", False),
        ("my.localhost", False),
        ("[::2]", False),
        ("10.0.0.1", False),
    ],
)
def test_what_loopback_is(host: str, expected: bool) -> None:  # noqa: FBT001  # of a table
    assert is_loopback(host) is expected


def test_a_registry_without_tls(plain: RegistryServer) -> None:
    assert asked(plain, Way(plain_http=True)) == (Verdict.ANONYMOUS_OK, "")
    assert asked(plain, Way())[0] is Verdict.UNREACHABLE


def test_one_of_several_authorities_is_enough(encrypted: RegistryServer, tmp_path: Path) -> None:
    other = Authority().write(tmp_path / "other.pem")
    assert asked(encrypted, Way(ca_files=(other, encrypted.ca_file))) == (Verdict.ANONYMOUS_OK, "")
    verdict, detail = asked(encrypted, Way(ca_files=(other,)))
    assert verdict is Verdict.UNREACHABLE
    assert "certificate is not trusted" in detail


def test_an_authority_that_cannot_be_read_is_named(encrypted: RegistryServer, tmp_path: Path) -> None:
    empty, missing = tmp_path / "empty.pem", tmp_path / "missing.pem"
    empty.write_text("nothing")
    assert asked(encrypted, Way(ca_files=(empty,))) == (Verdict.UNREACHABLE, f"{empty}: no certificate")
    assert asked(encrypted, Way(ca_files=(missing,)))[1] == f"{missing}: No such file or directory"


def test_an_insecure_registry_is_believed_whoever_signed(encrypted: RegistryServer) -> None:
    assert asked(encrypted, Way(is_insecure=True)) == (Verdict.ANONYMOUS_OK, "")


def test_http_and_insecure_together_try_tls_first(encrypted: RegistryServer, plain: RegistryServer) -> None:
    both = Way(is_insecure=True, plain_http=True)
    assert [open_check(one.address, None, both, seconds=5).is_plain_http for one in (encrypted, plain)] == [False, True]
    assert asked(encrypted, both) == asked(plain, both) == (Verdict.ANONYMOUS_OK, "")
