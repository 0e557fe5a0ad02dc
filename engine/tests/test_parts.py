from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from gowheel.ctoolchain import CToolchain
from gowheel.parts import Part
from gowheel.recipe import GoModule, Tool
from gowheel.target import find_target

PART = Part(
    tool=Tool(name="kit", tags=("seccomp",), ldflags="-X main.v={version}"),
    module=GoModule(
        directory=Path("/src"),
        package="example.org/kit",
        path="example.org/kit",
        version="v1.0.0",
        go_mod=b"tool example.org/kit",
        go_sum=b"h1:x",
        sources={},
    ),
    target=find_target("amd64"),
    go_version="go1.26.8",
    c_toolchain=None,
)
GCC = CToolchain(compiler="gcc", settings={}, libraries=(), identity=("gcc 12",))


CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"tool": dataclasses.replace(PART.tool, name="kitty")},
    {"tool": dataclasses.replace(PART.tool, tags=())},
    {"tool": dataclasses.replace(PART.tool, ldflags="")},
    {"tool": dataclasses.replace(PART.tool, cgo=True)},
    {"module": dataclasses.replace(PART.module, go_mod=b"tool example.org/other")},
    {"module": dataclasses.replace(PART.module, go_sum=b"h1:y")},
    {"module": dataclasses.replace(PART.module, sources={"main.go": b"package main"})},
    {"target": find_target("arm64")},
    {"go_version": "go1.26.9"},
    {"c_toolchain": GCC},
    {"c_toolchain": dataclasses.replace(GCC, identity=("gcc 13",))},
)


def test_any_input_that_changes_changes_the_key() -> None:
    keys = {dataclasses.replace(PART, **change).key() for change in CHANGES}
    assert len(keys) == len(CHANGES)


def test_the_directory_of_the_sources_does_not_change_the_key() -> None:
    elsewhere = dataclasses.replace(PART, module=dataclasses.replace(PART.module, directory=Path("/elsewhere")))
    assert elsewhere.key() == PART.key()
