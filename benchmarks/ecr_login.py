"""What a login to ECR costs: the plugin against boto3 by hand, each in a fresh process, at the same endpoint.

    python -m benchmarks.ecr_login

The endpoint is the stand-in of the plugin's tests, which checks the request's signature. It answers at once, so all that
is compared is work of this machine; over a network both wait for the same answer.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from benchmarks.pairs import HEADER, command, row, time_pair

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins/ecr/tests/support"))

from fake_aws import AwsServer, Cloud

_GOAL = 1.2
_RUNS = 15

_BY_HAND = 'import boto3; assert boto3.client("ecr").get_authorization_token()'

_WITH_THE_PLUGIN = """
import logging, os
from ocibuild_core.plugin import CredentialRequest, OptionValues, SystemClock
from ocibuild_ecr import ocibuild_auth_providers

(provider,) = ocibuild_auth_providers()
clock = SystemClock()
for account in ("123456789012", {others}):
    request = CredentialRequest(
        registry=f"{{account}}.dkr.ecr.eu-west-1.amazonaws.com",
        options=OptionValues({{option.name: option.default for option in provider.options}}),
        env=os.environ,
        clock=clock,
        deadline=clock.monotonic() + 30,
        log=logging.getLogger("benchmark"),
    )
    found = provider.get(request)
    assert found.secret and "user/ci" in found.detail
"""


def main() -> int:
    """Print the table; the exit code says whether the goals were reached."""
    cloud = Cloud()
    is_good = True
    with tempfile.TemporaryDirectory() as home, AwsServer(cloud) as aws:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            **cloud.add_user().env(),
        }
        print(HEADER)
        for name, others in (
            ("a login with the caller's name vs boto3 alone", ""),
            ("100 registries of one region vs boto3 alone, once", ", ".join(f'"{n:012}"' for n in range(99))),
        ):
            pair = time_pair(
                command([sys.executable, "-c", _WITH_THE_PLUGIN.format(others=others)], env=env),
                command([sys.executable, "-c", _BY_HAND], env=env),
                runs=_RUNS,
            )
            figure = f"{pair.ratio:.2f} ({pair.ours * 1000:.0f} ms, boto3 {pair.other * 1000:.0f} ms)"
            print(row(name, figure, f"≤ {_GOAL}", reached=pair.ratio <= _GOAL), flush=True)
            is_good = is_good and pair.ratio <= _GOAL
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
