"""What a login to ECR costs: against boto3 by hand at the same endpoint, and in a build.

    python -m benchmarks.ecr_login

The endpoint is the stand-in of the plugin's tests, which checks the request's signature. It answers at once, so that
only work of this machine is compared; over a network both wait for the same answer.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import ocibuild_buildkit
from ocibuild_testkit.registry import Authority, RegistryServer

from benchmarks.pairs import HEADER, command, row, time_pair

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins/ecr/tests/support"))

from fake_aws import AwsServer, Cloud

if TYPE_CHECKING:
    from collections.abc import Mapping

_BIN = Path(sys.executable).parent
_GOAL = 1.2
_BUILD_GOAL = 1.1
_RUNS = 15
_BUILDS = 5
_DELAY = 1.0
_HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"

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
    cloud, authority = Cloud(), Authority()
    with tempfile.TemporaryDirectory() as directory, AwsServer(cloud, authority) as aws:
        home = Path(directory)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": directory,
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            **cloud.add_user().env(),
        }
        print(HEADER)
        at_once = env | {"AWS_ENDPOINT_URL": aws.url}
        others = ", ".join(f'"{number:012}"' for number in range(99))
        reached = [
            _login_row("a login with the caller's name vs boto3 alone", at_once, ""),
            _login_row("100 registries of one region vs boto3 alone, once", at_once, others),
            _build_row(env, home, aws, authority),
        ]
    return 0 if all(reached) else 1


def _login_row(name: str, env: Mapping[str, str], others: str) -> bool:
    pair = time_pair(
        command([sys.executable, "-c", _WITH_THE_PLUGIN.format(others=others)], env=env),
        command([sys.executable, "-c", _BY_HAND], env=env),
        runs=_RUNS,
    )
    figure = f"{pair.ratio:.2f} ({pair.ours * 1000:.0f} ms, boto3 {pair.other * 1000:.0f} ms)"
    print(row(name, figure, f"≤ {_GOAL}", reached=pair.ratio <= _GOAL), flush=True)
    return pair.ratio <= _GOAL


def _build_row(env: Mapping[str, str], home: Path, aws: AwsServer, authority: Authority) -> bool:
    """A build whose login takes a second, against the longer of login and engine start, then the solve."""
    aws.delay = _DELAY
    ca = authority.write(home / "ca.pem")
    (home / "Dockerfile").write_text(f"FROM {_HOST}/team/base:1\nCOPY Dockerfile /\n")
    toml = home / "buildkitd.toml"
    toml.write_text(f'[registry."{_HOST}"]\nca = ["{ca}"]\n')
    env = {**env, "HTTPS_PROXY": aws.url, "AWS_CA_BUNDLE": str(ca), "BUILDKIT_EXTRA_CONFIG": toml.read_text()}
    ratios = []
    with RegistryServer(tls=authority, host=_HOST, bind="127.0.0.1", directory=home / "registry") as registry:
        registry.push_image("team/base:1", files={"etc/motd": "hello"})
        aws.routes[_HOST] = registry.port
        ours = command([str(_BIN / "build"), "-q", "--login", "ecr", "--no-cache", str(home)], env=env, cwd=home)
        login = command([sys.executable, "-c", _WITH_THE_PLUGIN.format(others="")], env=env)
        for _ in range(_BUILDS):
            engine, solve = _engine_and_solve(env, home, toml)
            ratios.append(_seconds(ours) / (max(_seconds(login), engine) + solve))
    ratio = statistics.median(ratios)
    name = f"a build whose login takes {_DELAY:g} s vs the longer of login and engine start, then the solve"
    print(row(name, f"{ratio:.2f}", f"≤ {_BUILD_GOAL}", reached=ratio <= _BUILD_GOAL), flush=True)
    return ratio <= _BUILD_GOAL


def _engine_and_solve(env: Mapping[str, str], home: Path, toml: Path) -> tuple[float, float]:
    """Seconds until buildkitd by hand answers, and seconds that buildctl by hand takes then."""
    binary, client = (str(ocibuild_buildkit.binary(name)) for name in ("buildkitd", "buildctl"))
    socket = home / "s"
    socket.unlink(missing_ok=True)
    path = {"PATH": f"{Path(binary).parent}:{os.environ['PATH']}"}
    argv = [binary, "--config", str(toml), "--root", str(home / "root"), "--addr", f"unix://{socket}"]
    began = time.perf_counter()
    daemon = subprocess.Popen(argv, env={**env, **path}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not socket.exists():
            time.sleep(0.002)
        engine = time.perf_counter() - began
        build = ["build", "--no-cache", "--frontend", "dockerfile.v0"]
        folders = [word for name in ("context", "dockerfile") for word in ("--local", f"{name}={home}")]
        solve = _seconds(command([client, "--addr", f"unix://{socket}", *build, *folders], env=dict(env)))
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()
    return engine, solve


def _seconds(call: object) -> float:
    assert callable(call)
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
