"""The names of Amazon's registries, taken apart. Pure, and without the SDK: `match` rests on it.

Sources: https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html (`<account>.dkr.ecr.<region>.…`),
https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-requests.html (FIPS, dual stack),
https://docs.aws.amazon.com/AmazonECR/latest/public/public-registries.html (ECR Public).
"""

from __future__ import annotations

import re
from typing import NamedTuple

SUFFIXES = frozenset(
    {
        "amazonaws.com",
        "amazonaws.com.cn",
        "amazonaws.eu",
        "c2s.ic.gov",
        "cloud.adc-e.uk",
        "csp.hci.ic.gov",
        "sc2s.sgov.gov",
    }
)
"""What may follow the region. Only `parse` looks here, which must not load the SDK: which suffix a region has is
decided by the SDK's partition data, and a test holds the two together."""

DUAL_STACK_SUFFIXES = frozenset(
    {
        "on.amazonwebservices.com.cn",
        "on.amazonwebservices.eu",
        "on.aws",
        "on.aws.hci.ic.gov",
        "on.aws.ic.gov",
        "on.aws.scloud",
        "on.cloud-aws.adc-e.uk",
    }
)
"""As `SUFFIXES`, for registries that speak IPv6 as well."""

PUBLIC_HOSTS = frozenset({"public.ecr.aws", "ecr-public.aws.com"})
PUBLIC_REGION = "us-east-1"
"""Where ECR Public's tokens come from, whatever the user's own region.

Source: https://docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html.
"""

_REGION = r"[a-z]{2,8}(?:-[a-z]{2,16}){1,3}-[0-9]{1,2}"
_PORT = r"(?::[0-9]{1,5})?"
_IN_ALL = "ecr"
"""Every build asks about its registries: for those that are none of Amazon's no pattern is compiled."""
_PRIVATE = (
    r"(?P<account>[0-9]{12})\.dkr(?P<separator>[.-])ecr(?P<fips>-fips)?\."
    rf"(?P<region>{_REGION})\.(?P<suffix>[a-z0-9.-]+?){_PORT}"
)
_PUBLIC = "(?:" + "|".join(map(re.escape, sorted(PUBLIC_HOSTS))) + ")" + _PORT


class Endpoint(NamedTuple):
    """The API that hands out a registry's token: one token opens every registry behind it.

    Args:
        region: where it is.
        fips: it uses FIPS 140 validated cryptography.
        dual_stack: it speaks IPv6 as well.
        public: it is ECR Public's.
    """

    region: str
    fips: bool = False
    dual_stack: bool = False
    public: bool = False


PUBLIC = Endpoint(region=PUBLIC_REGION, public=True)


class Registry(NamedTuple):
    """A registry of Amazon's.

    Args:
        endpoint: where its token comes from.
        account: the account that owns it; None for ECR Public.
        suffix: what follows the region in its name; empty for ECR Public.
    """

    endpoint: Endpoint
    account: str | None = None
    suffix: str = ""


def parse(registry: str) -> Registry | None:
    """What a registry's name (lower case) says, or None when it is none of Amazon's.

    >>> parse("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com").endpoint
    Endpoint(region='us-east-1', fips=True, dual_stack=False, public=False)
    >>> parse("123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example")
    """
    if _IN_ALL not in registry:
        return None
    if re.fullmatch(_PUBLIC, registry, re.ASCII):
        return Registry(endpoint=PUBLIC)
    found = re.fullmatch(_PRIVATE, registry, re.ASCII)
    if found is None:
        return None
    dual_stack = found["separator"] == "-"
    if found["suffix"] not in (DUAL_STACK_SUFFIXES if dual_stack else SUFFIXES):
        return None
    endpoint = Endpoint(region=found["region"], fips=bool(found["fips"]), dual_stack=dual_stack)
    return Registry(endpoint=endpoint, account=found["account"], suffix=found["suffix"])


def unquoted(item: str) -> str:
    """An account or host without the quotes that YAML inside of a variable's text leaves around it."""
    return item.strip().strip("'\"").strip()


def private_name(account: str, region: str, suffix: str) -> str:
    """The name of an account's registry."""
    return f"{account}.dkr.ecr.{region}.{suffix}"


def is_region(text: str) -> bool:
    """Whether a region could be called so: new ones come faster than releases of the SDK."""
    return re.fullmatch(_REGION, text, re.ASCII) is not None
