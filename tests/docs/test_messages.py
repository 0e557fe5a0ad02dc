"""Messages that pages quote are messages that the programs print.

The first column of a table headed `what it says` or `message` quotes; `…` stands for what differs from case to case.
The clouds' own words are not ours to print: they are looked for in the stand-ins, which speak as the clouds do.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import TYPE_CHECKING

import pytest
from support.doc_blocks import ROOT, pages

from ocibuild_core import errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PRODUCT = ("ocibuild_core/src", "plugins/basic/src", "plugins/ecr/src", "plugins/gcr/src")
_HEADS = ("what it says", "message")
_A_PHRASE = 12
_GAP = "\N{HORIZONTAL ELLIPSIS}"
_CLOUDS = {"plugins/gcr/README.md": ("plugins/gcr/tests",), "plugins/ecr/README.md": ("plugins/ecr/tests",)}


def quotes(page: str) -> Iterator[str]:
    """What a page says that a program says."""
    is_quoting = False
    for line in (ROOT / page).read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            is_quoting = False
        elif cells[0] in _HEADS:
            is_quoting = True
        elif is_quoting and not cells[0].startswith("---"):
            yield from re.findall(r"`([^`]+)`", cells[0])


CASES = [(page, quote) for page in pages() for quote in quotes(page)]


@pytest.mark.parametrize(("page", "quote"), CASES)
def test_a_quoted_message_is_in_the_source(page: str, quote: str) -> None:
    assert any(_says(text, quote) for root in (*_PRODUCT, *_CLOUDS.get(page, ())) for text in _texts(ROOT / root))


def test_a_message_that_nobody_prints_is_found() -> None:
    assert len(CASES) >= 70
    for invented in ("no such message as this", "the registry's … is of no use", "PASS is not what it was"):
        assert not any(_says(text, invented) for root in _PRODUCT for text in _texts(ROOT / root))


def stated() -> Iterator[tuple[str, int]]:
    """Each message of the page of troubles, with the exit code that its section or its row states."""
    code = 0
    for line in (ROOT / "docs" / "troubleshooting.md").read_text("utf-8").splitlines():
        heading = re.match(r"## .*\(exit code (\d)\)", line)
        code = int(heading[1]) if heading else code
        if line.startswith("| `"):
            row = line.split("|")[1]
            own = re.search(r"\(exit code (\d)\)", row)
            yield from ((quote, int(own[1]) if own else code) for quote in re.findall(r"`([^`]+)`", row))


@pytest.mark.parametrize(("quote", "code"), list(stated()))
def test_a_message_ends_with_the_exit_code_of_its_section(quote: str, code: int) -> None:
    codes = {error for text, error in _errors(ROOT / _PRODUCT[0]) if _says(text, quote)}
    assert not codes or code in codes


@cache
def _errors(root: Path) -> tuple[tuple[str, int], ...]:
    """The text of every error that core raises, and its exit code."""
    trees = (ast.parse(path.read_text("utf-8")) for path in sorted(root.rglob("*.py")))
    calls = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args)
    named = ((call, getattr(errors, getattr(call.func, "id", ""), None)) for call in calls)
    return tuple(
        (_text(call.args[0]), kind.exit_code)
        for call, kind in named
        if isinstance(kind, type) and issubclass(kind, errors.OcibuildError)
    )


def _says(text: str, quote: str) -> bool:
    """Whether a text of the source is what is quoted, where either has a gap for what the other has."""
    words = text.replace(_GAP, "").strip()
    is_most_of_it = len(words) >= _A_PHRASE and len(words) * 2 >= len(quote)
    return bool(_pattern(quote).search(text)) or (is_most_of_it and bool(_template(text).search(quote)))


@cache
def _template(text: str) -> re.Pattern[str]:
    return re.compile(".*?".join(re.escape(part) for part in text.split(_GAP)), re.DOTALL)


@cache
def _pattern(quote: str) -> re.Pattern[str]:
    """Where the source has a value, a page has `…` or an example in capitals (`HOST:5000`)."""
    parts = re.split(rf"{_GAP}|'\w+'|\b[A-Z_]+ \({_GAP}\)|\bHOST(?::5000)?\b", quote)
    return re.compile(".*?".join(re.escape(part.strip()) for part in parts if part.strip()), re.DOTALL)


@cache
def _texts(root: Path) -> tuple[str, ...]:
    """Every text in the sources below `root`, with `…` for values."""
    trees = (ast.parse(path.read_text("utf-8")) for path in sorted(root.rglob("*.py")))
    return tuple(_text(node) for tree in trees for node in ast.walk(tree) if _is_text(node))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else _GAP for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else _GAP
