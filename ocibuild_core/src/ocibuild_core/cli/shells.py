"""`ocibuild completion`: what a shell has to read so that it completes `build` and `ocibuild`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import (
    BashComplete,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import CompletionItem

SHELLS = ("bash", "zsh", "fish")
PROGRAMS = ("build", "ocibuild")
_USE = """\
Print what SHELL has to read so that it completes `build` and `ocibuild`.

\b
bash  eval "$(ocibuild completion bash)"               in ~/.bashrc
zsh   eval "$(ocibuild completion zsh)"                in ~/.zshrc, behind compinit
fish  ocibuild completion fish | source                in ~/.config/fish/config.fish

The wheel also has these files in share/, where the shells of a system-wide installation find them by themselves.
"""


class _WholeWords(ShellComplete):
    """For shells to which `--flag=value` is one word: click gives the value alone, which would stand in its place."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        """See `ShellComplete.get_completions`."""
        flag, equals, _ = incomplete.partition("=")
        items = super().get_completions(args, incomplete)
        if equals and flag.startswith("--"):
            for item in items:
                if item.type == "plain":
                    item.value = f"{flag}={item.value}"
        return items


class _Zsh(_WholeWords, ZshComplete):
    """See `_WholeWords`."""


class _Fish(_WholeWords, FishComplete):
    """click's script keeps of a value what stands before its first comma."""

    source_template = FishComplete.source_template.replace('string split ","', 'string split -m1 ","')


class _Bash(BashComplete):
    """click's script lets the shell expand a `*` in a value, and starts another bash to ask for its version.

    To readline the `=` of `--flag=value` is a word of its own, which click does not expect before a half value.
    """

    source_template = BashComplete.source_template.replace("COMPREPLY+=($value)", 'COMPREPLY+=("$value")')

    def get_completion_args(self) -> tuple[list[str], str]:
        """See `ShellComplete.get_completion_args`."""
        args, incomplete = super().get_completion_args()
        return (args[:-1] if args[-1:] == ["="] else args), incomplete

    def source(self) -> str:
        """See `ShellComplete.source`; that bash is older than 4.4 nobody needs to be told any more."""
        return self.source_template % self.source_vars()


def register() -> None:
    """Make click use ours."""
    add_completion_class(_Fish)
    add_completion_class(_Bash)
    add_completion_class(_Zsh)


@click.command("completion", help=_USE)
@click.argument("shell", type=click.Choice(SHELLS))
@click.argument("programs", type=click.Choice(PROGRAMS), nargs=-1)
def completion(shell: str, programs: Sequence[str]) -> None:
    """Print the script."""
    click.echo("\n".join(script(shell, program) for program in programs or PROGRAMS), nl=False)


def script(shell: str, program: str) -> str:
    """The script of one shell for one program."""
    register()
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  # click knows these three
    variable = f"_{program.upper()}_COMPLETE"
    source: str = kind(click.Command(program), {}, program, variable).source()
    return source


def complete_quietly(command: click.Command, program: str) -> Any:  # noqa: ANN401  # it ends the program
    """Answer the shell. What goes wrong is nobody's to read: the line would be torn."""
    import contextlib  # noqa: PLC0415  # only here
    import io  # noqa: PLC0415

    register()
    with contextlib.redirect_stderr(io.StringIO()):
        return command.main(prog_name=program, standalone_mode=False)
