"""`ocibuild`: the group of everything that is not a build, each command imported when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from ocibuild_core import __version__

# Those first that people need most often.
_COMMANDS = {
    "build": ("ocibuild_core.cli.build", "build_command", "Build a Dockerfile; the same as the program build."),
    "login": ("ocibuild_core.cli.login", "login", "Log in to a registry, for later builds."),
    "logout": ("ocibuild_core.cli.login", "logout", "Forget a login."),
    "doctor": ("ocibuild_core.cli.doctor", "doctor", "Look at what a build needs of this machine."),
    "auth": ("ocibuild_core.cli.auth", "auth", "Show who answers for which registry."),
    "plugins": ("ocibuild_core.cli.plugins", "plugins", "Show the installed plugins, begin a new one."),
    "docker-config": (
        "ocibuild_core.cli.docker_config",
        "docker_config",
        "Write a docker config for tools without helpers.",
    ),
    "task": ("ocibuild_core.cli.task", "task", "Build what a request on stdin says, as a Concourse task does."),
    "completion": ("ocibuild_core.cli.shells", "completion", "Print what a shell needs to complete these programs."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        found = getattr(import_module(module), attribute)
        return found if isinstance(found, click.Command) else found(_arguments_of(ctx))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:  # noqa: ANN401  # click's
        """As click does, with the command that was probably meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from ocibuild_core.suggest import near_name  # noqa: PLC0415  # only for a message

            near = near_name(args[0], _COMMANDS)
            if not near or near in error.message:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near!r}?", ctx) from None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """The commands, without loading them, and the flags."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415  # only when a shell asks

        named = [(name, summary) for name, (_, _, summary) in _COMMANDS.items() if name.startswith(incomplete)]
        items: list[Any] = [CompletionItem(name, help=summary) for name, summary in named]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in _COMMANDS.items()])


def _arguments_of(ctx: click.Context) -> list[str]:
    return list(ctx.args)


def ocibuild_group() -> click.Command:
    """The command `ocibuild`."""
    group = _LazyGroup(
        "ocibuild",
        help="Build images with BuildKit, logged in through plugins.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    return click.version_option(__version__, message="ocibuild %(version)s")(group)
