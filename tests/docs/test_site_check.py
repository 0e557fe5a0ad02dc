"""What `make docs` looks for in the finished site, it finds; the site's generator is not needed for that."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.doc_blocks import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """
import json, sys
from pathlib import Path
from scripts.pages.checking import problems
print(json.dumps(list(problems(Path(sys.argv[1])))))
"""


def problems(site: Path) -> list[str]:
    """What the check says of a site."""
    command = [sys.executable, "-c", _PROGRAM, str(site)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "other.html").write_text('<h1 id="there">Other</h1>')
    (tmp_path / "site.css").write_text("")
    return tmp_path


def test_a_good_page_is_none(site: Path) -> None:
    good = '<link href="site.css"><a href="other.html#there">a</a><a href="#here">b</a><p id="here">'
    (site / "index.html").write_text(good + '<a href="https://elsewhere.example/">c</a>')
    assert problems(site) == []


@pytest.mark.parametrize(
    ("markup", "says"),
    [
        ('<a href="missing.html">', "missing.html leads nowhere"),
        ('<a href="other.html#missing">', "other.html#missing leads nowhere"),
        ('<a href="www.example.com">', "www.example.com leads nowhere"),
        ('<img src="missing.png">', "missing.png is loaded, and not there"),
        ('<script src="https://cdn.example/x.js"></script>', "https://cdn.example/x.js is loaded from elsewhere"),
        ('<link href="//fonts.example/x.css">', "//fonts.example/x.css is loaded from elsewhere"),
        ("<script>1</script>", "<script> is inline"),
        ('<p style="color: red">', "<p style> is inline"),
        ('<a onclick="x()">', "<a onclick> is inline"),
    ],
)
def test_what_is_wrong_is_said(site: Path, markup: str, says: str) -> None:
    (site / "index.html").write_text(markup)
    (found,) = problems(site)
    assert found.startswith(f"index.html: {says}")
