from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from gowheel.errors import WheelError
from gowheel.recipe import Tool
from gowheel.shipment import gather

if TYPE_CHECKING:
    from pathlib import Path

GO_MOD = "module x\n\ntool example.org/kit\n\nrequire example.org/kit v1.0.0\n"


def test_what_a_tool_lacks_is_said_before_any_other_is_compiled(tmp_path: Path) -> None:
    for name in ("pure", "with-c"):
        (tmp_path / "go" / name).mkdir(parents=True)
        (tmp_path / "go" / name / "go.mod").write_text(GO_MOD)
        (tmp_path / "go" / name / "go.sum").touch()
    said: list[str] = []
    tools = (Tool(name="pure"), Tool(name="with-c", cgo=True))
    environ = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with pytest.raises(
        WheelError, match=r"^with-c: no C toolchain for amd64: gcc, pkg-config, .*\n.*\n  do     apt-get"
    ):
        gather(tmp_path, tools, environ=environ, machine="x86_64", say=said.append)
    assert (said, (tmp_path / "cache").exists()) == ([], False)
