"""What CONTRIBUTING.md tells a newcomer is so."""

from __future__ import annotations

import os
import re
import subprocess

from support.doc_blocks import ROOT, blocks

PAGE = "CONTRIBUTING.md"


def test_what_is_run_while_one_works_runs() -> None:
    [block] = [one for one in blocks(PAGE) if one.mark.startswith("by ")]
    # Of a pytest in a pytest, the outer one's settings are none of the inner one's business.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.code], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout)


def test_every_target_and_path_that_it_names_is_there() -> None:
    text = (ROOT / PAGE).read_text()
    targets = set(re.findall(r"`?make ([a-z-]+)`?$|`make ([a-z-]+)`", text, re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text()
    named = {one or other for one, other in targets}
    assert {"demo", "test", "check", "dist-check", "lock"} <= named
    assert [target for target in named if f"\n{target}:" not in makefile] == []
    paths = set(re.findall(r"`([\w.-]+/[\w./-]*)`", text)) | set(re.findall(r"\]\(([\w./-]+)\)", text))
    assert len(paths) > 5
    made = {"dist/"}
    assert [path for path in sorted(paths - made) if not (ROOT / path).exists()] == []
