"""What the shell offers for the value of a flag: choices, stages, names of what is installed, places.

Nothing here may fail or print: the reader is in the middle of a line.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from click.shell_completion import CompletionItem

from ocibuild_core.settings.fields import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import click

    from ocibuild_core.catalog import Catalog
    from ocibuild_core.settings.fields import Field

    Offer = Iterable[tuple[str, str]]
    """Values, each with a word of help or none."""

_PLATFORMS = (
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v7",
    "linux/386",
    "linux/ppc64le",
    "linux/riscv64",
    "linux/s390x",
)
_LARGEST = 1024 * 1024
_DIRECTORIES = frozenset({"context", "state_dir", "tls_dir"})


def complete_field(field: Field, context: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
    """What there may be for a field's flag."""
    if field.kind is Kind.PATH:
        return [CompletionItem(incomplete, type="dir" if field.name in _DIRECTORIES else "file")]
    offer = _OFFERS.get(field.name)
    offered = offer(context, incomplete) if offer else ((choice, "") for choice in field.choices)
    return [CompletionItem(value, help=help_ or None) for value, help_ in offered if value.startswith(incomplete)]


def _stages(context: click.Context, incomplete: str) -> Offer:
    del incomplete
    from ocibuild_core.dockerfile import stage_names  # noqa: PLC0415  # only for these flags

    return ((name, "") for name in stage_names(_dockerfile(context)))


def _arguments(context: click.Context, incomplete: str) -> Offer:
    del incomplete
    from ocibuild_core.dockerfile import argument_names  # noqa: PLC0415  # only for this flag

    return ((name, "") for name in argument_names(_dockerfile(context)))


def _dockerfile(context: click.Context) -> str:
    """The Dockerfile that the line names so far; empty when it cannot be read."""
    directory = context.params.get("context") or os.environ.get("CONTEXT") or "."
    named = context.params.get("dockerfile") or os.environ.get("DOCKERFILE")
    try:
        with open(named or f"{directory}/Dockerfile", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read(_LARGEST)
    except OSError:
        return ""


def _providers(context: click.Context, incomplete: str) -> Offer:
    del incomplete
    catalog = _catalog(context)
    for loaded in catalog.providers if catalog else ():
        yield loaded.provider.name, loaded.provider.summary
    yield "none", "no automatic login"


def _exporters(context: click.Context, incomplete: str) -> Offer:
    """Names of exporters; behind a comma, the options of the one that is named."""
    catalog = _catalog(context)
    before, comma, _ = incomplete.rpartition(",")
    name = before.partition(",")[0].removeprefix("type=")
    for loaded in catalog.exporters if catalog else ():
        exporter = loaded.exporter
        if not comma:
            yield f"type={exporter.name}" if incomplete.startswith("type=") else exporter.name, exporter.summary
        elif exporter.name == name:
            yield from ((f"{before},{option.name}=", option.help) for option in exporter.options)


def _plugins(context: click.Context, incomplete: str) -> Offer:
    del incomplete
    catalog = _catalog(context)
    return ((state.source.id, state.source.distribution) for state in (catalog.plugins if catalog else ()))


def _platforms(context: click.Context, incomplete: str) -> Offer:
    del context
    before, comma, _ = incomplete.rpartition(",")
    return ((f"{before}{comma}{name}", "") for name in _PLATFORMS if name not in before.split(","))


def _words(*words: str) -> Callable[[click.Context, str], Offer]:
    return lambda context, incomplete: ((word, "") for word in words)  # noqa: ARG005  # called as the others are


def _catalog(context: click.Context) -> Catalog | None:
    """What is installed: `build` has put it there; None where that could not be found out."""
    found: Catalog | None = context.obj
    return found


_OFFERS: Mapping[str, Callable[[click.Context, str], Offer]] = {
    "target": _stages,
    "additional_targets": _stages,
    "no_cache_filter": _stages,
    "build_args": _arguments,
    "platforms": _platforms,
    "login": _providers,
    "output": _exporters,
    "blocked_plugins": _plugins,
    "allow": _words("network.host", "security.insecure"),
    "ssh": _words("default"),
    "provenance": _words("true", "false", "mode=min", "mode=max"),
    "sbom": _words("true", "false", "generator="),
    "secrets": _words("id="),
    "addr": _words("unix://", "tcp://", "docker-container://", "kube-pod://", "podman-container://"),
    "cache_from": _words(*(f"type={name}" for name in ("registry", "local", "gha", "s3", "azblob"))),
    "cache_to": _words(*(f"type={name}" for name in ("registry", "inline", "local", "gha", "s3", "azblob"))),
}
