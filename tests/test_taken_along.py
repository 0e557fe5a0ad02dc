"""Outputs that lie in the context, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import CommandLine
from ocibuild_core.taken_along import taken_along


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """One that has an image of an earlier build in it."""
    (tmp_path / "c" / "image").mkdir(parents=True)
    (tmp_path / "c" / "image" / "image.tar").touch()
    return tmp_path / "c"


def found(context: Path, dockerfile: str, *places: Path) -> tuple[str, ...]:
    (context / "Dockerfile").write_text(f"FROM scratch\n{dockerfile}\n")
    settings = resolve([CommandLine({"context": str(context)}, {})])
    return taken_along(settings, places or (context / "image" / "image.tar", context / "image" / "digest"))


@pytest.mark.parametrize(
    "line", ["COPY . /", "copy ./ /app", "  COPY --chown=1:1 --link . .", "ADD . /x", "COPY * /", "COPY / /"]
)
def test_an_image_that_the_whole_context_takes_along_is_named(line: str, context: Path) -> None:
    assert found(context, line) == ("image/image.tar",)


@pytest.mark.parametrize("line", ["COPY app /", "COPY --from=x . /", "# COPY . /", "RUN cp . /", "COPY .git /"])
def test_what_is_not_copied_is_not_named(line: str, context: Path) -> None:
    assert found(context, line) == ()


def test_what_lies_elsewhere_or_is_not_there_is_not_named(context: Path) -> None:
    assert found(context, "COPY . /", context.parent, context / "no" / "image.tar") == ()


@pytest.mark.parametrize("name", [".dockerignore", "Dockerfile.dockerignore"])
def test_who_ignores_something_is_told_nothing(name: str, context: Path) -> None:
    (context / name).write_text("image\n")
    assert found(context, "COPY . /") == ()
