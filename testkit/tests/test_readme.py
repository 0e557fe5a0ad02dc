"""The README's examples, run as they are written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

README = (Path(__file__).parents[1] / "README.md").read_text()
CONTRACT, REGISTRY = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

EXAMPLE = """
from ocibuild_core.plugin import AuthProvider, Credential, CredentialsUnavailable, Match, Option, OptionType

class ExampleProvider(AuthProvider):
    name = "example"
    summary = "Registries of Example Ltd."
    options = (Option(name="password", help="The password", type=OptionType.SECRET),)

    def match(self, registry, options):
        return Match.SPECIFIC if registry == "r.example" else Match.NO

    def get(self, request):
        password = request.options.secret("password")
        if self.match(request.registry, request.options) is Match.NO:
            return None
        if password is None:
            raise CredentialsUnavailable("no password", do="set EXAMPLE_PASSWORD")
        return Credential(username="example", secret=password)
"""


def test_the_contract_example_passes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ocibuild_example=EXAMPLE, test_example=CONTRACT)
    pytester.syspathinsert()
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    sys.modules.pop("ocibuild_example", None)
    assert result.parseoutcomes() == {"passed": 18}


def test_the_registry_example_runs() -> None:
    result = subprocess.run([sys.executable, "-c", REGISTRY], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert re.match(r"127\.0\.0\.1:\d+/team/base:1 sha256:[0-9a-f]{64} /\S+/ca\.crt\n\(\)\n", result.stdout)


def test_every_fixture_is_in_the_table(pytester: pytest.Pytester) -> None:
    listed = pytester.runpytest_inprocess("--fixtures", "-q").stdout.str()
    ours = set(re.findall(r"^(\w+)(?: \[\w+ scope\])? -- \.\.\.*\S*ocibuild_testkit/", listed, re.MULTILINE))
    assert len(ours) >= 11
    assert ours == {name for name in re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE) if name in ours}
