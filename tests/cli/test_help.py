from __future__ import annotations

import os
import shutil
from io import BytesIO
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from ocibuild_core.catalog import Catalog
from ocibuild_core.cli.build import command_for
from ocibuild_core.cli.flags import GroupedCommand, GroupedOption
from ocibuild_core.cli.group import ocibuild_group
from ocibuild_core.cli.plugin_flags import plugin_flags
from ocibuild_core.cli.start import Start
from ocibuild_core.cli.task import read_request, task
from ocibuild_core.loader import load_plugins
from ocibuild_core.settings.fields import RARE
from ocibuild_core.settings.table import FIELDS


def width_of_help(**settings: object) -> int:
    """The width that the help is wrapped to: its longest line, of a text that fills every line."""
    command = GroupedCommand("build", help="x " * 500, context_settings=settings)
    return max(map(len, command.get_help(click.Context(command, info_name="build", **settings)).splitlines()))  # type: ignore[arg-type]


@pytest.mark.parametrize("columns", [20, 60, 79, 100, 140, 200])
def test_help_is_as_wide_as_click_makes_it(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    plain = click.Command("build", help="x " * 500)
    as_click = plain.get_help(click.Context(plain, info_name="build", max_content_width=110))
    assert width_of_help(max_content_width=110) == max(map(len, as_click.splitlines()))


@pytest.mark.parametrize("columns", ["", "0", "-3", "wide"])
def test_a_width_that_is_none_is_asked_of_the_terminal(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(os, "get_terminal_size", lambda _=0: os.terminal_size((66, 24)))
    assert shutil.get_terminal_size().columns == 66
    assert width_of_help() == 63  # click keeps two columns free, and a word and its space take two


def test_without_a_terminal_it_is_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("sys.__stdout__", None)
    assert width_of_help(max_content_width=110) == 77


def test_examples_of_the_help_are_command_lines_that_build_takes() -> None:
    command = command_for(Start(argv=(), env={}, files=()))
    text = command.get_help(click.Context(command, info_name="build"))
    examples = [line.split() for line in text.splitlines() if line.strip().startswith("build ")]
    assert 2 <= len(examples) <= 3
    for _, *arguments in examples:
        command.make_context("build", arguments)


def test_what_is_seldom_needed_comes_last_after_the_plugins() -> None:
    flags: list[click.Parameter] = [
        GroupedOption(["--ulimit"], group=RARE),
        *plugin_flags(Catalog(providers=load_plugins().providers)),
    ]
    command = GroupedCommand("build", params=flags)
    text = command.get_help(click.Context(command, info_name="build"))
    assert text.index("Display:") < text.index("Login with basic:") < text.index(f"{RARE}:\n  --ulimit")


@pytest.mark.parametrize(
    ("word", "answer"),
    [("buidl", "No such command 'buidl'. Did you mean 'build'?"), ("xyzzy", "No such command 'xyzzy'.\n")],
)
def test_a_mistyped_command_is_told_the_near_one(word: str, answer: str) -> None:
    result = CliRunner().invoke(ocibuild_group(), [word])
    assert result.exit_code == 2
    assert answer in result.output


def test_the_request_in_the_help_of_task_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = task.get_help(click.Context(task, info_name="task"))
    request = read_request(BytesIO(text[text.index("{") :].encode()))
    assert request.response_path.parent == Path()
    assert request.config.keys() <= {field.request for field in FIELDS}
