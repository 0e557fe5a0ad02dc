"""One build that needs all three plugins: Amazon, Google, and a registry with user and password."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import fake_aws
import fake_google
import pytest
from ocibuild_testkit.registry import GatedRegistry, Identity, PasswordAuth, RegistryServer, busybox_files
from support.cloud_registries import ArtifactRegistry, EcrPasswords

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ocibuild_testkit.leaks import LeakWatcher
    from ocibuild_testkit.registry import Authority
    from support.programs import ProgramRunner

pytestmark = pytest.mark.e2e

ACCOUNT = "111111111111"
AMAZON = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
GOOGLE = "europe-docker.pkg.dev"
READER = "reader@project.iam.gserviceaccount.com"


def test_three_clouds_in_one_build(
    tls_authority: Authority,
    fresh_secret: Callable[[], str],
    leak_watcher: LeakWatcher,
    run: ProgramRunner,
    sandbox: Path,
) -> None:
    def watch(text: str, _: fake_google.Token) -> None:
        leak_watcher.register(text, "an access token")

    amazon = fake_aws.Cloud(fresh_secret)
    google = fake_google.Cloud(on_token=[watch])
    user = amazon.add_user(ACCOUNT)
    everything = Identity(username="AWS", password="-")
    tokens = EcrPasswords(amazon, "eu-west-1", {f"arn:aws:iam::{ACCOUNT}:user/ci": everything})
    passwords = PasswordAuth({"alice": fresh_secret()})
    with (
        fake_aws.AwsServer(amazon, tls_authority) as aws,
        fake_google.Internet(google, tls_authority) as internet,
        GatedRegistry(tokens, tls=tls_authority, host=AMAZON, bind="127.0.0.1") as ecr,
        RegistryServer(
            auth=ArtifactRegistry(google, (READER,)), tls=tls_authority, host=GOOGLE, bind="127.0.0.1"
        ) as gar,
        RegistryServer(auth=passwords, tls=tls_authority) as private,
    ):
        registries = {AMAZON: ecr, GOOGLE: gar, private.address: private}
        for host, registry in registries.items():
            registry.push_image("team/project/base:1", files={**busybox_files(), f"{registry.port}": f"from {host}\n"})
        # One proxy leads to both clouds and their registries.
        elsewhere = {name.partition(":")[0]: target for name, target in internet.proxy.routes.items()}
        aws.routes |= {name: int(target.rpartition(":")[2]) for name, target in elsewhere.items()}
        aws.routes |= {AMAZON: ecr.port, GOOGLE: gar.port}
        key = google.service_account(READER)
        leak_watcher.register(key["private_key"].splitlines()[5], "a private key")
        first, *others = [f"{host}/team/project/base:1" for host in registries]
        ports = " ".join(f"/{registry.port}" for registry in registries.values())
        copies = [f"COPY --from={name} /[0-9]* /" for name in others]
        (sandbox / "Dockerfile").write_text("\n".join([f"FROM {first}", *copies, f"RUN cat {ports}", ""]))
        ca = tls_authority.write(sandbox / "ca.pem")
        tables = "".join(f'[registry."{host}"]\nca = ["{ca}"]\nhttp = false\n' for host in registries)
        env = {
            **user.env(),
            "AWS_EC2_METADATA_DISABLED": "true",
            "GCR_KEY_JSON": json.dumps(key),
            "PASS": f"alice:{passwords.users['alice']}",
            "REG_URL": private.url,
            "HTTPS_PROXY": aws.url,
            "NO_PROXY": "127.0.0.1",
            "SSL_CERT_FILE": str(ca),
            "BUILDKIT_EXTRA_CONFIG": tables,
        }

        result = run("build", "--login", "ecr,gcr,basic", "--progress", "plain", ".", env=env, cwd=sandbox).succeeded()

    for host in registries:
        assert f"from {host}" in result.stdout
    for identity in (f"arn:aws:iam::{ACCOUNT}:user/ci", READER, "user alice from PASS"):
        assert identity in result.stderr
