"""The README tells of every option and every variable."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from ocibuild_basic.provider import BasicProvider
from ocibuild_basic.settings import CI_LOGINS
from ocibuild_core.plugin import Option, OptionType

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")


@pytest.mark.parametrize("option", BasicProvider.options, ids=lambda option: option.name)
def test_every_spelling_of_an_option_is_in_its_row(option: Option) -> None:
    (row,) = (line for line in README.splitlines() if line.startswith(f"| `{option.name}` |"))
    flag, variable = f"--basic-{option.name}", f"BASIC_{option.name}".upper().replace("-", "_")
    is_secret = option.type is OptionType.SECRET
    spellings = [f"`{variable}`", *(f"`{name}`" for name in option.env)]
    spellings += [f"`{flag}-file FILE`", f"`{variable}_FILE`"] if is_secret else [f"`{flag} "]

    assert not [spelling for spelling in spellings if spelling not in row]


def test_every_variable_of_a_ci_system_is_named() -> None:
    variables = {name for login in CI_LOGINS for name in (login.host, login.user, login.secret) if name}

    assert not [name for name in variables if f"`{name}`" not in README]


def test_the_example_of_a_map_is_one() -> None:
    from ocibuild_basic.logins import read_map
    from ocibuild_core.plugin import Secret

    after = README.split("# logins.yml", 1)[1].splitlines()[1:]
    lines = list(itertools.takewhile(lambda line: line not in {"", "```"}, after))

    entries = read_map(Secret("\n".join(line.strip() for line in lines)), "README.md")

    assert list(entries) == ["registry.example.com", "registry.example.com:5000", "ghcr.io", "quay.io", "docker.io"]
