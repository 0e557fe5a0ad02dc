"""A plain command line means what click makes of it."""

from __future__ import annotations

import click
import pytest
from ocibuild_core.cli.flags import GroupedCommand, build_flags
from ocibuild_core.cli.line import Line, read_plain_line
from ocibuild_core.settings.fields import Kind
from ocibuild_core.settings.table import FIELDS
from ocibuild_core.terminal import DEBUG, NORMAL, QUIET, VERBOSE

PLAIN: tuple[list[str], ...] = (
    [],
    ["."],
    ["--target", "a", "sub"],
    ["sub", "--target=a", "--target", "b"],
    ["--build-arg", "A=1", "--build-arg=B=2,3", "--build-arg", "C", "-f", "Other"],
    ["--no-cache", "--pull", "-v", "-q", "--verbose", "--config", "x.yml", "--config=y.yml"],
    ["--print", "--json", "-v"],
    ["--print", "."],
    ["--pull=true", "--no-cache=1", "--no-cache", "--pull=T"],
    ["--target=", "--label", "a=b=c", "-o", "docker,dest=a.tar", "-o", "digest"],
)
NOT_PLAIN = (
    ["--help"],
    ["-h"],
    ["--version"],
    ["--explain"],
    ["--json"],
    ["--"],
    ["-"],
    ["a", "b"],
    ["-vq"],
    ["-fOther"],
    ["-f=Other"],
    ["--ecr-region", "eu-west-1"],
    ["--ecr-region", "--addr"],
    ["--nothing"],
    ["--no-cache=maybe"],
    ["--targ", "a"],
    ["--target"],
    ["--target", "-x"],
    ["--target", "--"],
)


def by_click(argv: list[str]) -> dict[str, object]:
    """What click hands over, of what was given."""
    command = GroupedCommand("build", params=[*build_flags()])
    values = command.make_context("build", list(argv)).params
    return {name: value for name, value in values.items() if value not in (None, (), False, 0)}


@pytest.mark.parametrize("argv", PLAIN, ids=" ".join)
def test_a_plain_line_says_what_click_finds_in_it(argv: list[str]) -> None:
    line = read_plain_line(argv, {})
    assert line is not None
    wanted = by_click(argv)
    verbose, is_quiet = int(str(wanted.pop("verbose", 0))), wanted.pop("quiet", False)
    talk = QUIET if is_quiet else NORMAL + verbose
    show = ("json" if wanted.pop("json", None) else "text") if wanted.pop("show", None) else ""
    wanted.pop("config", None)
    assert line.show == show
    assert (dict(line.values), line.talk) == (wanted, talk)
    assert (line.options, line.explain) == ({}, "")


@pytest.mark.parametrize("argv", [["--pull=false"], ["--pull", "--pull=0"], ["--explain", "--pull", "--pull=f"]])
def test_a_flag_may_be_switched_off(argv: list[str]) -> None:
    command = GroupedCommand("build", params=[*build_flags()])
    assert command.make_context("build", list(argv)).params["pull"] is False
    line = read_plain_line(argv, {})
    assert line is None or line.values["pull"] is False


def test_of_a_flag_with_and_without_a_value_the_last_counts() -> None:
    command = GroupedCommand("build", params=[*build_flags()])
    assert command.make_context("build", ["--pull=false", "--pull"]).params["pull"] is True


@pytest.mark.parametrize("field", [field for field in FIELDS if field.flags], ids=lambda field: field.name)
def test_every_flag_of_the_table_is_plain(field: object) -> None:
    assert field in FIELDS
    row = next(each for each in FIELDS if each is field)
    for flag in row.flags:
        argv = [flag] if row.kind is Kind.BOOL else [flag, "A=1"]
        line = read_plain_line(argv, {})
        assert line is not None
        assert dict(line.values) == by_click(argv)


@pytest.mark.parametrize("argv", NOT_PLAIN, ids=" ".join)
def test_everything_else_is_left_to_click(argv: list[str]) -> None:
    assert read_plain_line(argv, {}) is None


def test_completion_for_the_shell_is_left_to_click() -> None:
    assert read_plain_line([], {"_BUILD_COMPLETE": "bash_complete"}) is None


@pytest.mark.parametrize(
    ("argv", "talk"), [([], NORMAL), (["-v"], VERBOSE), (["-v", "--verbose"], DEBUG), (["-v", "-q"], QUIET)]
)
def test_talk(argv: list[str], talk: int) -> None:
    assert read_plain_line(argv, {}) == Line({}, talk=talk)


def test_the_variable_of_completion_is_the_one_that_click_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_BUILD_COMPLETE", "bash_source")
    with pytest.raises(SystemExit):
        click.Command("build").main([], prog_name="build", standalone_mode=False)
