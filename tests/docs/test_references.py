"""Pages that are written from the code are what the code says, and leave nothing out."""

from __future__ import annotations

import re
import subprocess
import sys

from support.doc_blocks import ROOT, pages

_SOURCES = [*(ROOT / "ocibuild_core" / "src").rglob("*.py")]
_READ = re.compile(r"\benv(?:iron|ironment)?(?:\.get\(|\[)\"([A-Z][A-Z_]+)\"")
_TEST = re.compile(r"`((?:[\w/]+/)?tests/[\w/]+\.py)(?:::(\w+))?`")


def test_environment_and_exit_codes_are_what_the_code_says() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "environment_reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_variable_that_core_reads_is_told_of() -> None:
    read = {name for path in _SOURCES for name in _READ.findall(path.read_text("utf-8"))}
    assert len(read) >= 10
    page = (ROOT / "docs" / "environment.md").read_text("utf-8")
    assert sorted(name for name in read if f"`{name}`" not in page) == []


def test_every_test_that_a_page_names_exists() -> None:
    named = [(page, *found) for page in pages() for found in _TEST.findall((ROOT / page).read_text("utf-8"))]
    assert len(named) >= 20
    missing = [
        (page, file, name)
        for page, file, name in named
        if not (ROOT / file).exists() or (name and not _defines((ROOT / file).read_text("utf-8"), name))
    ]
    assert missing == []


def _defines(source: str, name: str) -> bool:
    return re.search(rf"^\s*(?:def|class) {name}\b", source, re.MULTILINE) is not None
