"""The stand-in refuses what AWS refuses: signed by the SDK's own signer, then changed on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from fake_aws import Cloud, Keys
from fake_aws.cloud import Refusal
from fake_aws.sigv4 import HttpRequest

TOKEN = "ecr:GetAuthorizationToken"


def signed(keys: Keys, *, region: str = "eu-west-1", service: str = "ecr") -> HttpRequest:
    request = AWSRequest(method="POST", url="https://api.ecr.eu-west-1.amazonaws.com/?a=b%20c&a=", data=b"{}")
    request.headers["X-Amz-Target"] = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
    SigV4Auth(Credentials(keys.access_key, keys.secret_key, keys.token), service, region).add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    headers.setdefault("host", "api.ecr.eu-west-1.amazonaws.com")
    return HttpRequest(method="POST", target="/?a=b%20c&a=", headers=headers, body=b"{}")


def ask(cloud: Cloud, request: HttpRequest, region: str | None = "eu-west-1") -> object:
    return cloud.perform(TOKEN, "api.ecr.eu-west-1.amazonaws.com", region, request, {})


def with_header(request: HttpRequest, name: str, change: Callable[[str], str]) -> HttpRequest:
    return replace(request, headers={**request.headers, name: change(request.headers[name])})


def test_a_good_signature_is_taken(cloud: Cloud, user: Keys) -> None:
    assert ask(cloud, signed(user))


def test_a_session_s_token_belongs_to_it(cloud: Cloud) -> None:
    keys = cloud.add_session("arn:aws:iam::123456789012:role/node")

    assert ask(cloud, signed(keys))
    with pytest.raises(Refusal, match="unknown"):
        ask(cloud, signed(replace(keys, token="other-token")))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("signature", lambda one: replace(one, body=b'{"a":1}')),
        ("signature", lambda one: replace(one, target="/?a=c")),
        ("signature", lambda one: replace(one, method="PUT")),
        ("signature", lambda one: with_header(one, "x-amz-target", lambda text: text + "x")),
        ("signature", lambda one: with_header(one, "host", lambda _: "evil.example")),
        ("signature", lambda one: with_header(one, "authorization", lambda text: text[:-1] + "10"[text[-1] == "1"])),
        ("no-token", lambda one: with_header(one, "authorization", lambda text: text.replace("host;", ""))),
        ("no-token", lambda one: with_header(one, "x-amz-date", lambda _: "20200101T000000Z")),
        ("unknown", lambda one: with_header(one, "authorization", lambda text: text.replace("AKIA", "AKIB"))),
    ],
)
def test_a_changed_request_is_refused(
    cloud: Cloud, user: Keys, kind: str, change: Callable[[HttpRequest], HttpRequest]
) -> None:
    with pytest.raises(Refusal) as caught:
        ask(cloud, change(signed(user)))
    assert caught.value.kind == kind


@pytest.mark.parametrize(("region", "service"), [("us-east-1", "ecr"), ("eu-west-1", "sts")])
def test_a_signature_for_another_place_is_refused(cloud: Cloud, user: Keys, region: str, service: str) -> None:
    with pytest.raises(Refusal, match="signature"):
        ask(cloud, signed(user, region=region, service=service))


def test_another_s_secret_key_is_refused(cloud: Cloud, user: Keys) -> None:
    with pytest.raises(Refusal, match="does not match"):
        ask(cloud, signed(replace(user, secret_key=cloud.add_user().secret_key)))
