from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner
from ocibuild_core.catalog import Catalog, LoadedProvider, PluginSource
from ocibuild_core.cli.flags import GroupedCommand
from ocibuild_core.cli.plugin_flags import given_flags, plugin_flags
from ocibuild_core.credentials import Credential, CredentialRequest
from ocibuild_core.options import Option, OptionType, OptionValues
from ocibuild_core.providers import AuthProvider, Match

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from support.made_plugins import Site


class Provider(AuthProvider):
    name = "any"
    summary = "Any."
    options = (
        Option(name="region", help="Where it is", env=("REGION",), default="north"),
        Option(name="names", help="Names", type=OptionType.LIST),
        Option(name="public", help="Public ones, too", type=OptionType.BOOL),
        Option(name="password", help="Password", type=OptionType.SECRET),
        Option(name="token", help="Token", type=OptionType.SECRET),
        Option(name="token-file", help="File of the token", type=OptionType.PATH),
        Option(name="mode", help="How", type=OptionType.CHOICE, choices=("fast", "slow")),
        Option(name="wait", help="How long", type=OptionType.DURATION, default=1.5),
    )

    def match(self, registry: str, options: OptionValues) -> Match:
        raise NotImplementedError

    def get(self, request: CredentialRequest) -> Credential | None:
        raise NotImplementedError


SOURCE = PluginSource(id="any", distribution="ocibuild-any", version="1")
CATALOG = Catalog(providers=(LoadedProvider(provider=Provider(), source=SOURCE),))


def run(*arguments: str) -> tuple[Mapping[str, Sequence[str]], str]:
    """What was given, and the output."""
    given: dict[str, Sequence[str]] = {}
    command = GroupedCommand(
        "build",
        params=list(plugin_flags(CATALOG)),
        callback=lambda **_: given.update(given_flags(click.get_current_context())),
    )
    result = CliRunner().invoke(command, arguments)
    return given, result.output


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ([], {}),
        (["--any-region", "a", "--any-region=b"], {"--any-region": ("a", "b")}),
        (["--any-names", "a,b", "--any-names", "c"], {"--any-names": ("a,b", "c")}),
        (["--any-public"], {"--any-public": ("true",)}),
        (["--any-public", "--no-any-public"], {"--no-any-public": ("true",)}),
        (["--any-password-file", "-"], {"--any-password-file": ("-",)}),
        (["--any-token-file", "absent"], {"--any-token-file": ("absent",)}),
        (["--any-wait", "soon"], {"--any-wait": ("soon",)}),
    ],
)
def test_flags_are_handed_on_by_their_spelling(arguments: list[str], given: Mapping[str, Sequence[str]]) -> None:
    assert run(*arguments)[0] == given


@pytest.mark.parametrize("flag", ["--any-password", "--any-token"])
def test_a_secret_has_no_flag_of_its_own(flag: str) -> None:
    given, output = run(flag, "hunter2")
    assert given == {}
    assert "No such option" in output
    assert f"{flag}-file" in output
    assert "hunter2" not in output


def test_help_names_variables_and_defaults() -> None:
    output = " ".join(run("--help")[1].split())
    assert "Login with any:" in output
    assert "--any-region TEXT Where it is. [env ANY_REGION, REGION; default north]" in output
    assert "--any-password-file FILE Password: a file, - is stdin. [env ANY_PASSWORD]" in output
    assert "--any-public / --no-any-public Public ones, too. [env ANY_PUBLIC]" in output
    assert "--any-mode fast|slow How. [env ANY_MODE]" in output
    assert "--any-wait TIME How long. [env ANY_WAIT; default 1.5s]" in output


def test_shell_completes_flags_and_choices(site: Site) -> None:
    choices = "(Option(name='mode', help='How', type=OptionType.CHOICE, choices=('fast', 'slow')),)"
    site.offer("good", providers=f"[Provider('good', options={choices})]")

    def complete(line: str, word: int) -> str:
        env = {
            **os.environ,
            "PYTHONPATH": str(site.directory),
            "_BUILD_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(word),
        }
        command = [sys.executable, "-c", "from ocibuild_core.cli.main import build; build()"]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False).stdout

    assert "plain,--good-mode" in complete("build --good", 1)
    assert complete("build --good-mode s", 2).split() == ["plain,slow"]
