"""The code blocks of the documentation, and what a comment above each says of its running.

A shell block runs as it stands, in a directory with a Dockerfile, unless the comment right above it says otherwise:

    <!-- run: registry, keyring -->      with these scenes of `support.doc_scenes`
    <!-- run: continued -->              in the same shell, after the block before it
    <!-- run: by tests/x/test_y.py -->   by that test, which names the page; what follows a comma is for readers
    <!-- not run: REASON -->             not at all
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SHELL = frozenset({"sh", "bash", "shell", "console"})

_BLOCK = re.compile(
    r"^(?:<!-- (?P<no>not )?run: (?P<mark>[^>]+?) -->\n)?"
    r"(?P<fence>```+)(?P<language>[^\n`]*)\n(?P<code>.*?)^(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)
_INDENTED = re.compile(r"(?<=\n\n)    \S.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block.

    Args:
        page: the file, as a path in the repository.
        line: where its code begins.
        language: what stands behind its fence.
        code: the text.
        mark: what `run:` or `not run:` says; empty without a comment.
        is_left_out: whether it is `not run:`.
    """

    page: str
    line: int
    language: str
    code: str
    mark: str
    is_left_out: bool

    @property
    def is_shell(self) -> bool:
        """Whether it holds commands."""
        return self.language in SHELL

    @property
    def scenes(self) -> tuple[str, ...]:
        """What it needs around it, by name."""
        return tuple(name.strip() for name in self.mark.split(",") if name.strip())

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Blocks of one page that run in one shell."""

    blocks: tuple[Block, ...]

    @property
    def code(self) -> str:
        """What the shell is given: of a transcript (`console`) the lines behind a `$`."""
        return "\n".join(_commands(block) for block in self.blocks)

    def __str__(self) -> str:
        return str(self.blocks[0])


def _commands(block: Block) -> str:
    if block.language != "console":
        return block.code
    return "\n".join(line[2:] for line in block.code.splitlines() if line.startswith("$ "))


def pages() -> tuple[str, ...]:
    """Every page that people read: docs, the READMEs of distributions and examples, the files beside them."""
    found = {
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *(ROOT / name / "README.md" for name in ("ocibuild_core", "engine", "testkit", "testkit/registry", "image")),
        *ROOT.glob("plugins/*/README.md"),
        *ROOT.glob("examples/**/README.md"),
    }
    kept = (path.relative_to(ROOT) for path in found if path.is_file())
    return tuple(sorted(str(path) for path in kept if not any(part.startswith(".") for part in path.parts)))


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page."""
    text = (ROOT / page).read_text("utf-8")
    for found in _BLOCK.finditer(text):
        yield Block(
            page=page,
            line=text.count("\n", 0, found.start("code")) + 1,
            language=found["language"].strip(),
            code=found["code"],
            mark=found["mark"] or "",
            is_left_out=bool(found["no"]),
        )


def scripts() -> Iterator[Script]:
    """What is to be run here: shell blocks that are neither left out nor another test's."""
    for page in pages():
        group: list[Block] = []
        for block in (one for one in blocks(page) if one.is_shell):
            if block.mark == "continued" and not block.is_left_out:
                group.append(block)
                continue
            if group:
                yield Script(blocks=tuple(group))
            group = [] if block.is_left_out or block.mark.startswith("by ") else [block]
        if group:
            yield Script(blocks=tuple(group))


def unfenced(page: str) -> list[str]:
    """Lines of code blocks whose language nobody can know: indented ones."""
    text = _BLOCK.sub("", (ROOT / page).read_text("utf-8"))
    return [found[0].strip() for found in _INDENTED.finditer(text)]
