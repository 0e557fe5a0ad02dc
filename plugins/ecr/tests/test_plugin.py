"""The plugin as the host finds it, and the contract that every provider keeps."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from fake_aws import Keys
from fake_aws.asking import OWN, Asker
from ocibuild_core.plugin import HOOK_API, CredentialError
from ocibuild_testkit.contracts import AuthProviderContract, Login

import ocibuild_ecr
from ocibuild_ecr import EcrProvider


class _Contract(AuthProviderContract):
    @pytest.fixture
    def provider(self) -> EcrProvider:
        return EcrProvider()


class TestWithKeys(_Contract):
    @pytest.fixture
    def login(self, ask: Asker, user: Keys) -> Login:
        return Login(registry=OWN, env=ask.env, secrets=(user.secret_key,))


class TestWithNamedAccounts(_Contract):
    @pytest.fixture
    def login(self, ask: Asker, user: Keys) -> Login:
        return Login(
            registry=OWN,
            env=ask.env,
            options={"registries": ("123456789012", "210987654321", "public.ecr.aws"), "region": "eu-west-1"},
            secrets=(user.secret_key,),
        )


def test_it_is_found_by_its_entry_point() -> None:
    (found,) = entry_points(group="ocibuild", name="ecr")

    assert found.load() is ocibuild_ecr
    assert [type(one) for one in ocibuild_ecr.ocibuild_auth_providers()] == [EcrProvider]
    assert ocibuild_ecr.OCIBUILD_HOOK_API == HOOK_API


@pytest.mark.parametrize(
    "what",
    [
        "ocibuild_auth_providers()",
        "EcrProvider().match('123456789012.dkr.ecr.eu-west-1.amazonaws.com', OptionValues({'registries': None}))",
    ],
)
def test_the_sdk_is_not_loaded_before_a_question(what: str) -> None:
    script = (
        "import sys\nfrom ocibuild_core.plugin import OptionValues\nfrom ocibuild_ecr import *\n"
        f"from ocibuild_ecr import EcrProvider, ocibuild_auth_providers\n{what}\n"
        "print([name for name in sys.modules if name.partition('.')[0] in {'boto3', 'botocore', 'urllib3', 'ssl'}])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_a_missing_sdk_is_said_with_the_remedy(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "botocore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "botocore", None)

    with pytest.raises(CredentialError, match="the AWS SDK is not installed") as caught:
        ask.get(OWN)
    assert "pip install" in caught.value.do


def test_the_readme_lists_every_option() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text()

    for option in EcrProvider.options:
        variable = "ECR_" + option.name.replace("-", "_").upper()
        assert f"| `{variable}` |" in readme, variable
