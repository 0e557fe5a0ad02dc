"""What docs/plugins says is so: the tutorial's commands run as written, the reference is what the code says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.fresh_env import ROOT

from ocibuild_core import plugin

if TYPE_CHECKING:
    from support.fresh_env import Wheelhouse

DOCS = ROOT / "docs" / "plugins"
_BLOCK = re.compile(
    r"(<!-- not run: (?P<reason>.+?) -->\n)?```(?P<kind>\w+)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)


def blocks(page: str, kind: str) -> list[str]:
    """The code blocks of one kind that are to be run."""
    found = _BLOCK.finditer((DOCS / page).read_text())
    return [block["code"] for block in found if block["kind"] == kind and not block["reason"]]


@pytest.mark.e2e
def test_tutorial_runs_as_written(wheelhouse: Wheelhouse, sandbox: Path) -> None:
    script = "\n".join(blocks("tutorial.md", "sh"))
    assert len(re.findall(r"^pytest$", script, re.MULTILINE)) == 2
    env = {
        # The Python that made this environment, without what is installed here.
        "PATH": f"{Path(sys.base_prefix) / 'bin'}:/usr/bin:/bin",
        "HOME": os.environ["HOME"],
        "XDG_RUNTIME_DIR": str(sandbox),
        "TMPDIR": str(sandbox),
        "LANG": "C.UTF-8",
        # As if our wheels were on the index.
        "PIP_FIND_LINKS": str(wheelhouse.directory),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=sandbox, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"\b\d+ passed", done.stdout)) == 2
    assert "signed here, for an hour" in done.stdout
    assert "plugin 'forge' (ocibuild-forge 0.1.0)" in done.stdout.rpartition("Successfully built")[2]


def test_reference_is_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "plugin_reference.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    page = (DOCS / "reference.md").read_text()
    assert [name for name in plugin.__all__ if not re.search(rf"^### `{name}\b", page, re.MULTILINE)] == []


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_links_lead_somewhere(page: str) -> None:
    text = (DOCS / page).read_text()
    targets = re.findall(r"\]\(([^)#]+)\)", text)
    assert [target for target in targets if "://" not in target and not (DOCS / target).exists()] == []


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_python_in_the_pages_compiles(page: str) -> None:
    for code in blocks(page, "python"):
        if not code.startswith(">>>"):
            compile(code, page, "exec")
