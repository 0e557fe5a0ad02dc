"""An engine is launched early, unless an emulator may have to be registered first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ocibuild_testkit.registry import own_platform
from support.foreign import EMULATOR, FOREIGN

# Emulators lie below the prefix of the Python that runs.
_CODE = """
import json, os, sys
from pathlib import Path
sys.prefix = sys.argv[1]
from ocibuild_core.cli.head_start import HeadStart
from ocibuild_core.cli.settle import Settled
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import Environment

env = {"PATH": os.environ["PATH"], "CONTEXT": ".", "OCIBUILD_STATE_DIR": sys.argv[1], "IMAGE_PLATFORM": sys.argv[2]}
settled = Settled(settings=resolve([Environment(env)]), env=env, warnings=())
with HeadStart(settled, is_wanted=True):
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
print(json.dumps(bool(children)))
"""


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("platform", "has_emulator", "is_launched"),
    [
        ("", True, True),
        (own_platform(), True, True),
        (f"linux/{FOREIGN}", False, True),
        (f"linux/{FOREIGN}", True, False),
    ],
)
def test_an_engine_waits_for_what_may_be_registered(
    platform: str, *, has_emulator: bool, is_launched: bool, sandbox: Path
) -> None:
    (sandbox / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    place = sandbox / "libexec" / "ocibuild"
    place.mkdir(parents=True)
    if has_emulator:
        (place / EMULATOR).touch()
    command = [sys.executable, "-c", _CODE, str(sandbox), platform]
    ended = subprocess.run(command, cwd=sandbox, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(ended.stdout) is is_launched


_LOADED = """
import os, sys
from ocibuild_core.engine import launcher
from ocibuild_core.cli.main import build

def start_keeper(job):
    found = [name for name in %r if name in sys.modules]
    sys.__stdout__.write(" ".join(found))
    sys.__stdout__.flush()
    os._exit(0)

launcher.start_keeper = start_keeper
sys.argv = ["build", "."]
build()
"""
_TOO_SLOW = ("click", "dataclasses", "inspect", "json", "logging", "pluggy", "socket", "threading", "typing", "yaml")


def test_little_is_loaded_before_the_launch(sandbox: Path) -> None:
    (sandbox / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    # Without `site`: what an environment's own files load is none of ours.
    code = f"import sys; sys.path[:] = {sys.path!r}\n{_LOADED % (_TOO_SLOW,)}"
    ended = subprocess.run(
        [sys.executable, "-IS", "-c", code], cwd=sandbox, capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout.split() == []
