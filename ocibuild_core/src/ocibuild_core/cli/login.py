"""`ocibuild login` and `logout`: a person at a terminal, a registry that is asked first, a provider that keeps it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ocibuild_core.errors import CredentialError, CredentialsUnavailable, PluginError, UsageError, masked_errors
from ocibuild_core.providers import Match
from ocibuild_core.secret import MAX_SECRET_BYTES, Secret
from ocibuild_core.terminal import without_controls

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ocibuild_core.auth.boundary import GuardedProvider
    from ocibuild_core.auth.redact import Redactor
    from ocibuild_core.credentials import Credential
    from ocibuild_core.registry.ways import Way
    from ocibuild_core.settings.sources import Source

_PATIENCE = 600.0
"""Seconds for a person to find his password and to unlock his keyring."""
_HTTP_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalUI:
    """See `LoginUI`.

    Args:
        redactor: learns every secret that is typed or that a registry gives.
        way: how the registry is spoken to.
    """

    redactor: Redactor
    way: Way

    def ask(self, question: str) -> str:
        """See `LoginUI.ask`."""
        return str(self._prompt(question, hide=False))

    def ask_secret(self, question: str) -> Secret:
        """See `LoginUI.ask_secret`."""
        secret = Secret(self._prompt(question, hide=True))
        self.redactor.add(secret)
        return secret

    def say(self, text: str) -> None:
        """See `LoginUI.say`."""
        click.echo(without_controls(self.redactor.text(text)), err=True)

    def verify(self, registry: str, credential: Credential) -> None:
        """See `LoginUI.verify`."""
        from ocibuild_core.registry.check import Verdict  # noqa: PLC0415  # not for `logout`
        from ocibuild_core.registry.ways import open_check  # noqa: PLC0415

        check = open_check(registry, credential, self.way, seconds=_HTTP_SECONDS, learned=self.redactor.add)
        result = check.login()
        if result.verdict is Verdict.ANONYMOUS_OK:
            self.say(f"{registry} asks nobody for a login, so the password could not be tried")
        elif not result.verdict.is_good:
            is_near = result.verdict is not Verdict.UNREACHABLE
            remedy = "try again" if is_near else "check the name, the network, and --registry-ca or --plain-http"
            raise CredentialError(
                f"{registry}: {result.verdict.value}", why=result.detail, do=f"nothing was stored; {remedy}"
            )

    def _prompt(self, question: str, *, hide: bool) -> str:
        if not sys.stdin.isatty():
            raise CredentialsUnavailable(
                "there is no terminal to ask at", do="give --user, and the password on stdin with --stdin"
            )
        return str(click.prompt(without_controls(question).rstrip(": "), hide_input=hide, err=True))


def _flags(command: Callable[..., None]) -> Callable[..., None]:
    for flag in (
        click.argument("host"),
        click.option("--user", "-u", metavar="NAME", help="User name."),
        click.option("--provider", metavar="NAME", help="Auth provider that keeps the login."),
        click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="File of settings."),
    ):
        command = flag(command)
    return command


@click.command()
@_flags
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from stdin.")
@click.option(
    "--registry-ca",
    "ca_file",
    type=click.Path(path_type=Path),
    metavar="[HOST=]FILE",
    help="CA that signed the registry's certificate.",
)
@click.option("--plain-http", is_flag=True, help="The registry speaks http.")
def login(  # one for each flag
    *,
    host: str,
    user: str | None,
    from_stdin: bool,
    ca_file: Path | None,
    plain_http: bool,
    **flags: Any,  # noqa: ANN401
) -> None:
    """Log in to HOST, and keep the login for later builds.

    The password is shown to the registry before it is kept. It is asked for at the terminal, or read with --stdin.
    The registry is spoken to as a build would: REGISTRY_CA and the other variables of registries count.
    """
    opened = _open(host, flags)
    secret = _read_secret() if from_stdin else None
    if secret:
        opened.redactor.add(secret)
    if from_stdin and not user:
        raise UsageError("--stdin gives the password, and no user is named", do="add --user NAME")
    ui = TerminalUI(redactor=opened.redactor, way=_way(opened, ca_file, plain_http=plain_http))
    with masked_errors(opened.redactor.text):
        ui.say(opened.provider.login(opened.registry, ui, username=user, secret=secret, seconds=_PATIENCE))


@click.command()
@_flags
def logout(*, host: str, user: str | None, **flags: Any) -> None:  # noqa: ANN401
    """Forget the login to HOST; with --user that of one user alone."""
    from ocibuild_core.registry.ways import Way  # noqa: PLC0415  # not for `--help`

    opened = _open(host, flags)
    ui = TerminalUI(redactor=opened.redactor, way=Way())  # the registry is not asked, whatever is set for it
    ui.say(opened.provider.logout(opened.registry, ui, username=user, seconds=_PATIENCE))


def _way(opened: _Opened, ca_file: Path | None, *, plain_http: bool) -> Way:
    """What the flags say, else what a build is told of the registry."""
    from ocibuild_core.cli.auth import ways_of  # noqa: PLC0415  # not for `--help`
    from ocibuild_core.registry.ways import Way  # noqa: PLC0415

    if ca_file or plain_http:
        return Way(plain_http=plain_http, ca_files=(_certificate(ca_file, opened.registry),) if ca_file else ())
    return ways_of(opened.sources).to(opened.registry)


def _certificate(given: Path, registry: str) -> Path:
    """The file of `FILE`, or of `HOST=FILE` as `build` has it."""
    from ocibuild_core.registry.hosts import parse  # noqa: PLC0415  # not for `--help`

    host, equals, file = str(given).partition("=")
    if not os.path.exists(given) and equals:  # noqa: PTH110  # its own would raise below a closed directory
        if parse(host, what="--registry-ca").registry != registry:
            raise UsageError(f"--registry-ca names {host}, and the login is to {registry}", do="name one of them")
        given = Path(file)
    if not os.path.isfile(given):  # noqa: PTH113  # the same
        raise UsageError(f"--registry-ca: there is no file {str(given)!r}", do="name the file that holds the CA")
    return given


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """What both commands work with."""

    provider: GuardedProvider
    registry: str
    redactor: Redactor
    sources: Sequence[Source]


def _open(host: str, flags: dict[str, Any]) -> _Opened:
    from ocibuild_core.auth.ambient import read_ambient  # noqa: PLC0415  # not for `--help`
    from ocibuild_core.auth.redact import Redactor  # noqa: PLC0415
    from ocibuild_core.auth.setup import guard_providers, load_providers  # noqa: PLC0415
    from ocibuild_core.clock import SystemClock  # noqa: PLC0415
    from ocibuild_core.registry.hosts import parse  # noqa: PLC0415
    from ocibuild_core.terminal import Talk  # noqa: PLC0415

    env = dict(os.environ)
    registry = parse(host, what="HOST").registry
    redactor = Redactor()
    talk = Talk()
    talk.mask = redactor.text
    talk.logger()
    ambient = read_ambient(env, config=flags["config"])
    catalog, options = load_providers(ambient)
    wanted = catalog.provider(flags["provider"]).provider.name if flags["provider"] else ambient.keeper
    guarded = guard_providers(catalog, options, env=env, clock=SystemClock(), timeout=ambient.login.timeout)
    provider = _choose(registry, wanted, guarded)
    return _Opened(provider=provider, registry=registry, redactor=redactor, sources=ambient.sources)


def _choose(registry: str, wanted: str, providers: dict[str, GuardedProvider]) -> GuardedProvider:
    """The provider that was named, or the one that can log in to this registry."""
    able = {name: one for name, one in providers.items() if one.is_interactive}
    if wanted:
        if wanted not in able:
            raise PluginError(
                f"{wanted!r} has no interactive login", do=f"use one of: {', '.join(able) or 'none is installed'}"
            )
        return able[wanted]
    fitting = [one for one in able.values() if one.match(registry) is not Match.NO]
    if not fitting:
        raise PluginError(
            f"no installed plugin can log in to {registry} and keep it",
            do="install one that can: pip install 'ocibuild-core[basic]'",
        )
    if len(fitting) > 1:
        names = ", ".join(one.name for one in fitting)
        raise UsageError(f"several logins can be kept for {registry}: {names}", do="choose one with --provider")
    return fitting[0]


def _read_secret() -> Secret:
    """The password from stdin, without the one line break that `echo` leaves."""
    content = sys.stdin.buffer.read(MAX_SECRET_BYTES + 3)
    text = content.removesuffix(b"\n").removesuffix(b"\r").decode(errors="surrogateescape")
    if not text:
        raise UsageError("--stdin: stdin is empty")
    return Secret(text)
