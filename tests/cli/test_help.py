from __future__ import annotations

import os
import shutil

import click
import pytest
from ocibuild_core.cli.flags import GroupedCommand


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
