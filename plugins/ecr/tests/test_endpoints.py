"""AWS's own names, by TLS, behind a proxy: which endpoint a registry's token is asked of, and whom to trust."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_aws import AwsServer, Cloud, Issuer, Machine
from fake_aws.asking import OWN, Asker
from fake_aws.places import place_of, suffix
from ocibuild_core.plugin import CredentialError
from ocibuild_testkit.registry import Authority

TOKEN = "ecr:GetAuthorizationToken"
PROXIES = ("HTTPS_PROXY", "https_proxy")


@pytest.fixture
def ca(tls_authority: Authority, tmp_path: Path) -> str:
    """Who signs for AWS here."""
    return str(tls_authority.write(tmp_path / "ca.pem"))


@pytest.fixture
def behind(nobody: Asker, aws: AwsServer, ca: str, monkeypatch: pytest.MonkeyPatch) -> Asker:
    """Somebody behind a proxy that opens TLS; proxies are the process's own."""
    monkeypatch.setenv("HTTPS_PROXY", aws.url)
    env = {name: value for name, value in nobody.env.items() if name != "AWS_ENDPOINT_URL"}
    return Asker(env=env | {"AWS_CA_BUNDLE": ca})


@pytest.mark.parametrize(
    ("registry", "endpoints"),
    [
        (OWN, {"api.ecr.eu-west-1.amazonaws.com"}),
        ("123456789012.dkr.ecr.us-gov-west-1.amazonaws.com", {"api.ecr.us-gov-west-1.amazonaws.com"}),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", {"api.ecr.cn-north-1.amazonaws.com.cn"}),
        ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", {"api.ecr.eusc-de-east-1.amazonaws.eu"}),
        ("123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", {"api.ecr.us-iso-east-1.c2s.ic.gov"}),
        ("123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", {"api.ecr.us-isob-east-1.sc2s.sgov.gov"}),
        ("123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", {"api.ecr.eu-isoe-west-1.cloud.adc-e.uk"}),
        ("123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov", {"api.ecr.us-isof-south-1.csp.hci.ic.gov"}),
        (
            "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com",
            {"ecr-fips.us-east-1.amazonaws.com", "api.ecr-fips.us-east-1.amazonaws.com"},
        ),
        ("123456789012.dkr-ecr.us-west-2.on.aws", {"ecr.us-west-2.api.aws"}),
        ("123456789012.dkr-ecr-fips.us-west-2.on.aws", {"ecr-fips.us-west-2.api.aws"}),
        (
            "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
            {"ecr.cn-north-1.api.amazonwebservices.com.cn"},
        ),
        ("public.ecr.aws", {"api.ecr-public.us-east-1.amazonaws.com"}),
    ],
)
def test_a_registry_s_token_is_asked_of_its_own_endpoint(
    behind: Asker, cloud: Cloud, registry: str, endpoints: set[str]
) -> None:
    region = registry.split(".")[3] if ".dkr.ecr" in registry else "eu-west-1"
    keys = cloud.add_user("123456789012", region=region)

    assert behind.with_env(keys.env()).login(registry).username == "AWS"
    (host,) = {call.host for call in cloud.calls if call.action.endswith(":GetAuthorizationToken")}
    assert host in endpoints
    (place,) = {place_of(host)}
    assert place is not None
    assert place.fips == ("fips" in registry)


def test_the_caller_is_asked_in_the_same_region(behind: Asker, aws: AwsServer, cloud: Cloud) -> None:
    keys = cloud.add_user("123456789012", region="cn-north-1")

    behind.with_env(keys.env()).login("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn")

    assert sorted(aws.hosts) == ["api.ecr.cn-north-1.amazonaws.com.cn", "sts.cn-north-1.amazonaws.com.cn"]


def test_keys_of_another_partition_are_refused_with_a_hint(behind: Asker) -> None:
    env = {"AWS_ACCESS_KEY_ID": "AKIACHINA", "AWS_SECRET_ACCESS_KEY": "x"}

    with pytest.raises(CredentialError, match="AWS does not know the credentials") as caught:
        behind.with_env(env).get(OWN)
    assert "partition" in caught.value.do


def test_a_region_that_is_newer_than_the_sdk_is_asked_all_the_same(behind: Asker, cloud: Cloud) -> None:
    keys = cloud.add_user()

    assert behind.with_env(keys.env()).login(OWN.replace("eu-west-1", "eu-north-9")).username == "AWS"


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_ca_may_be_named_in_the_usual_ways(behind: Asker, cloud: Cloud, ca: str, variable: str) -> None:
    keys = cloud.add_user()

    ask = behind.with_env(keys.env(), {"AWS_CA_BUNDLE": ""}, {variable: ca})

    assert ask.login(OWN).username == "AWS"


def test_so_it_counts_for_a_role_that_a_profile_takes_with_a_web_identity(
    behind: Asker, cloud: Cloud, ca: str, tmp_path: Path, issuer: Issuer, ci_token: Callable[..., str]
) -> None:
    role = cloud.add_role(
        "arn:aws:iam::123456789012:role/ci", issuer=issuer, audience="sts.amazonaws.com", subject="repo:team/app"
    )
    (tmp_path / "token").write_text(ci_token())
    (tmp_path / "config").write_text(f"[profile ci]\nrole_arn={role}\nweb_identity_token_file={tmp_path}/token\n")

    ask = behind.with_env(AWS_CA_BUNDLE="", SSL_CERT_FILE=ca, AWS_CONFIG_FILE=str(tmp_path / "config"))

    assert ask.login(OWN, profile="ci").username == "AWS"


def test_an_unknown_ca_is_said_with_the_variable_to_set(behind: Asker, cloud: Cloud) -> None:
    with pytest.raises(CredentialError, match="no trusted TLS connection to ECR in eu-west-1") as caught:
        behind.with_env(cloud.add_user().env(), AWS_CA_BUNDLE="").get(OWN)
    assert "AWS_CA_BUNDLE" in caught.value.do
    assert cloud.calls == []


def test_a_missing_ca_file_is_named(behind: Asker, cloud: Cloud) -> None:
    with pytest.raises(CredentialError, match="the file of trusted CAs is missing") as caught:
        behind.with_env(cloud.add_user().env(), AWS_CA_BUNDLE="", SSL_CERT_FILE="/nowhere.pem").get(OWN)
    assert caught.value.why == "SSL_CERT_FILE: /nowhere.pem"


def test_a_proxy_that_is_down_is_said(behind: Asker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hunter2-secret@127.0.0.1:1")

    with pytest.raises(CredentialError) as caught:
        behind.with_env(cloud.add_user().env()).get(OWN)
    assert "proxy" in str(caught.value).lower()
    assert "hunter2" not in str(caught.value)


def test_roles_are_assumed_near_the_registry(
    behind: Asker, cloud: Cloud, aws: AwsServer, ci_token: Callable[..., str], issuer: object, tmp_path: Path
) -> None:
    arn = cloud.add_role(
        "arn:aws-us-gov:iam::123456789012:role/pull",
        issuer=issuer,
        audience="sts.amazonaws.com",
        subject="repo:team/app",
    )
    path = tmp_path / "token"
    path.write_text(ci_token())

    ask = behind.with_env(AWS_WEB_IDENTITY_TOKEN_FILE=str(path), AWS_ROLE_ARN=arn)
    ask.login("123456789012.dkr.ecr.us-gov-west-1.amazonaws.com")

    assert set(aws.hosts) == {"sts.us-gov-west-1.amazonaws.com", "api.ecr.us-gov-west-1.amazonaws.com"}


def test_a_machine_s_own_services_are_not_behind_the_proxy(
    behind: Asker, cloud: Cloud, machine: Machine, aws: AwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", aws.url)
    machine.keys = cloud.add_session("arn:aws:iam::123456789012:role/node")

    for env in (machine.instance_env(), machine.container_env()):
        assert behind.with_env(env).login(OWN).username == "AWS"
    assert not {"127.0.0.1"} & set(aws.hosts)


def test_the_stand_in_knows_no_name_that_aws_does_not_have() -> None:
    good = ["api.ecr.eu-west-1.amazonaws.com", "sts.cn-north-1.amazonaws.com.cn", "ecr.us-west-2.api.aws"]
    bad = [
        "api.ecr.eu-west-1.amazonaws.com.cn",
        "ecr.eu-west-1.amazonaws.com",
        "api.ecr.us-west-2.api.aws",
        "api.ecr-public.eu-west-1.amazonaws.com",
        "api.ecr.eu-west-1.amazonaws.com.evil.example",
    ]

    assert all(map(place_of, good))
    assert not any(map(place_of, bad))
    assert suffix("eusc-de-east-1") == "amazonaws.eu"
