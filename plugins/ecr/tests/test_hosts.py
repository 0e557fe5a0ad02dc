"""Which names are registries of Amazon's, and what they say."""

from __future__ import annotations

import pytest
from fake_aws import places
from fake_aws.asking import values
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.plugin import Match

from ocibuild_ecr import EcrProvider, hosts
from ocibuild_ecr.sdk import suffix_of

ACCOUNT = "123456789012"

# https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html and the partitions' own documentation.
PRIVATE = {
    f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com": hosts.Endpoint(region="eu-west-1"),
    f"{ACCOUNT}.dkr.ecr.ap-southeast-7.amazonaws.com": hosts.Endpoint(region="ap-southeast-7"),
    f"{ACCOUNT}.dkr.ecr.us-gov-west-1.amazonaws.com": hosts.Endpoint(region="us-gov-west-1"),
    f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn": hosts.Endpoint(region="cn-north-1"),
    f"{ACCOUNT}.dkr.ecr.eusc-de-east-1.amazonaws.eu": hosts.Endpoint(region="eusc-de-east-1"),
    f"{ACCOUNT}.dkr.ecr.us-iso-east-1.c2s.ic.gov": hosts.Endpoint(region="us-iso-east-1"),
    f"{ACCOUNT}.dkr.ecr.us-isob-east-1.sc2s.sgov.gov": hosts.Endpoint(region="us-isob-east-1"),
    f"{ACCOUNT}.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk": hosts.Endpoint(region="eu-isoe-west-1"),
    f"{ACCOUNT}.dkr.ecr.us-isof-south-1.csp.hci.ic.gov": hosts.Endpoint(region="us-isof-south-1"),
    f"{ACCOUNT}.dkr.ecr-fips.us-east-1.amazonaws.com": hosts.Endpoint(region="us-east-1", fips=True),
    f"{ACCOUNT}.dkr-ecr.us-west-2.on.aws": hosts.Endpoint(region="us-west-2", dual_stack=True),
    f"{ACCOUNT}.dkr-ecr-fips.us-west-2.on.aws": hosts.Endpoint(region="us-west-2", dual_stack=True, fips=True),
    f"{ACCOUNT}.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn": hosts.Endpoint(region="cn-north-1", dual_stack=True),
    f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com:8443": hosts.Endpoint(region="eu-west-1"),
}

LOOK_ALIKES = [
    f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com.evil.example",
    f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com.evil.example:443",
    f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com\n",
    f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com.",
    f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com:443x",
    f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/evil",
    f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com@evil.example",
    f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.co",
    f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws-com.evil.example",
    f"{ACCOUNT}.dkr.ecr.eu-west-1.evil.example",
    f"{ACCOUNT}.dkr.ecr.eu-west-1.on.aws",
    f"{ACCOUNT}.dkr-ecr.eu-west-1.amazonaws.com",
    f"{ACCOUNT}.dkr.ecr.evil.amazonaws.com",
    f"{ACCOUNT}.dkr.ecr..amazonaws.com",
    f"{ACCOUNT}.dkrxecr.eu-west-1.amazonaws.com",
    f"{ACCOUNT}.dkr.ecr.eu-west-1xamazonaws.com",
    f"x{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com",
    f"evil.example.{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com",
    "12345678901.dkr.ecr.eu-west-1.amazonaws.com",
    "1234567890123.dkr.ecr.eu-west-1.amazonaws.com",
    "१२३४५६७८९०१२.dkr.ecr.eu-west-1.amazonaws.com",
    f"{ACCOUNT}.dkr.ecr.eu-west-१.amazonaws.com",
    "public.ecr.aws.evil.example",
    "public.ecr.aws\n",
    "xpublic.ecr.aws",
    "public-ecr.aws",
    "ecr-public.aws.com.evil.example",
    "docker.io",
    "",
]


@pytest.mark.parametrize(("name", "endpoint"), PRIVATE.items())
def test_a_private_registry_says_where_its_token_comes_from(name: str, endpoint: hosts.Endpoint) -> None:
    found = hosts.parse(name)

    assert found is not None
    assert (found.account, found.endpoint) == (ACCOUNT, endpoint)
    assert EcrProvider().match(name, values()) is Match.SPECIFIC


@pytest.mark.parametrize("name", ["public.ecr.aws", "ecr-public.aws.com"])
def test_the_token_of_the_public_registry_is_from_us_east_1(name: str) -> None:
    assert hosts.parse(name) == hosts.Registry(endpoint=hosts.Endpoint(region="us-east-1", public=True))


@pytest.mark.parametrize("name", ["public.ecr.aws", "ecr-public.aws.com"])
def test_the_public_registry_is_owed_a_login_only_when_it_is_named(name: str) -> None:
    provider = EcrProvider()

    assert provider.match(name, values(region="eu-central-1")) is Match.GENERIC
    assert provider.match(name, values(registries=(ACCOUNT, f"https://{name}/"))) is Match.SPECIFIC


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_a_look_alike_is_nobody_s_registry(name: str) -> None:
    assert hosts.parse(name) is None
    assert EcrProvider().match(name, values(registries=(ACCOUNT,))) is Match.NO


def test_the_suffixes_are_those_of_the_sdk_s_partitions() -> None:
    from botocore.loaders import create_loader

    outputs = [one["outputs"] for one in create_loader().load_data("partitions")["partitions"]]

    assert {one["dnsSuffix"] for one in outputs} == hosts.SUFFIXES
    # Older releases of the SDK know fewer that speak IPv6.
    dual_stack = [one["dualStackDnsSuffix"] for one in outputs if one["supportsDualStack"]]
    assert {one.replace("api.", "on.", 1) for one in dual_stack} <= hosts.DUAL_STACK_SUFFIXES


def test_every_region_of_the_sdk_is_one() -> None:
    from botocore.loaders import create_loader

    partitions = create_loader().load_data("partitions")["partitions"]
    regions = {region for one in partitions for region in one["regions"] if not region.endswith("-global")}

    assert len(regions) > 35
    for region in regions:
        assert hosts.is_region(region), region
        assert suffix_of(region) == places.suffix(region)
        name = hosts.private_name(ACCOUNT, region, places.suffix(region))
        assert hosts.parse(name) == hosts.Registry(
            endpoint=hosts.Endpoint(region=region), account=ACCOUNT, suffix=places.suffix(region)
        )


def test_a_region_that_is_newer_than_the_sdk_has_the_suffix_of_its_partition() -> None:
    assert suffix_of("eu-north-9") == "amazonaws.com"
    assert suffix_of("cn-south-3") == "amazonaws.com.cn"
    assert suffix_of("us-isof-west-2") == "csp.hci.ic.gov"
    assert suffix_of("eu-north-9", dual_stack=True) == "on.aws"
    assert suffix_of("moon-base-1") is None


@given(st.text())
def test_no_text_around_a_registry_s_name_is_overlooked(text: str) -> None:
    name = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
    port = text.startswith(":") and text[1:].isascii() and text[1:].isdigit() and len(text) <= 6
    suffix = text == ".cn"

    assert (hosts.parse(name + text) is not None) == (text == "" or port or suffix)
    if text:
        assert hosts.parse(text + name) is None


@given(st.text(alphabet="0123456789abcdefghijklmnopqrstuvwxyz.-:", max_size=80))
def test_what_is_taken_for_a_registry_ends_as_amazon_s_names_end(text: str) -> None:
    found = hosts.parse(f"{ACCOUNT}.dkr{text}")

    if found:
        host = f"{ACCOUNT}.dkr{text}".partition(":")[0]
        assert host.endswith(tuple(f".{one}" for one in hosts.SUFFIXES | hosts.DUAL_STACK_SUFFIXES))
