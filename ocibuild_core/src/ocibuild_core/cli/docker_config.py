"""`ocibuild docker-config`: a plain docker config for tools that know no credential helpers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ocibuild_core.errors import CredentialsUnavailable, OcibuildError, UsageError, raise_all
from ocibuild_core.terminal import print_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocibuild_core.auth.resolver import Resolver
    from ocibuild_core.auth.write_config import WrittenConfig
    from ocibuild_core.credentials import Credential


@click.command("docker-config")
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("hosts", nargs=-1, metavar="[HOST]…")
@click.option("--login", "-l", multiple=True, metavar="PROVIDER", help="Auth provider.  [env LOGIN]")
@click.option("--login-timeout", metavar="TIME", help="How long one login may take.  [default 30s]")
@click.option("--no-plugin", "blocked_plugins", multiple=True, metavar="ID", help="Leave this plugin out.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="File of settings.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def docker_config(directory: Path, hosts: Sequence[str], *, as_json: bool, **flags: Any) -> None:  # noqa: ANN401  # click's
    """Write DIRECTORY/config.json with the credentials for HOSTs in it, for tools without credential helpers.

    Without a HOST it is for the registries that the logins' options and pins name. The file holds secrets, and holds
    only as long as they do: the command says until when.
    """
    from ocibuild_core.auth.write_config import write_docker_config  # noqa: PLC0415  # not for `--help`
    from ocibuild_core.cli.auth import open_ambient  # noqa: PLC0415

    with open_ambient(flags) as opened:
        written = write_docker_config(directory, _credentials(opened.resolver, hosts))
    _warn_of_context(directory)
    print_result(_as_json(written) if as_json else _as_text(written))


def _warn_of_context(directory: Path) -> None:
    """Where people build, `COPY .` would take the secrets into the image."""
    from ocibuild_core.places import find_dockerfile  # noqa: PLC0415  # not for `--help`
    from ocibuild_core.terminal import Talk  # noqa: PLC0415

    place = directory.resolve()
    if find_dockerfile(str(place / "Dockerfile")) or place.is_relative_to(Path.cwd()):
        Talk().warn(
            f"{directory / 'config.json'} holds secrets, and lies where a build would take it into an image\n"
            f"  do     choose a directory elsewhere, or name it in a .dockerignore"
        )


def _credentials(resolver: Resolver, hosts: Sequence[str]) -> dict[str, Credential]:
    from ocibuild_core.registry.hosts import parse  # noqa: PLC0415

    registries = [parse(host, what="HOST").registry for host in hosts] or list(resolver.owed())
    if not registries:
        raise UsageError("no registry is named", do="name the hosts: ocibuild docker-config DIRECTORY HOST…")
    found: dict[str, Credential] = {}
    errors: list[OcibuildError] = []
    for registry, answer in resolver.resolve_all(registries).items():
        if isinstance(answer, OcibuildError):
            errors.append(answer)
        elif answer.credential is None:
            do = f"ocibuild auth explain {registry} says who was asked"
            errors.append(CredentialsUnavailable(f"there is no credential for {registry}", do=do))
        else:
            found[registry] = answer.credential
    raise_all(errors)
    return found


def _as_text(written: WrittenConfig) -> str:
    until = f"until {written.expires_at:%Y-%m-%d %H:%M} UTC" if written.expires_at else "until they are changed"
    return f"{written.path} holds secrets, good {until}, for: {', '.join(written.registries)}"


def _as_json(written: WrittenConfig) -> str:
    return json.dumps(
        {
            "path": str(written.path),
            "registries": list(written.registries),
            "expires_at": written.expires_at.isoformat() if written.expires_at else None,
        },
        indent=2,
    )
