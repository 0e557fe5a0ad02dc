"""The names of AWS's endpoints, as its documentation lists them, and not as the SDK computes them.

https://docs.aws.amazon.com/general/latest/gr/ecr.html, .../ecr-public.html, .../sts.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SUFFIXES = (
    # region's beginning, its DNS suffix, its suffix for IPv6 as well, its partition in ARNs
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn", "aws-cn"),
    ("us-gov-", "amazonaws.com", "api.aws", "aws-us-gov"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu", "aws-eusc"),
    ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov", "aws-iso"),
    ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud", "aws-iso-b"),
    ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", "aws-iso-e"),
    ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov", "aws-iso-f"),
    ("", "amazonaws.com", "api.aws", "aws"),
)
_HOST = re.compile(
    r"(?P<name>api\.ecr|api\.ecr-fips|ecr-fips|ecr|api\.ecr-public|ecr-public|sts|sts-fips)"
    r"\.(?P<region>[a-z]+(?:-[a-z]+)+-\d)\.(?P<suffix>.+)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is behind an endpoint's name."""

    service: str
    region: str
    fips: bool


def place_of(host: str) -> Place | None:
    """The service and region behind a host, None for one that AWS does not have."""
    found = _HOST.fullmatch(host)
    if found is None:
        return None
    name, region = found["name"], found["region"]
    has_ipv6 = found["suffix"] == dual_stack_suffix(region)
    if not has_ipv6 and found["suffix"] != suffix(region):
        return None
    service = name.removeprefix("api.").removesuffix("-fips")
    if (name == "ecr" and not has_ipv6) or (name.startswith("api.") and has_ipv6):
        return None
    if service == "ecr-public" and region != "us-east-1":
        return None
    return Place(service=service, region=region, fips="fips" in name)


def suffix(region: str) -> str:
    return _row(region)[1]


def dual_stack_suffix(region: str) -> str:
    return _row(region)[2]


def partition(region: str) -> str:
    return _row(region)[3]


def _row(region: str) -> tuple[str, str, str, str]:
    return next(row for row in _SUFFIXES if region.startswith(row[0]))
