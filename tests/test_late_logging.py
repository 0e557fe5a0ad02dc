"""What is logged is shown, and `logging` is loaded by the first word of it."""

from __future__ import annotations

import logging
import subprocess
import sys
from io import StringIO

import pytest
from ocibuild_core.late_logging import get_logger
from ocibuild_core.terminal import Talk

_CODE = """
import sys
from ocibuild_core.late_logging import get_logger
from ocibuild_core.terminal import Talk

log = get_logger("ocibuild.auth")
Talk(level=0).logger()
loaded = ["logging" in sys.modules]
log.warning("%s is odd", "that")
loaded.append("logging" in sys.modules)
print(loaded)
"""


def test_the_first_word_loads_it_and_is_shown() -> None:
    ended = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("[False, True]\n", "warning: that is odd\n")


def test_it_passes_for_the_logger_of_that_name() -> None:
    late = get_logger("ocibuild.late")
    assert isinstance(late, logging.Logger)
    assert late.name == "ocibuild.late"
    assert late.getChild("below") is logging.getLogger("ocibuild.late.below")


@pytest.mark.parametrize(("level", "shown"), [(0, "warning: w\n"), (1, "i\nwarning: w\n"), (-1, "")])
def test_the_latest_talk_takes_what_is_said(level: int, shown: str) -> None:
    first, second = StringIO(), StringIO()
    Talk(0, first).logger()
    log = Talk(level, second).logger()
    log.info("i")
    log.warning("w")
    assert (first.getvalue(), second.getvalue()) == ("", shown)
