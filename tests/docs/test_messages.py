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
