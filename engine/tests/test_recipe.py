from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from gowheel.errors import WheelError
from gowheel.recipe import NO_VERSION, read_module, read_tools

ENGINE = Path(__file__).parents[1]
GO_MOD = """\
module example.com/wheel

go 1.26.3

tool example.org/kit/v3/cmd/kit

require (
	example.org/kit v1.0.0 // indirect
	example.org/kit/v3 v3.3.0 // indirect
	example.org/kitchen v9.9.9 // indirect
)
"""


def module_directory(path: Path, go_mod: str) -> Path:
    (path / "go.mod").write_text(go_mod)
    (path / "go.sum").write_text("sums")
    return path


def test_the_longest_module_path_that_holds_the_package_is_the_tools(tmp_path: Path) -> None:
    module = read_module(module_directory(tmp_path, GO_MOD))
    assert (module.package, module.path, module.version) == (
        "example.org/kit/v3/cmd/kit",
        "example.org/kit/v3",
        "v3.3.0",
    )


def test_a_single_line_requirement_counts_too(tmp_path: Path) -> None:
    go_mod = "module x\n\ntool example.org/runc\n\nrequire example.org/runc v1.5.2 // indirect\n"
    assert read_module(module_directory(tmp_path, go_mod)).version == "v1.5.2"


def test_a_program_of_our_own_is_what_lies_there(tmp_path: Path) -> None:
    directory = module_directory(tmp_path, "module example.com/ours\n\ntool example.com/ours\n")
    (directory / "go.sum").unlink()
    (directory / "main.go").write_text("package main")
    module = read_module(directory)
    assert (module.path, module.version, module.go_sum) == ("example.com/ours", NO_VERSION, b"")
    assert module.sources == {"main.go": b"package main"}


@pytest.mark.parametrize(
    ("go_mod", "complaint"),
    [
        ("module x\n", r"one `tool` directive, has 0"),
        ("module x\n\ntool a.org/b\n\ntool a.org/c\n", r"one `tool` directive, has 2"),
        (
            "module x\n\ntool a.org/b\n\nrequire a.org/bc v1.0.0\n",
            r"requires no module that holds a\.org/b; run: go get",
        ),
    ],
)
def test_a_go_mod_that_pins_no_tool_is_refused(tmp_path: Path, go_mod: str, complaint: str) -> None:
    with pytest.raises(WheelError, match=complaint):
        read_module(module_directory(tmp_path, go_mod))


@pytest.mark.parametrize("config", [{}, {"tools": []}, {"tools": [{}]}, {"tools": [{"name": "x", "cog": True}]}])
def test_a_configuration_that_names_no_tool_or_misspells_a_key_is_refused(config: dict[str, object]) -> None:
    with pytest.raises(WheelError, match=r"hooks\.custom\.tools"):
        read_tools(config)


def test_buildctl_and_buildkitd_are_of_one_version() -> None:
    assert read_module(ENGINE / "go/buildctl").version == read_module(ENGINE / "go/buildkitd").version


def test_every_go_module_is_a_configured_tool() -> None:
    config = tomllib.loads((ENGINE / "pyproject.toml").read_text())
    tools = read_tools(config["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"])
    assert {tool.name for tool in tools} == {path.name for path in (ENGINE / "go").iterdir()}
