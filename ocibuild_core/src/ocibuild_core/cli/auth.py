"""`ocibuild auth`: who answers for which registry, and whether the registry agrees."""

from __future__ import annotations

import errno
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ocibuild_core.auth.explain import NOTHING_NEEDED, as_text
from ocibuild_core.auth.explain import as_json as explained_as_json
from ocibuild_core.auth.explain import explain as explain_all
from ocibuild_core.cli.setting_flags import setting_flags
from ocibuild_core.errors import OcibuildError, UsageError, masked_errors
from ocibuild_core.records import NamedTuple
from ocibuild_core.terminal import print_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ocibuild_core.auth.redact import Redactor
    from ocibuild_core.auth.resolver import Resolver
    from ocibuild_core.dockerfile import ImageUse
    from ocibuild_core.registry.ways import Ways
    from ocibuild_core.settings.fields import Field
    from ocibuild_core.settings.sources import Found, Source

_OF_REGISTRIES = ("registry_mirrors", "registry_certs", "registry_http", "registry_insecure", "buildkit_extra_config")


@click.group()
def auth() -> None:
    """Show who answers for which registry, and ask the registries."""


def login_flags(command: Callable[..., None]) -> Callable[..., None]:
    """The flags that every command about logins has."""
    for flag in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="File of settings."),
        click.option("--no-plugin", "blocked_plugins", multiple=True, metavar="ID", help="Leave this plugin out."),
        click.option("--login-timeout", metavar="TIME", help="How long one login may take.  [default 30s]"),
        click.option("--login", "-l", multiple=True, metavar="PROVIDER", help="Auth provider.  [env LOGIN]"),
        click.option("--build-arg", "build_args", multiple=True, metavar="NAME=VALUE", help="Build argument."),
        click.option("--target", metavar="STAGE", help="Stage to build."),
        click.option("--file", "-f", "dockerfile", type=click.Path(path_type=Path), help="Dockerfile to read."),
    ):
        command = flag(command)
    return command


@auth.command()
@click.argument("hosts", nargs=-1, metavar="[HOST]…")
@login_flags
def explain(hosts: Sequence[str], *, as_json: bool, **flags: Any) -> None:  # noqa: ANN401  # click's values
    """Say for each registry who answers, why, and who was passed over.

    The registries are those named, and those of a Dockerfile (--file; ./Dockerfile when none is named).
    """
    with open_ambient(flags) as opened:
        uses = _uses(flags, optional=bool(hosts))
        pairs = [*((_host(host), "") for host in hosts), *_reasons(uses)]
        explanations = explain_all(opened.resolver, pairs)
        text = explained_as_json(explanations) if as_json else as_text(explanations)
        print_result(opened.redactor.text(text))
    failures = [one.answer for one in explanations if isinstance(one.answer, OcibuildError)]
    raise click.exceptions.Exit(failures[0].exit_code if failures else 0)


@auth.command()
@click.argument("images", nargs=-1, metavar="[IMAGE]…")
@click.option("--push", "pushes", multiple=True, metavar="IMAGE", help="Check that this can be pushed to.")
@setting_flags("registry_certs", "registry_http", "registry_insecure")
@login_flags
def check(
    images: Sequence[str],
    *,
    pushes: Sequence[str],
    as_json: bool,
    **flags: Any,  # noqa: ANN401  # click's values
) -> None:
    """Ask each registry whether the images can be pulled (and pushed to), without pulling.

    The images are those named, and those of a Dockerfile (--file; ./Dockerfile when none is named).
    """
    from ocibuild_core.preflight import check_images  # noqa: PLC0415  # `explain` has no need of it
    from ocibuild_core.registry.check import Verdict  # noqa: PLC0415

    with open_ambient(flags) as opened:
        ways = ways_of(opened.sources)
        opened.resolver.tell_what_is_unused()
        pulls = [*images, *(use.reference for use in _uses(flags, optional=bool(images or pushes)))]
        results = check_images(
            pulls,
            pushes,
            resolver=opened.resolver,
            ways=ways,
            learned=opened.redactor.add,
        )
        rows = [{"error": str(one)} if isinstance(one, OcibuildError) else one.to_json() for one in results]
        lines = [str(one) if isinstance(one, OcibuildError) else one.line() for one in results]
        print_result(opened.redactor.text(_json(rows) if as_json else "\n".join(lines) or NOTHING_NEEDED))
    codes = [one.exit_code for one in results if isinstance(one, OcibuildError)]
    bad = [
        one.result.verdict for one in results if not isinstance(one, OcibuildError) and not one.result.verdict.is_good
    ]
    if any(verdict not in (Verdict.NOT_FOUND, Verdict.UNREACHABLE) for verdict in bad):
        codes.append(3)
    raise click.exceptions.Exit(codes[0] if codes else int(bool(bad)))


@auth.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="File of settings.")
def list_(*, as_json: bool, config: Path | None) -> None:
    """List the logins that are kept: registry, user and provider, no secret."""
    from ocibuild_core.auth.ambient import read_ambient  # noqa: PLC0415
    from ocibuild_core.auth.setup import guard_providers, load_providers  # noqa: PLC0415
    from ocibuild_core.clock import SystemClock  # noqa: PLC0415

    env = dict(os.environ)
    ambient = read_ambient(env, config=config)
    catalog, options = load_providers(ambient)
    guarded = guard_providers(catalog, options, env=env, clock=SystemClock(), timeout=ambient.login.timeout)
    rows = [
        {"registry": kept.registry, "username": kept.username, "provider": provider.name}
        for provider in guarded.values()
        if provider.stores
        for kept in provider.list()
    ]
    if as_json:
        print_result(_json(rows))
        return
    for row in rows:
        print_result(f"{row['registry']}  {row['username']}  {row['provider']}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a command about logins works with."""

    resolver: Resolver
    redactor: Redactor
    sources: Sequence[Source]


@contextmanager
def open_ambient(flags: dict[str, Any]) -> Iterator[Opened]:
    """The resolver that the environment, the user's own file and a few flags make.

    Errors that leave the block are masked.
    """
    from ocibuild_core.auth.ambient import read_ambient  # noqa: PLC0415  # not for `--help`
    from ocibuild_core.auth.session import make_session_resolver  # noqa: PLC0415
    from ocibuild_core.auth.setup import load_providers  # noqa: PLC0415
    from ocibuild_core.terminal import Talk  # noqa: PLC0415

    env = dict(os.environ)
    talk = Talk()
    talk.logger()
    ambient = read_ambient(env, config=flags.get("config"), flags=flags)
    catalog, options = load_providers(ambient)
    resolver, redactor = make_session_resolver(login=ambient.login, catalog=catalog, options=options, env=env)
    talk.mask = redactor.text
    with masked_errors(redactor.text):
        yield Opened(resolver=resolver, redactor=redactor, sources=ambient.sources)


def ways_of(sources: Sequence[Source]) -> Ways:
    """How a build with these settings would speak to each registry."""
    from ocibuild_core.daemon_config import daemon_config  # noqa: PLC0415  # `explain` has no need of it
    from ocibuild_core.registry.ways import Ways  # noqa: PLC0415
    from ocibuild_core.settings.resolve import resolve  # noqa: PLC0415

    return Ways(daemon_config(resolve([_OfRegistries(source) for source in sources])))


class _OfRegistries(NamedTuple):
    """What a source says of registries, nothing else: the rest is a build's, and may be malformed here."""

    source: Source

    def find(self, field: Field) -> Found | None:
        """See `Source.find`."""
        return self.source.find(field) if field.name in _OF_REGISTRIES else None


def _uses(flags: dict[str, Any], *, optional: bool) -> tuple[ImageUse, ...]:
    """The images of the Dockerfile; of none when something else was named and no --file."""
    from ocibuild_core.dockerfile import needed_images  # noqa: PLC0415
    from ocibuild_core.platforms import native, variables  # noqa: PLC0415

    path = flags["dockerfile"]
    if path is None and optional:
        return ()
    path = path or Path("Dockerfile")
    try:
        text = _dockerfile_text(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}", why=error.strerror or "", do="name a host, or --file") from None
    here = native()
    return needed_images(
        text,
        target=flags["target"],
        build_args=dict(_build_args(flags["build_args"])),
        platform_args=variables(here, built_on=here) if here else {},
    )


def _dockerfile_text(path: Path) -> str:
    """What stands in the file that a build would read. Raises OSError."""
    from ocibuild_core.places import find_dockerfile  # noqa: PLC0415

    found = find_dockerfile(str(path))
    if found is None and path.exists():
        raise OSError(errno.EINVAL, "it is no regular file")
    return Path(found or path).read_text(encoding="utf-8", errors="replace")


def _build_args(given: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and value; one that was given without a value has it from the environment, if it is there."""
    for text in given:
        name, equals, value = text.partition("=")
        if equals or name in os.environ:
            yield name, value if equals else os.environ[name]


def _reasons(uses: Sequence[ImageUse]) -> list[tuple[str, str]]:
    from ocibuild_core.needs import describe, registry_of  # noqa: PLC0415

    return [(registry, describe(use)) for use in uses if (registry := registry_of(use))]


def _host(text: str) -> str:
    from ocibuild_core.registry.hosts import parse  # noqa: PLC0415

    return parse(text, what="HOST").registry


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
