"""Which images a Dockerfile needs, without running it.

Follows the grammar of https://docs.docker.com/reference/dockerfile/ as far as images are named in it: parser
directives, continuation lines, heredocs, global ARGs, stages, `COPY --from`, `RUN --mount=from=`. What only a build can
know (ONBUILD triggers of a base, instructions of another frontend) is not found here.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from ocibuild_core.records import NamedTuple
from ocibuild_core.registry.reference import short_name
from ocibuild_core.shell_words import expand, split_flags

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NOTHING: Mapping[str, str] = MappingProxyType({})

_DIRECTIVE = r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+)"
_DIRECTIVES = frozenset({"syntax", "escape", "check"})
"""Any other ends them (frontend/dockerfile/parser/directives.go in moby/buildkit)."""
_SYNTAX_ARG = "BUILDKIT_SYNTAX"
"""Stands in for the directive (frontend/dockerfile/builder/build.go in moby/buildkit)."""
_HEREDOC = r"<<(-?)\s*([\"']?)([a-zA-Z_][a-zA-Z0-9_]*)\2"
_HEREDOC_INSTRUCTIONS = frozenset({"RUN", "COPY", "ADD"})


class ImageUse(NamedTuple):
    """One image that the build will ask a registry for.

    Args:
        reference: as written, variables expanded.
        purpose: the instruction that names it (`FROM`, `COPY --from`, `RUN --mount`, `# syntax`).
        line: where, counted from 1.
    """

    reference: str
    purpose: str
    line: int


class _Stage:
    def __init__(self, name: str, base: ImageUse, platform: str) -> None:
        self.name = name
        self.base = base
        self.platform = platform
        self.first_run = 0
        self.uses: list[ImageUse] = []
        self.instructions: list[Instruction] = []


class Instruction(NamedTuple):
    """One logical line: its keyword in capitals, what follows it, and where it begins, counted from 1."""

    keyword: str
    rest: str
    line: int


def needed_images(
    text: str,
    *,
    target: str | None = None,
    build_args: Mapping[str, str] = _NOTHING,
    contexts: Sequence[str] = (),
    platform_args: Mapping[str, str] = _NOTHING,
) -> tuple[ImageUse, ...]:
    """The images that building `target` asks registries for, each reference once, in the order of the file.

    Args:
        text: the Dockerfile.
        target: the stage to build; None means the last one. Stages that it does not need are left out.
        build_args: they override the defaults of ARGs before the first FROM.
        contexts: short names of further build contexts, which stand before stages and images of that name.
        platform_args: what `TARGETARCH` and its kin hold; a FROM may use them without an ARG.

    A reference whose variables cannot be expanded is left out. Never raises: what is malformed is BuildKit's to say.
    """
    lines = _lines(text)
    directives, escape = _directives(lines)
    stages = _stages(_instructions(lines, escape), build_args, platform_args)
    uses = [_chosen_frontend(build_args)] if _SYNTAX_ARG in build_args else directives
    uses += [use for stage in _reachable(stages, target, contexts) for use in (stage.base, *stage.uses)]
    own_names = {stage.name for stage in stages} | {"scratch", "context"}
    unique: dict[str, ImageUse] = {}
    for use in sorted(uses, key=lambda use: use.line):
        is_own = use.reference.lower() in own_names or use.reference.isdigit()
        if use.reference and not is_own and short_name(use.reference) not in contexts:
            unique.setdefault(use.reference, use)
    return tuple(unique.values())


def needed_instructions(
    text: str, *, target: str | None = None, build_args: Mapping[str, str] = _NOTHING
) -> Iterator[Instruction]:
    """The instructions that building `target` follows: ARGs before the first FROM, then the stages that it needs.

    Args:
        text: the Dockerfile.
        target: the stage to build; None means the last one.
        build_args: they override the defaults of ARGs before the first FROM.
    """
    lines = _lines(text)
    _, escape = _directives(lines)
    for instruction in _instructions(lines, escape):
        if instruction.keyword == "FROM":
            break
        yield instruction
    for stage in _reachable(_stages(_instructions(lines, escape), build_args), target):
        yield from stage.instructions


def added_sources(
    text: str, *, target: str | None = None, build_args: Mapping[str, str] = _NOTHING
) -> Iterator[tuple[int, str]]:
    """What the ADDs take that building `target` follows, with the line of each; variables are as they are written."""
    if not re.search(r"(?im)^\s*add\s", text):
        return
    for instruction in needed_instructions(text, target=target, build_args=build_args):
        if instruction.keyword == "ADD":
            words = re.findall(r"[^\s\"\[\],]+", split_flags(instruction.rest)[1])
            yield from ((instruction.line, source) for source in words[:-1])


def stage_names(text: str) -> tuple[str, ...]:
    """The names of the Dockerfile's stages, in its order, in lower case as BuildKit takes them."""
    lines = _lines(text)
    _, escape = _directives(lines)
    return tuple(stage.name for stage in _stages(_instructions(lines, escape), {}) if stage.name)


def argument_names(text: str) -> tuple[str, ...]:
    """The names of the Dockerfile's ARGs, each once."""
    lines = _lines(text)
    _, escape = _directives(lines)
    words = (one.rest.split() for one in _instructions(lines, escape) if one.keyword == "ARG")
    return tuple(dict.fromkeys(word.partition("=")[0] for some in words for word in some))


def first_runs(
    text: str,
    *,
    target: str | None = None,
    build_args: Mapping[str, str] = _NOTHING,
    contexts: Sequence[str] = (),
    platform_args: Mapping[str, str] = _NOTHING,
) -> dict[str, int]:
    """The platforms that the RUNs run on which building `target` follows, each with the line of the first.

    A stage whose FROM names a platform runs on that one, as does what is built from it; any other on the target's. One
    whose variables cannot be expanded is left out.

    Args:
        text: the Dockerfile.
        target: as of `needed_images`, as are the others.
        build_args: see there.
        contexts: see there.
        platform_args: see there.
    """
    lines = _lines(text)
    _, escape = _directives(lines)
    found: dict[str, int] = {}
    for stage in _reachable(_stages(_instructions(lines, escape), build_args, platform_args), target, contexts):
        if stage.first_run and stage.platform:
            found.setdefault(stage.platform, stage.first_run)
    return found


def _chosen_frontend(build_args: Mapping[str, str]) -> ImageUse:
    first, *_ = [*build_args[_SYNTAX_ARG].split(), ""]
    return ImageUse(reference=first, purpose=f"--build-arg {_SYNTAX_ARG}", line=0)


def _lines(text: str) -> list[str]:
    """The lines as BuildKit has them: nothing but a line feed ends one (Go's `bufio.ScanLines`)."""
    return [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]


def _directives(lines: Sequence[str]) -> tuple[list[ImageUse], str]:
    """Parser directives: comments of the form `# key=value` before anything else."""
    found: list[ImageUse] = []
    escape = "\\"
    for number, line in enumerate(lines, start=1):
        match = re.fullmatch(_DIRECTIVE, line.strip())
        if not match or match[1].lower() not in _DIRECTIVES:
            break
        key, value = match[1].lower(), match[2]
        if key == "syntax":
            found.append(ImageUse(reference=value.split()[0], purpose="# syntax", line=number))
        elif key == "escape" and value in ("\\", "`"):
            escape = value
    return found, escape


def _instructions(lines: Sequence[str], escape: str) -> Iterator[Instruction]:
    """Logical lines: continuations joined, comments and the bodies of heredocs dropped."""
    rows = iter(enumerate(lines, start=1))
    joined, start = "", 0
    for number, line in rows:
        stripped = line.strip()
        if stripped.startswith("#") or not stripped:
            continue
        start = start if joined else number
        if stripped.endswith(escape):
            joined += stripped[:-1] + " "
            continue
        keyword, *more = (joined + stripped).split(maxsplit=1)
        rest = more[0] if more else ""
        joined = ""
        yield Instruction(keyword.upper(), rest, start)
        if keyword.upper() in _HEREDOC_INSTRUCTIONS:
            for dash, _, word in re.findall(_HEREDOC, rest):
                _skip_heredoc(rows, word, strip_tabs=bool(dash))


def _skip_heredoc(rows: Iterator[tuple[int, str]], word: str, *, strip_tabs: bool) -> None:
    for _, line in rows:
        if (line.lstrip("\t") if strip_tabs else line) == word:
            return


def _stages(
    instructions: Iterator[Instruction], build_args: Mapping[str, str], platform_args: Mapping[str, str] = _NOTHING
) -> list[_Stage]:
    stages: list[_Stage] = []
    variables = dict(platform_args)
    for instruction in instructions:
        if instruction.keyword == "FROM":
            stages.append(_stage(instruction, variables, stages))
        if stages:
            stages[-1].instructions.append(instruction)
        if instruction.keyword == "ARG" and not stages:
            _declare(instruction.rest, variables, build_args)
        elif stages and instruction.keyword in ("COPY", "ADD"):
            stages[-1].uses += _copied(instruction)
        elif stages and instruction.keyword == "RUN":
            stages[-1].uses += _mounted(instruction)
            stages[-1].first_run = stages[-1].first_run or instruction.line
    return stages


def _declare(rest: str, variables: dict[str, str], build_args: Mapping[str, str]) -> None:
    for word in rest.split():
        name, equals, default = word.partition("=")
        if name in build_args:
            variables[name] = build_args[name]
        elif equals:
            variables[name] = expand(default, variables) or ""


def _stage(instruction: Instruction, variables: Mapping[str, str], earlier: Sequence[_Stage]) -> _Stage:
    flags, rest = split_flags(instruction.rest)
    words = rest.split()
    reference = expand(words[0], variables) if words else ""
    bases = (stage for stage in reversed(earlier) if stage.name and stage.name == (reference or "").lower())
    inherited = next((stage.platform for stage in bases), variables.get("TARGETPLATFORM", ""))
    platform = next((expand(value, variables) or "" for name, value in flags if name == "platform"), inherited)
    name = words[2].lower() if len(words) == 3 and words[1].lower() == "as" else ""  # noqa: PLR2004  # IMAGE AS NAME
    return _Stage(name, ImageUse(reference=reference or "", purpose="FROM", line=instruction.line), platform)


def _copied(instruction: Instruction) -> list[ImageUse]:
    flags, _ = split_flags(instruction.rest)
    purpose = f"{instruction.keyword} --from"
    return [ImageUse(value, purpose, instruction.line) for name, value in flags if name == "from" and value]


def _mounted(instruction: Instruction) -> list[ImageUse]:
    flags, _ = split_flags(instruction.rest)
    fields = (field.partition("=") for name, value in flags if name == "mount" for field in value.split(","))
    return [ImageUse(value, "RUN --mount", instruction.line) for key, _, value in fields if key == "from" and value]


def _reachable(stages: Sequence[_Stage], target: str | None, contexts: Sequence[str] = ()) -> list[_Stage]:
    """The target stage and those it is made from, directly or not; without those that a context stands for."""
    if not stages:
        return []
    by_name = {stage.name: index for index, stage in enumerate(stages) if stage.name}
    by_name |= {str(index): index for index in range(len(stages))}
    wanted = by_name.get(target.lower(), len(stages) - 1) if target else len(stages) - 1
    seen: set[int] = set()
    queue = [wanted]
    while queue:
        index = queue.pop()
        if index in seen or stages[index].name in contexts:
            continue
        seen.add(index)
        for use in (stages[index].base, *stages[index].uses):
            other = by_name.get(use.reference.lower())
            if other is not None and other != index:
                queue.append(other)
    return [stages[index] for index in sorted(seen)]
