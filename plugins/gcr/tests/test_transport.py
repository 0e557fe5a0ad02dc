"""The HTTP calls: proxies, CA bundles, tries, time limits, and what must not get out."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import pytest
from fake_google import Cloud, Internet
from fake_google.asking import Asker
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.plugin import CredentialError
from ocibuild_gcr.logins import _seconds_left
from ocibuild_gcr.transport import NoAnswerError, ca_bundle, metadata_hosts, proxies
from ocibuild_testkit.clock import FakeClock

STS = "https://sts.googleapis.com/v1/token"


@pytest.mark.parametrize(
    ("url", "env", "proxy"),
    [
        (STS, {}, None),
        (STS, {"HTTPS_PROXY": "http://p:3128"}, "http://p:3128"),
        (STS, {"https_proxy": "http://low:1", "HTTPS_PROXY": "http://up:1"}, "http://low:1"),
        (STS, {"HTTP_PROXY": "http://p:3128"}, None),
        (STS, {"ALL_PROXY": "http://p:3128"}, "http://p:3128"),
        (STS, {"HTTPS_PROXY": ""}, None),
        ("http://token.example/", {"HTTP_PROXY": "http://p:3128"}, "http://p:3128"),
        (STS, {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "*"}, None),
        (STS, {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "other, .googleapis.com"}, None),
        (STS, {"HTTPS_PROXY": "http://p:3128", "no_proxy": "GoogleAPIs.com"}, None),
        (STS, {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "*.googleapis.com"}, None),
        (STS, {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "apis.com,,"}, "http://p:3128"),
        ("http://t.example:8080/", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "t.example:8080"}, None),
        ("http://t.example:8081/", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "t.example:8080"}, "http://p:1"),
        ("http://10.1.2.3/x", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "x, 10.0.0.0/8"}, None),
        ("http://11.1.2.3/x", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8, fd00::/8, 1/2/3"}, "http://p:1"),
        ("http://[fd12::1]/x", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8,fd00::/8"}, None),
        (STS, {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "0.0.0.0/0"}, "http://p:3128"),
        ("http://169.254.169.254/", {"HTTP_PROXY": "http://p:3128"}, None),
        ("http://[fd00:ec2::254]/latest/", {"HTTP_PROXY": "http://p:3128"}, None),
        ("http://metadata.google.internal/x", {"ALL_PROXY": "http://p:3128"}, None),
        ("http://10.0.0.1:80/x", {"HTTP_PROXY": "http://p:1", "GCE_METADATA_IP": "10.0.0.1:80"}, None),
        ("http://10.0.0.2/x", {"HTTP_PROXY": "http://p:1", "GCE_METADATA_IP": "10.0.0.1:80"}, "http://p:1"),
    ],
)
def test_the_proxy_for_a_url(url: str, env: dict[str, str], proxy: str | None) -> None:
    assert proxies(url, env) == ({url.partition(":")[0]: proxy} if proxy else {})


@given(st.dictionaries(st.sampled_from(["GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT"]), st.text()))
def test_any_address_of_a_metadata_server_is_taken_without_a_fuss(env: dict[str, str]) -> None:
    assert "169.254.169.254" in metadata_hosts(env)


def test_the_first_ca_bundle_that_is_named_counts(tmp_path: Path) -> None:
    bundle, folder = tmp_path / "ca.pem", tmp_path / "certs"
    bundle.touch()
    folder.mkdir()
    assert ca_bundle({}, "h") is True
    assert ca_bundle({"SSL_CERT_DIR": str(folder)}, "h") == str(folder)
    assert ca_bundle({"REQUESTS_CA_BUNDLE": str(bundle), "SSL_CERT_FILE": "/nowhere"}, "h") == str(bundle)
    with pytest.raises(NoAnswerError, match="/nowhere does not exist"):
        ca_bundle({"SSL_CERT_FILE": "/nowhere"}, "h")


def test_googles_calls_go_through_the_proxy(ask: Asker, internet: Internet, key: dict[str, str]) -> None:
    ask(key_json=json.dumps(key))
    assert internet.proxy.asked == ("oauth2.googleapis.com:443",)


def test_the_processs_own_environment_does_not_count(
    ask: Asker, cloud: Cloud, key: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login mallory password wr0ng-token\n")
    netrc.chmod(0o600)
    # requests would put it in the place of the token that impersonation is asked for with.
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    cloud.service_account("deployer@project.iam.gserviceaccount.com")
    cloud.may_become.add((key["client_email"], "deployer@project.iam.gserviceaccount.com"))
    chain = ("deployer@project.iam.gserviceaccount.com",)
    assert ask(key_json=json.dumps(key), impersonate_service_account=chain).username == "oauth2accesstoken"


@pytest.mark.parametrize(
    ("change", "says", "advises"),
    [
        ({"HTTPS_PROXY": "http://127.0.0.1:1"}, "the proxy failed: Connection refused", "HTTPS_PROXY"),
        ({"SSL_CERT_FILE": ""}, "certificate verify failed", "SSL_CERT_FILE"),
        ({"SSL_CERT_FILE": "/nowhere"}, "the CA bundle /nowhere does not exist", "correct SSL_CERT_FILE"),
    ],
)
def test_a_broken_way_is_named(
    change: dict[str, str], says: str, advises: str, ask: Asker, key: dict[str, str]
) -> None:
    ask.env |= change
    with pytest.raises(CredentialError) as caught:
        ask(key_json=json.dumps(key))
    assert "oauth2.googleapis.com: " in caught.value.why
    assert says in caught.value.why
    assert advises in caught.value.do


def test_a_host_that_the_proxy_does_not_know_is_named(ask: Asker, key: dict[str, str]) -> None:
    key["token_uri"] = "https://token.example/token"
    with pytest.raises(CredentialError, match=r"token\.example: the proxy failed: 502"):
        ask(key_json=json.dumps(key))


def test_a_busy_google_is_asked_four_times(ask: Asker, internet: Internet, key: dict[str, str]) -> None:
    internet.busy = 3
    assert ask(key_json=json.dumps(key)).username == "oauth2accesstoken"


def test_a_google_that_stays_busy_is_given_up(
    ask: Asker, internet: Internet, cloud: Cloud, key: dict[str, str]
) -> None:
    internet.busy = 100
    with pytest.raises(CredentialError, match=r"oauth2\.googleapis\.com: HTTP status 503"):
        ask(key_json=json.dumps(key))
    assert internet.busy == 96
    assert cloud.asked == []


def test_tries_end_before_the_deadline(ask: Asker, internet: Internet, key: dict[str, str]) -> None:
    internet.busy = 100
    began = time.monotonic()
    with pytest.raises(CredentialError, match="HTTP status 503"):
        ask(key_json=json.dumps(key), seconds=2)
    assert time.monotonic() - began < 15
    assert internet.busy > 96


@pytest.mark.parametrize(("given", "used"), [(30, 29.75), (0.5, 0.25), (0.2, 0.1), (0, 0)])
def test_a_login_is_back_before_the_host_stops_waiting(given: float, used: float, ask: Asker) -> None:
    ask.clock = FakeClock()
    assert _seconds_left(ask.request(seconds=given)) == pytest.approx(used)


def test_a_google_that_hangs_is_given_up_at_the_deadline(ask: Asker, internet: Internet, key: dict[str, str]) -> None:
    internet.hangs = True
    began = time.monotonic()
    with pytest.raises(CredentialError, match=r"oauth2\.googleapis\.com: no answer in time") as caught:
        ask(key_json=json.dumps(key), seconds=1)
    assert time.monotonic() - began < 15
    assert "--login-timeout" in caught.value.do


def test_nothing_is_asked_when_no_time_is_left(ask: Asker, internet: Internet, key: dict[str, str]) -> None:
    with pytest.raises(CredentialError, match="no time was left"):
        ask(key_json=json.dumps(key), seconds=0)
    assert internet.proxy.asked == ()


def test_a_redirect_takes_no_assertion_elsewhere(ask: Asker, internet: Internet, key: dict[str, str]) -> None:
    internet.redirect_to = "https://sts.googleapis.com/v1/token"
    with pytest.raises(CredentialError):
        ask(key_json=json.dumps(key))
    assert internet.proxy.asked == ("oauth2.googleapis.com:443",)


def test_nothing_of_the_sdk_is_logged_even_at_debug(
    ask: Asker, internet: Internet, key: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("google", "requests", "urllib3"):
        caplog.set_level(logging.DEBUG, logger=name)
    internet.busy = 1
    ask(key_json=json.dumps(key))
    assert caplog.text == ""
