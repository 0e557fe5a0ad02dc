"""What `doctor` is told of the instance metadata service."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from fake_aws import Keys, Machine
from fake_aws.asking import Asker
from ocibuild_core.plugin import Finding, ProviderContext, Secret, Severity

if TYPE_CHECKING:
    from collections.abc import Callable


def look(asker: Asker, **options: object) -> Finding:
    (found,) = asker.provider.diagnose(ProviderContext(**asker._context(options)))
    return found


@pytest.fixture
def nowhere() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_a_machine_with_a_role(nobody: Asker, user: Keys, fresh_secret: Callable[[], str]) -> None:
    with Machine(user, make_secret=fresh_secret) as machine:
        found = look(nobody.with_env(machine.instance_env()))
        assert found == Finding(severity=Severity.OK, what="the instance metadata service has the role node-role")
        assert [request.partition(" ")[0] for request in machine.requests] == ["PUT", "GET"]
        assert machine.session_token not in repr(found)


def test_a_machine_without_a_role_is_told_to_get_one_unless_it_has_keys(nobody: Asker) -> None:
    with Machine() as machine:
        bare = nobody.with_env(machine.instance_env())
        found = look(bare)
        assert (found.severity, found.do[:26]) == (Severity.WARNING, "attach an instance profile")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_DEFAULT_PROFILE"):
            assert look(bare.with_env({name: "something"})).severity is Severity.OK


def test_a_token_that_is_dropped_on_its_way_is_the_hop_limit(nobody: Asker, user: Keys) -> None:
    with Machine(user) as machine:
        machine.silent_to = {"PUT"}
        bare = nobody.with_env(machine.instance_env())
        found = look(bare)
        assert found.severity is Severity.FAILURE
        assert "HttpPutResponseHopLimit=2" in found.do
        assert look(bare.on_his_own()).severity is Severity.WARNING
        assert look(bare.with_env(AWS_WEB_IDENTITY_TOKEN_FILE="/token")).severity is Severity.WARNING
        assert look(bare, web_identity_token=Secret("a.b.c-of-somebody")).severity is Severity.WARNING


def test_one_that_says_nothing_at_all_is_no_hop_limit(nobody: Asker, user: Keys) -> None:
    with Machine(user) as machine:
        machine.silent_to = {"PUT", "GET"}
        found = look(nobody.with_env(machine.instance_env()))
        assert (found.severity, found.what) == (Severity.WARNING, "the instance metadata service does not answer")


def test_a_named_one_that_is_not_there(nobody: Asker, nowhere: str) -> None:
    found = look(nobody.with_env(AWS_EC2_METADATA_DISABLED="", AWS_EC2_METADATA_SERVICE_ENDPOINT=nowhere))
    assert (found.severity, found.why) == (Severity.WARNING, f"{nowhere}: Connection refused")


@pytest.mark.parametrize("endpoint", ["ftp://x", "http://[", "http://", "http://127.0.0.1:99999", "nonsense"])
def test_a_malformed_address_is_said(nobody: Asker, endpoint: str) -> None:
    found = look(nobody.with_env(AWS_EC2_METADATA_DISABLED="", AWS_EC2_METADATA_SERVICE_ENDPOINT=endpoint))
    assert found.severity is Severity.WARNING
    assert "AWS_EC2_METADATA_SERVICE_ENDPOINT" in found.do


def test_another_clouds_answer_is_no_concern(nobody: Asker) -> None:
    with Machine() as machine:
        elsewhere = nobody.with_env(machine.instance_env(), AWS_EC2_METADATA_SERVICE_ENDPOINT=f"{machine.url}/other")
        found = look(elsewhere)
        assert found.severity is Severity.OK
        assert "not AWS's (HTTP status 400)" in found.what


def test_one_that_is_switched_off_is_not_asked(nobody: Asker, user: Keys) -> None:
    with Machine(user) as machine:
        found = look(nobody.with_env(machine.instance_env(), AWS_EC2_METADATA_DISABLED="true"))
        assert "switched off" in found.what
        assert machine.requests == []


def test_no_proxy_is_asked_for_the_way(
    nobody: Asker, user: Keys, monkeypatch: pytest.MonkeyPatch, nowhere: str
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, nowhere)
    with Machine(user) as machine:
        assert "node-role" in look(nobody.with_env(machine.instance_env())).what
