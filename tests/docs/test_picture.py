"""The picture of the terminal is what a terminal shows: taken anew, it has the same lines but for times and digests."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.doc_blocks import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_LINE = re.compile(r"<text [^>]*>(.*)</text>")
_CHANGES = re.compile(r"\d+(?:\.\d+)*(?:MB|kB|B|s)?\b|sha256:[0-9a-f]*")


@pytest.mark.e2e
def test_the_picture_is_of_a_real_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.picture", str(tmp_path / "anew.svg")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    kept, anew = (shown(path) for path in (ROOT / "docs" / "images" / "terminal.svg", tmp_path / "anew.svg"))
    assert "build --login basic -t registry.example.com/team/app:N --push ." in "\n".join(kept)
    # BuildKit lists what runs side by side in the order in which it began.
    assert sorted(anew) == sorted(kept)


def shown(picture: Path) -> list[str]:
    """Its lines, without what differs from run to run: numbers, digests, and the single pieces of a step's work."""
    rows = (re.sub(r"<[^>]+>", " ", row) for row in _LINE.findall(picture.read_text("utf-8")))
    lines = (" ".join(_CHANGES.sub("N", row.replace("&gt;", ">")).split()) for row in rows)
    return [line for line in lines if not line.startswith("=> =>")]
