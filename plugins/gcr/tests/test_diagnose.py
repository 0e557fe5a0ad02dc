"""What `doctor` is told of Google's metadata server."""

from __future__ import annotations

from fake_google import MetadataServer
from fake_google.asking import Asker
from ocibuild_core.plugin import Finding, Severity


def look(ask: Asker) -> Finding:
    (found,) = ask.provider.diagnose(ask.request(seconds=5))
    return found


def test_a_machine_with_an_account(ask: Asker, metadata: MetadataServer) -> None:
    expected = f"the metadata server has the service account {metadata.email}"
    assert look(ask) == Finding(severity=Severity.OK, what=expected)
    assert not [path for path in metadata.asked if path.endswith("/token")]


def test_a_machine_without_an_account_is_told_to_get_one(ask: Asker, metadata: MetadataServer) -> None:
    metadata.email = ""
    found = look(ask)
    assert (found.severity, found.do[:16]) == (Severity.WARNING, "give the machine")


def test_one_that_hangs_is_said(ask: Asker, metadata: MetadataServer) -> None:
    metadata.hangs = True
    found = look(ask)
    assert found.severity is Severity.WARNING
    assert "GCE_METADATA_IP" in found.do


def test_another_clouds_server_is_not_googles(ask: Asker, metadata: MetadataServer) -> None:
    metadata.is_google = False
    assert "not Google's" in look(ask).what


def test_where_nobody_is_to_look_nobody_looks(ask: Asker) -> None:
    found = look(ask)
    assert (found.severity, found.what[-26:]) == (Severity.OK, "switched off by NO_GCE_CHECK"[-26:])
