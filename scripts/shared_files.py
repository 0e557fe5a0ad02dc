"""Write ocibuild_core/share, which the wheel carries: man pages and completions; `--check` compares.

Man pages are in the language of man(7), made from the table of settings and from click's commands.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from generated import write_or_check
from ocibuild_core.cli.flags import GroupedOption, build_flags
from ocibuild_core.cli.group import ocibuild_group
from ocibuild_core.cli.shells import PROGRAMS, script
from ocibuild_core.settings.fields import GROUPS
from ocibuild_core.settings.table import FIELDS

from ocibuild_core import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHARE = Path(__file__).parents[1] / "ocibuild_core" / "share"
_DATE = "2026-11-30"
"""When the pages last changed in more than what the table says."""
_PLACES = {
    "bash": "bash-completion/completions/{}",
    "zsh": "zsh/site-functions/_{}",
    "fish": "fish/vendor_completions.d/{}.fish",
}
_CODES = {
    "0": "Done.",
    "1": "The build itself failed, or --check found something.",
    "2": "An argument, a setting or a file of settings.",
    "3": "A login: missing, wrong or refused.",
    "4": "A plugin: unknown, missing or broken.",
    "5": "BuildKit: not found, not started, too old, gone.",
    "6": "What was built could not be written or sent.",
    "128+n": "Signal n.",
}
_ELSEWHERE = {
    "auth": "Who answers for which registry, and whether the registry agrees.",
}


def files() -> dict[str, str]:
    """Path below `share/` and text of each file."""
    made = {place.format(program): script(shell, program) for shell, place in _PLACES.items() for program in PROGRAMS}
    made["man/man1/build.1"] = _page("build", "build a Dockerfile into an OCI image", _build())
    made["man/man1/ocibuild.1"] = _page("ocibuild", "log in to registries, see to plugins, build images", _ocibuild())
    made["man/man1/docker-credential-ocibuild.1"] = _page(
        "docker-credential-ocibuild", "answer container tools with the logins of ocibuild", _helper()
    )
    return made


def _page(name: str, summary: str, body: Iterable[str]) -> str:
    head = (
        '.\\" Written by scripts/shared_files.py; change that, or the table of settings, not this page.',
        f'.TH {name.upper()} 1 {_DATE} "ocibuild {__version__}"',
        ".SH NAME",
        f"{_text(name)} \\- {_text(summary)}",
    )
    return "\n".join([*head, *body]) + "\n"


def _build() -> Iterator[str]:
    yield from (".SH SYNOPSIS", ".B build", "[\\fIOPTION\\fR]... [\\fICONTEXT\\fR]")
    yield ".SH DESCRIPTION"
    yield from _paragraphs(
        "Builds the Dockerfile in CONTEXT, the current directory by default, with BuildKit, which is started for the "
        "build unless --addr names one. A CONTEXT of - is read from standard input: an archive, or a Dockerfile.\n\n"
        "Without --output what is built goes into the directory image, if that exists. Registries that the build "
        "needs are logged in to through auth plugins.\n\n"
        "Each option can also be given by its environment variable or in a file of settings; the command line wins "
        "over the environment, that over the file. Options of installed plugins come on top: build --help shows them."
    )
    yield ".SH OPTIONS"
    flags = [flag for flag in build_flags() if isinstance(flag, GroupedOption)]
    for group in GROUPS:
        yield f".SS {_text(group)}"
        for flag in flags:
            if flag.group == group:
                yield from _option(flag)
    yield ".SH ENVIRONMENT"
    yield from _paragraphs("Besides those named above, for settings that have no option:")
    for field in FIELDS:
        names = [max(field.env, key=len).upper()] if field.env else []
        names += [f"{field.prefix}NAME"] if field.prefix else []
        if names and not field.flags:
            yield from _entry(" ".join(f"\\fB{_text(name)}\\fR" for name in names), field.help)
    for field in FIELDS:
        if field.prefix and field.flags:
            yield from _entry(f"\\fB{_text(field.prefix)}NAME\\fR", field.help)
    yield ".SH EXIT STATUS"
    for code, meaning in _CODES.items():
        yield from _entry(f"\\fB{code}\\fR", meaning)
    yield ".SH FILES"
    yield from _entry("\\fIocibuild.yml\\fR", "Settings that come with the sources: of the build itself alone.")
    yield from _entry("\\fI~/.config/ocibuild.yml\\fR", "The user's own settings.")
    yield from _entry("\\fIimage/\\fR", "Where image.tar and digest are written, if it exists.")
    yield from _entry("\\fIcache/\\fR", "Where the build's cache is kept, if it exists.")
    yield ".SH EXAMPLES"
    for line in (
        "build --output docker,dest=image.tar .",
        "build --login ecr --push --tag 123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1 .",
        "build --platform linux/amd64,linux/arm64 --output oci,dest=app.tar .",
        "build --print",
    ):
        yield from (".nf", f"    {_text(line)}", ".fi")
    yield from (".SH SEE ALSO", ".BR ocibuild (1),", ".BR docker\\-credential\\-ocibuild (1)")


def _ocibuild() -> Iterator[str]:
    yield from (".SH SYNOPSIS", ".B ocibuild", "\\fICOMMAND\\fR [\\fIARGUMENT\\fR]...")
    yield ".SH COMMANDS"
    group = ocibuild_group()
    assert isinstance(group, click.Group)  # noqa: S101  # for the type checker
    yield from _commands("ocibuild", group)
    yield from (".SH EXIT STATUS", "As of", ".BR build (1).")
    yield from (".SH SEE ALSO", ".BR build (1),", ".BR docker\\-credential\\-ocibuild (1)")


def _commands(path: str, group: click.Group) -> Iterator[str]:
    context = click.Context(group, info_name=path)
    for name in group.list_commands(context):
        if name == "build":
            yield from (".SS ocibuild build", "The same as", ".BR build (1).")
            continue
        command = group.get_command(context, name)
        if command is None:
            continue
        full = f"{path} {name}"
        usage = " ".join(command.collect_usage_pieces(click.Context(command, info_name=name)))
        yield from (f".SS {_text(full)} {_text(usage)}", *_paragraphs(command.help or _ELSEWHERE.get(name, "")))
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                yield from _option(parameter)
        if isinstance(command, click.Group):
            yield from _commands(full, command)


def _helper() -> Iterator[str]:
    yield from (".SH SYNOPSIS", ".B docker\\-credential\\-ocibuild", "get|store|erase|list|version")
    yield ".SH DESCRIPTION"
    yield from _paragraphs(
        "Speaks the protocol of docker's credential helpers, so that docker, podman, skopeo, crane, helm and others "
        "log in with the same plugins as build does. It reads a question from standard input and answers on standard "
        "output.\n\n"
        "To use it for one registry, write its name into the configuration of the tool:"
    )
    yield from (".PP", ".nf", '    {"credHelpers": {"r.example": "ocibuild"}}', ".fi")
    yield from (".SH SEE ALSO", ".BR build (1),", ".BR ocibuild (1)")


def _option(option: click.Option) -> Iterator[str]:
    value = f" \\fI{_text(option.metavar)}\\fR" if option.metavar else ""
    names = (name for name in (*option.opts, *option.secondary_opts) if name.startswith("-"))
    spelt = ", ".join(f"\\fB{_text(name)}\\fR{value}" for name in names)
    yield from _entry(spelt, option.help or "")


def _entry(term: str, text: str) -> Iterator[str]:
    yield from (".TP", term, _text(text))


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs; a line that click leaves as it is stays so, too."""
    for number, paragraph in enumerate(text.strip().split("\n\n")):
        lines = [line for line in paragraph.splitlines() if line.strip("\b ")]
        if number:
            yield ".PP"
        if "\b" in paragraph:
            yield from (".nf", *(f"    {_text(line)}" for line in lines), ".fi")
        else:
            yield _text(" ".join(line.strip() for line in lines))


def _text(text: str) -> str:
    """Text that troff takes for nothing else."""
    plain = re.sub(r"\s+\[", " [", text).replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("`", "")
    return f"\\&{plain}" if plain[:1] in (".", "'") else plain


def main() -> int:
    """Write the files, or with `--check` say which are out of date; what nobody makes any more goes."""
    made = files()
    there = {str(path.relative_to(SHARE)) for path in SHARE.rglob("*") if path.is_file()}
    return write_or_check(SHARE, made, others=tuple(sorted(there - made.keys())))


if __name__ == "__main__":
    sys.exit(main())
