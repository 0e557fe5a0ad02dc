"""What a login to Google costs: the plugin against google-auth by hand, each in a fresh process, at the same endpoint.

    python -m benchmarks.gcr_login

The endpoint is the fake of the plugin's tests, which verifies the key's signature, behind a proxy and TLS.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from ocibuild_testkit.registry import Authority

from benchmarks.pairs import HEADER, command, row, time_pair

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins/gcr/tests/support"))

from fake_google import SCOPE, Cloud, Internet

_GOAL = 1.2
_RUNS = 15

_BY_HAND = f"""
import google.auth
from google.auth.transport.requests import Request

credentials, _ = google.auth.default(scopes=["{SCOPE}"])
credentials.refresh(Request())
assert credentials.token
"""

_WITH_THE_PLUGIN = """
import logging, os
from ocibuild_core.plugin import CredentialRequest, OptionValues, SystemClock
from ocibuild_gcr import ocibuild_auth_providers

(provider,) = ocibuild_auth_providers()
clock = SystemClock()
request = CredentialRequest(
    registry="europe-docker.pkg.dev",
    options=OptionValues({option.name: option.default for option in provider.options}),
    env=os.environ,
    clock=clock,
    deadline=clock.monotonic() + 30,
    log=logging.getLogger("benchmark"),
)
assert provider.get(request).secret
"""


def main() -> int:
    """Print the table; the exit code says whether the goal was reached."""
    authority = Authority()
    cloud = Cloud()
    with tempfile.TemporaryDirectory() as folder, Internet(cloud, authority) as internet:
        key = Path(folder, "key.json")
        key.write_text(json.dumps(cloud.service_account("builder@project.iam.gserviceaccount.com")))
        env = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "GOOGLE_APPLICATION_CREDENTIALS": str(key),
            "HTTPS_PROXY": internet.proxy.url,
            "REQUESTS_CA_BUNDLE": str(authority.write(Path(folder, "ca.pem"))),
        }
        pair = time_pair(
            command([sys.executable, "-c", _WITH_THE_PLUGIN], env=env),
            command([sys.executable, "-c", _BY_HAND], env=env),
            runs=_RUNS,
        )
    is_reached = pair.ratio <= _GOAL
    figure = f"{pair.ratio:.2f} x ({pair.ours * 1000:.0f} ms, by hand {pair.other * 1000:.0f} ms)"
    print(HEADER)
    print(row("login with a service account's key", figure, f"<= {_GOAL} x google-auth by hand", reached=is_reached))
    return 0 if is_reached else 1


if __name__ == "__main__":
    sys.exit(main())
