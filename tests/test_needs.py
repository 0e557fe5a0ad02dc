from __future__ import annotations

from pathlib import Path

import pytest
from ocibuild_core.needs import images_of, needed_registries, reasons_of
from ocibuild_core.settings.model import BuildSettings
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import CommandLine, Environment


def settings(directory: Path, dockerfile: str, **env: str) -> BuildSettings:
    (directory / "Dockerfile").write_text(dockerfile)
    return resolve([Environment({"CONTEXT": str(directory), **env})])


def test_each_registry_is_needed_once_with_every_reason(tmp_path: Path) -> None:
    found = settings(tmp_path, "FROM r.example/a:1\nCOPY --from=r.example/b:2 / /\nFROM scratch\nCOPY --from=0 / /\n")
    assert needed_registries(found) == ("r.example",)
    assert reasons_of(found) == [
        ("r.example", "FROM r.example/a:1 (line 1)"),
        ("r.example", "COPY --from r.example/b:2 (line 2)"),
    ]


def test_mirrors_are_needed_where_docker_hub_is(tmp_path: Path) -> None:
    mirrors = {"REGISTRY_MIRRORS": "m.example,N.example:5000/path"}
    assert needed_registries(settings(tmp_path, "FROM alpine\n", **mirrors)) == (
        "docker.io",
        "m.example",
        "n.example:5000",
    )
    assert needed_registries(settings(tmp_path, "FROM r.example/a\n", **mirrors)) == ("r.example",)


def test_mirrors_of_any_registry_are_needed_where_it_is(tmp_path: Path) -> None:
    tables = '[registry."r.example"]\nmirrors = ["m.example/path"]\n[registry."docker.io"]\nmirrors = ["h.example"]\n'
    found = settings(tmp_path, "FROM r.example/a\n", BUILDKIT_EXTRA_CONFIG=tables)
    assert reasons_of(found) == [("r.example", "FROM r.example/a (line 1)"), ("m.example", "mirror of r.example")]


def test_a_frontend_that_a_build_argument_names_is_needed(tmp_path: Path) -> None:
    found = settings(tmp_path, "# syntax=s.example/f:1\nFROM scratch\n", BUILD_ARG_BUILDKIT_SYNTAX="f.example/f:1")
    assert reasons_of(found) == [("f.example", "--build-arg BUILDKIT_SYNTAX f.example/f:1")]


@pytest.mark.parametrize("name", ["docker.io/library/base", "BASE:latest", "base::linux/amd64", "base::x86_64"])
def test_an_image_that_a_context_stands_for_is_not_needed(tmp_path: Path, name: str) -> None:
    (tmp_path / "Dockerfile").write_text("FROM base\n")
    flags = {"context": str(tmp_path), "platforms": ("linux/amd64",), "build_contexts": (f"{name}={tmp_path}",)}
    assert images_of(resolve([CommandLine(flags, {})])) == ()
    flags["platforms"] = ("linux/amd64", "linux/arm64")
    assert bool(images_of(resolve([CommandLine(flags, {})]))) is ("::" in name)


def test_what_cannot_be_read_needs_nobody(tmp_path: Path) -> None:
    assert needed_registries(resolve([Environment({"CONTEXT": str(tmp_path / "none")})])) == ()
