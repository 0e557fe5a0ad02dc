"""The metadata server of a machine of Google's, and machines that have none."""

from __future__ import annotations

import json
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest
from fake_google import Cloud, Internet, MetadataServer
from fake_google.asking import REGISTRY, Asker
from ocibuild_core.plugin import CredentialError, CredentialsUnavailable
from ocibuild_testkit.clock import FakeClock

MACHINE = "machine@project.iam.gserviceaccount.com"
TARGET = "deployer@project.iam.gserviceaccount.com"


def test_the_machines_account_logs_in_without_a_setting(
    ask: Asker, cloud: Cloud, metadata: MetadataServer, internet: Internet
) -> None:
    credential = ask()
    token = cloud.alive(credential.secret.reveal())
    assert token is not None
    assert token.principal == MACHINE
    assert credential.username == "oauth2accesstoken"
    assert credential.detail == f"service account {MACHINE} via the metadata server"
    assert metadata.asked[0] == "/"
    assert internet.proxy.asked == ()


@pytest.mark.usefixtures("metadata")
def test_the_metadata_server_is_not_asked_through_a_proxy(ask: Asker) -> None:
    ask.env |= {"HTTP_PROXY": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1"}
    assert ask().detail.endswith("via the metadata server")


def test_the_machines_account_becomes_another(ask: Asker, cloud: Cloud, metadata: MetadataServer) -> None:
    cloud.service_account(TARGET)
    cloud.may_become.add((MACHINE, TARGET))
    credential = ask(impersonate_service_account=(TARGET,))
    token = cloud.alive(credential.secret.reveal())
    assert token is not None
    assert token.principal == TARGET
    assert metadata.asked.count("/computeMetadata/v1/instance/service-accounts/default/token") == 1


def test_a_nearly_expired_token_says_so_and_is_asked_for_again(ask: Asker, metadata: MetadataServer) -> None:
    metadata.lifetime = 240
    first, second = ask(), ask()
    assert first.expires_at is not None
    assert timedelta(seconds=230) < first.expires_at - ask.clock.now() <= timedelta(seconds=240)
    assert first.secret != second.secret


def test_a_file_comes_before_the_metadata_server(ask: Asker, metadata: MetadataServer, key: dict[str, str]) -> None:
    assert ask(key_json=json.dumps(key)).detail.startswith("service account builder@")
    assert metadata.asked == []


def test_a_bad_file_is_no_reason_to_ask_the_metadata_server(ask: Asker, metadata: MetadataServer) -> None:
    ask.env["GOOGLE_APPLICATION_CREDENTIALS"] = "/nowhere/key.json"
    with pytest.raises(CredentialError, match=r"GOOGLE_APPLICATION_CREDENTIALS \(/nowhere/key.json\) cannot be read"):
        ask()
    assert metadata.asked == []


def test_a_machine_without_an_account_is_told_to_get_one(ask: Asker, metadata: MetadataServer) -> None:
    metadata.email = ""
    with pytest.raises(CredentialError, match="give this machine"):
        ask()


def test_a_busy_metadata_server_is_asked_again(ask: Asker, metadata: MetadataServer) -> None:
    metadata.busy = 2
    assert ask().detail.endswith("via the metadata server")


def test_another_clouds_metadata_server_is_not_googles(ask: Asker, metadata: MetadataServer) -> None:
    metadata.is_google = False
    with pytest.raises(CredentialsUnavailable, match="what answers there is not Google's"):
        ask()


@pytest.mark.parametrize(("named", "limit"), [("explicitly", 3.0), ("", 1.0)])
def test_a_metadata_server_that_hangs_costs_little_and_only_once(
    named: str, limit: float, ask: Asker, metadata: MetadataServer
) -> None:
    metadata.hangs = True
    began = time.monotonic()
    for host in (REGISTRY, "gcr.io"):
        with pytest.raises(CredentialsUnavailable, match="no answer in time"):
            ask(host, explicit=bool(named))
    assert limit <= time.monotonic() - began < limit + 15
    assert metadata.asked == ["/"]


def test_a_metadata_server_that_comes_up_later_is_found(ask: Asker, metadata: MetadataServer) -> None:
    clock = ask.clock = FakeClock(datetime.now(UTC))
    metadata.is_google = False
    with pytest.raises(CredentialsUnavailable):
        ask()
    metadata.is_google = True
    with pytest.raises(CredentialsUnavailable):
        ask()
    clock.advance(31)
    assert ask().detail.endswith("via the metadata server")


def test_a_token_that_never_comes_ends_at_the_deadline(ask: Asker, metadata: MetadataServer) -> None:
    metadata.hangs_for_tokens = True
    began = time.monotonic()
    with pytest.raises(CredentialError, match="no answer in time"):
        ask(seconds=1)
    assert time.monotonic() - began < 15


def test_without_anything_the_error_lists_what_was_tried(ask: Asker) -> None:
    with pytest.raises(CredentialsUnavailable) as caught:
        ask()
    assert str(caught.value) == (
        f"no Google credentials for {REGISTRY}\n"
        "  tried  GCR_ACCESS_TOKEN, GCR_KEY_JSON, GCR_OIDC_TOKEN, GCR_WORKLOAD_IDENTITY_PROVIDER,"
        " GOOGLE_APPLICATION_CREDENTIALS,"
        f" {ask.env['HOME']}/.config/gcloud/application_default_credentials.json (not there),"
        " metadata server (switched off by NO_GCE_CHECK)\n"
        "  do     set GCR_KEY_JSON or GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`"
    )


def test_a_machine_that_has_no_metadata_server_says_so_soon(ask: Asker) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ask.env["GCE_METADATA_IP"] = f"127.0.0.1:{closed.getsockname()[1]}"
        del ask.env["NO_GCE_CHECK"]
        began = time.monotonic()
        with pytest.raises(CredentialsUnavailable, match=r"metadata server \(no connection: Connection refused\)"):
            ask()
    assert time.monotonic() - began < 15
