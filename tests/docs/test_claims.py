"""What the tables beside other tools say of ours is so: the flags are there, and the exporters, and the pages agree."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocibuild_core.exporters import ocibuild_exporters
from ocibuild_core.settings.reserved import reserved_spellings
from support.doc_blocks import ROOT, pages

if TYPE_CHECKING:
    from collections.abc import Iterator

_FLAG = re.compile(r"(?<![\w-])(--[a-z][a-z-]+)")
_OUTPUT = re.compile(r"--output ([a-z-]+)")
_OURS = reserved_spellings().flags
_OTHERS = {"--privileged", "--security-opt"} | {"--mount"} | {"--stdin", "--user"} | {"--flag"}
"""Docker's, a Dockerfile's, `ocibuild login`'s, and one that stands for any."""


def rows() -> Iterator[list[str]]:
    """The cells of each row of the tables in `Coming from …`, what is ours last."""
    for line in (ROOT / "docs" / "coming-from.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if cells and not cells[0].startswith("---"):
            yield cells


def claimed() -> set[str]:
    """The flags that are said to be ours."""
    flags: set[str] = set()
    for first, *_, last in rows():
        flags |= set(_FLAG.findall(f"{first} {last}" if last == "the same" else last))
    return flags


def test_every_flag_that_is_said_to_be_ours_is() -> None:
    assert len(claimed()) >= 30
    assert sorted(claimed() - _OURS) == []


def test_every_exporter_that_is_said_to_be_ours_is() -> None:
    named = {name for cells in rows() for name in _OUTPUT.findall(cells[-1])}
    assert len(named) >= 3
    assert sorted(named - {exporter.name for exporter in ocibuild_exporters()}) == []


def test_every_flag_of_build_in_a_command_is_one() -> None:
    text = "\n".join((ROOT / page).read_text("utf-8") for page in pages())
    typed = {flag for line in re.findall(r"`build (-[^`]+)`", text) for flag in _FLAG.findall(line)}
    plugins = {flag for flag in typed if flag.startswith(("--ecr-", "--gcr-", "--basic-"))}
    assert sorted(typed - plugins - _OURS) == []


def test_every_flag_that_a_page_names_is_one() -> None:
    """In docs a flag by itself is `build`'s; those of other programs stand in the page beside other programs."""
    shown = [page for page in pages() if page.startswith("docs/") and page != "docs/coming-from.md"]
    text = "\n".join((ROOT / page).read_text("utf-8") for page in shown)
    named = set(re.findall(r"`(--[a-z][a-z-]+)", text))
    plugins = {flag for flag in named if flag.startswith(("--ecr-", "--gcr-", "--basic-", "--example-"))}
    assert len(named) >= 50
    assert sorted(named - plugins - _OURS - _OTHERS) == []
