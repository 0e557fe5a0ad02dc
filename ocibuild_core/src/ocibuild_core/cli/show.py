"""`build --print`: the effective settings, where each came from, and the command that BuildKit's client would get."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocibuild_core.auth.docker_config import load_user_config
from ocibuild_core.auth.redact import Redactor
from ocibuild_core.build import plan_targets
from ocibuild_core.cache_directory import cache_arguments, manifests_of
from ocibuild_core.cache_keeping import CACHE_DIRECTORY
from ocibuild_core.command import solve_arguments
from ocibuild_core.content_store import outputs_from_store, plan_for_store
from ocibuild_core.image_args import ImageArgument, image_references
from ocibuild_core.inputs import secret_values
from ocibuild_core.places import is_directory
from ocibuild_core.secret import MASK, Secret
from ocibuild_core.settings.model import DEFAULT, Pair
from ocibuild_core.settings.table import FIELDS
from ocibuild_core.terminal import Talk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ocibuild_core.export_records import BuildOutput
    from ocibuild_core.options import OptionValues
    from ocibuild_core.plan import BuildPlan, Target
    from ocibuild_core.settings.model import BuildSettings

# What only a run knows: its private directory, and the digests of images that it has read.
_PRIVATE = Path("/PRIVATE")
_DIGEST = "sha256:DIGEST"


def show_build(  # noqa: PLR0913  # each from another part
    form: str,
    settings: BuildSettings,
    targets: Sequence[Target],
    *,
    env: Mapping[str, str],
    progress: str,
    login_options: Mapping[str, OptionValues],
    output_options: Iterable[OptionValues],
) -> str:
    """What is printed, secrets masked. Raises OcibuildError.

    Args:
        form: `text` or `json`.
        settings: what was asked for.
        targets: the stages to build.
        env: the user's environment.
        progress: the value of buildctl's `--progress`.
        login_options: of auth providers, by name.
        output_options: of exporters, for their secrets: the outputs themselves are among the settings.
    """
    redactor = Redactor()
    for values in (*login_options.values(), *output_options):
        redactor.add_options(values)
        for value in values.values():
            if isinstance(value, Secret):
                # Of `user:password` the password alone, too: without a login nobody else takes it apart.
                redactor.add(Secret(value.reveal().partition(":")[2]))
    for secret in secret_values(settings, env):
        redactor.add(secret)
    config = load_user_config(env, timeout=settings.login_timeout)
    shown = _shown(
        settings, targets, env=env, progress=progress, proxy_names=tuple(config.proxies(settings.addr or ""))
    )
    shown["logins"] = {name: options for name, values in login_options.items() if (options := _options(values))}
    return (_as_json if form == "json" else _as_text)(shown, redactor.text)


def _shown(
    settings: BuildSettings,
    targets: Sequence[Target],
    *,
    env: Mapping[str, str],
    progress: str,
    proxy_names: Sequence[str],
) -> dict[str, Any]:
    address = settings.addr or f"unix://{_PRIVATE}/buildkitd.sock"
    images = [
        ImageArgument(name=name, reference=reference, layout=_PRIVATE / "layout", digest=_DIGEST)
        for name, reference in image_references(settings).items()
    ]
    commands, copied = [], []
    cache = Path.cwd() / CACHE_DIRECTORY
    for number, plan in enumerate(plan_targets(settings, targets, Talk(), env), start=1):
        files = _files(plan)
        # An engine of our own is asked for an image, of which the archives are made here.
        taken = () if settings.addr else outputs_from_store(plan, settings)
        arguments = solve_arguments(
            settings,
            plan_for_store(plan, taken),
            progress=progress,
            metadata=_PRIVATE / "metadata.json",
            files=files,
            images=images,
            proxy_args=dict.fromkeys(proxy_names, MASK),
        )
        if is_directory(cache):
            arguments += cache_arguments(manifests_of(cache), f"{_PRIVATE}/cache", number)
        commands.append(["buildctl", f"--addr={address}", "build", *arguments])
        copied += [f"{output.type} archive {files[output]}" for output in taken]
    return {"settings": dict(_settings(settings)), "commands": commands, "copied": copied}


def _as_text(shown: Mapping[str, Any], mask: Callable[[str], str]) -> str:
    """The same for people: what was set, one a line, then the commands."""
    rows = [(name, mask(value), origin) for name, value, origin in _rows(shown)]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    lines = [f"{name:<{widths[0]}}  {value:<{widths[1]}}  {origin}" for name, value, origin in rows]
    commands = [shlex.join(map(mask, command)) for command in shown["commands"]]
    copied = [f"# {mask(text)}: copied from the engine's content store" for text in shown["copied"]]
    return "\n".join([*lines, *([""] if lines else []), *commands, *copied])


def _rows(shown: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What was set, with where; pairs one by one, for each may come from elsewhere."""
    for name, row in shown["settings"].items():
        value = row["value"]
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield from ((name, _short(pair), pair["origin"]) for pair in value)
        elif row["origin"] != DEFAULT:
            yield name, _short(value), row["origin"]
    for provider, options in shown["logins"].items():
        yield from ((f"{provider} {name}", _short(row["value"]), row["origin"]) for name, row in options.items())


def _as_json(shown: Mapping[str, Any], mask: Callable[[str], str]) -> str:
    """For programs; each text masked before it is quoted."""
    return json.dumps(_masked(shown, mask), indent=2)


def _masked(value: Any, mask: Callable[[str], str]) -> Any:  # noqa: ANN401  # JSON
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: _masked(item, mask) for key, item in value.items()}
    return [_masked(item, mask) for item in value] if isinstance(value, list) else value


def _settings(settings: BuildSettings) -> Iterator[tuple[str, dict[str, Any]]]:
    for field in FIELDS:
        value = getattr(settings, field.name)
        yield field.name.replace("_", "-"), {"value": _plain(value), "origin": settings.origin(field.name)}


def _options(values: OptionValues) -> dict[str, dict[str, Any]]:
    """The options that somebody set, by name; of a secret the mask."""
    return {
        name: {"value": MASK if isinstance(value, Secret) else _plain(value), "origin": origin}
        for name, value in values.items()
        if (origin := values.origin(name))
    }


def _plain(value: object) -> Any:  # noqa: ANN401  # JSON
    if isinstance(value, Pair):
        return {"key": value.key, "value": value.value, "origin": value.origin}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return os.fspath(value) if isinstance(value, Path) else value


def _short(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(_short, value))
    if isinstance(value, dict):
        return f"{value['key']}={value['value']}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _files(plan: BuildPlan) -> Mapping[BuildOutput, Path]:
    """Where outputs end up; a run writes them beside that first."""
    files: dict[BuildOutput, Path] = {}
    for export in plan.exports:
        for output in export.plan.outputs:
            if output.has_file:
                place = export.plan.destinations[0] if export.plan.destinations else export.request.directory / "output"
                files.setdefault(output, place)
    return files
