"""Every link in the pages leads somewhere, as the site's own check finds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.doc_blocks import ROOT


def check(root: Path) -> subprocess.CompletedProcess[str]:
    """The check of `make docs` that needs no generator, over the pages below `root`."""
    command = [sys.executable, "-m", "scripts.pages", "--links"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_no_link_of_ours_is_broken_and_no_page_is_lost() -> None:
    done = check(ROOT)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A repository with the program that checks, and a page to be written."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    (tmp_path / "README.md").write_text("# Read me\n")
    return tmp_path


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("missing.md", "no such file"),
        ("index.md#nowhere", "no heading #nowhere in docs/index.md"),
        ("www.example.com/page", "no such file"),
        ("../../outside.md", "no such file"),
        ("https://github.com/ocibuild/ocibuild/blob/main/missing.py", "no such file in the repository"),
    ],
)
def test_a_broken_link_is_found(other: Path, link: str, says: str) -> None:
    (other / "docs" / "index.md").write_text(f"# Start\n\nSee [this]({link}).\n")
    done = check(other)
    assert done.returncode == 1
    assert done.stderr == f"docs/index.md:3: {link}: {says}\n"


def test_good_links_are_no_problem(other: Path) -> None:
    text = "# Start\n\n## A `part`\n\n[a](index.md#a-part) [b](../README.md) [c](https://c.example) `[d](x)`\n"
    (other / "docs" / "index.md").write_text(text)
    done = check(other)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_page_outside_of_the_navigation_is_found(other: Path) -> None:
    (other / "docs" / "index.md").write_text("# Start\n")
    (other / "docs" / "lost.md").write_text("# Lost\n")
    assert "docs/lost.md: not in scripts/pages/nav.py" in check(other).stderr
