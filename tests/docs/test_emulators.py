"""The lines by which a container registers an emulator do so, and `build` then takes the machine for one that can."""

from __future__ import annotations

import subprocess
import sys

import pytest
from ocibuild_testkit.registry import own_platform
from support.doc_blocks import ROOT, blocks

PAGE = "docs/task-image.md"
_LOOK = "import sys; from ocibuild_core.emulation import can_run; sys.exit(not can_run(sys.argv[1], ''))"


@pytest.mark.e2e
def test_what_the_page_says_registers_an_emulator() -> None:
    """In a user namespace, which has handlers of its own since Linux 6.7."""
    [block] = [one for one in blocks(PAGE) if "test_emulators" in one.mark]
    foreign, code = "arm64", block.code
    if own_platform() == "linux/arm64":
        foreign, code = "amd64", code.replace("aarch64", "x86_64")
    # Twice, as in a second task on the same worker.
    script = f'{code}\n{code}\nexec "$0" -c "$1" {foreign}'
    enter = ["unshare", "--user", "--map-root-user", "--mount"]
    done = subprocess.run(
        [*enter, "sh", "-ec", script, sys.executable, _LOOK], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
