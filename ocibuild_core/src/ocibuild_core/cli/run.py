"""What `build` does once its arguments are read: settle everything, then run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.auth.login import parse_login
from ocibuild_core.auth.setup import provider_options
from ocibuild_core.build import BuildInput, build
from ocibuild_core.checks import check_settings
from ocibuild_core.cli.stdin_dockerfile import dockerfile_from_stdin
from ocibuild_core.display import choose_progress
from ocibuild_core.errors import OcibuildError, UsageError, raise_all
from ocibuild_core.option_sources import Document as OptionDocument
from ocibuild_core.option_sources import OptionSources, StdinOnce, collect_options, exporter_attributes
from ocibuild_core.plan import DEFAULT_DIRECTORY, Target, choose_outputs
from ocibuild_core.settings.fields import four_spellings
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import CommandLine, Document, Environment
from ocibuild_core.settings.values import parse_bool
from ocibuild_core.spellings import Owner
from ocibuild_core.terminal import QUIET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocibuild_core.auth.login import LoginSettings
    from ocibuild_core.catalog import Catalog, LoadedExporter
    from ocibuild_core.options import OptionValues
    from ocibuild_core.settings.documents import SettingsFile
    from ocibuild_core.settings.model import BuildSettings
    from ocibuild_core.terminal import Talk


def run_build(  # noqa: PLR0913  # everything that the command line and its surroundings give
    *,
    flags: Mapping[str, object],
    option_flags: Mapping[str, Sequence[str]],
    env: Mapping[str, str],
    files: Sequence[SettingsFile],
    catalog: Catalog,
    talk: Talk,
    bare: bool,
) -> None:
    """Settle the settings and build. Raises OcibuildError.

    Args:
        flags: fields of the table by name, as click parsed them.
        option_flags: options of plugins by spelling.
        env: the user's environment.
        files: files of settings, highest precedence first.
        catalog: what is installed.
        talk: where we speak.
        bare: there were no arguments: a pipeline, which is never shown a display that redraws itself.
    """
    env = _without_foreign_debug(env, talk, bare=bare)
    settings = resolve([CommandLine(flags, env), Environment(env), *(_document(file) for file in files)])
    _refuse_what_is_to_come(env)
    for remark in catalog.remarks():
        talk.detail(remark)
    sources = OptionSources(
        cli=option_flags,
        env=env,
        yaml=[OptionDocument(name=file.name, values=_trusted_values(file)) for file in files],
        stdin=StdinOnce(sys.stdin.buffer),
    )
    with dockerfile_from_stdin(settings, sources.stdin) as settled:
        check_settings(settled, env)
        _run_settled(settled, sources, env=env, files=files, catalog=catalog, talk=talk, bare=bare, flags=flags)


def _run_settled(  # noqa: PLR0913  # see `run_build`
    settings: BuildSettings,
    sources: OptionSources,
    *,
    flags: Mapping[str, object],
    env: Mapping[str, str],
    files: Sequence[SettingsFile],
    catalog: Catalog,
    talk: Talk,
    bare: bool,
) -> None:
    login = _login_settings(settings, files)
    catalog, provider_values = provider_options(catalog, sources, login)
    if flags["explain"]:
        _explain(settings, catalog, provider_values, login, env)
        return
    progress = choose_progress(
        "quiet" if talk.level == QUIET else settings.progress,
        is_terminal=sys.stderr.isatty() and sys.stdout.isatty(),
        is_pipeline=bare or settings.check,
    )
    build(
        BuildInput(
            settings=settings,
            env=env,
            talk=talk,
            progress=progress,
            catalog=catalog,
            login=login,
            provider_options=provider_values,
            targets=_targets(settings, catalog, sources),
        )
    )


def _explain(
    settings: BuildSettings,
    catalog: Catalog,
    options: Mapping[str, OptionValues],
    login: LoginSettings,
    env: Mapping[str, str],
) -> None:
    """Print who answers for each registry of the build. Raises what would end it."""
    from ocibuild_core.auth.explain import as_text, explain  # noqa: PLC0415  # a build has no need of it
    from ocibuild_core.auth.session import make_session_resolver  # noqa: PLC0415
    from ocibuild_core.needs import reasons_of  # noqa: PLC0415

    resolver, redactor = make_session_resolver(login=login, catalog=catalog, options=options, env=env)
    explanations = explain(resolver, reasons_of(settings))
    print(redactor.text(as_text(explanations)))  # noqa: T201  # the result
    raise_all([one.answer for one in explanations if isinstance(one.answer, OcibuildError)])


def _document(file: SettingsFile) -> Document:
    return Document(file.values, file.name, trusted=file.trusted)


def _trusted_values(file: SettingsFile) -> Mapping[str, object]:
    """A file beside the sources may not say how to log in."""
    refused = [key for key in ("auth", "registries", "credential-store") if key in file.values]
    if refused and not file.trusted:
        raise UsageError(
            f"{file.name}: {refused[0]}: not allowed in a file that lies beside the sources",
            why="whoever can change the sources could choose who logs in where",
            do="name the file with --config, or move the key to ~/.config/ocibuild.yml",
        )
    return file.values


def _targets(settings: BuildSettings, catalog: Catalog, sources: OptionSources) -> list[Target]:
    """The stages to build. Additional ones have what their directories ask for; `--output` is for the last."""
    here = Path.cwd()
    by_directory = settings._replace(output=(), push=False, load=False, iidfile=None, metadata_file=None)
    wanted = [
        *((stage, here / stage, by_directory) for stage in settings.additional_targets),
        (settings.target, here / DEFAULT_DIRECTORY, settings),
    ]
    return [
        Target(
            stage=stage,
            directory=directory,
            exporters=() if settings.check else _exporters(asked, catalog, sources, directory),
        )
        for stage, directory, asked in wanted
    ]


def _exporters(
    settings: BuildSettings, catalog: Catalog, sources: OptionSources, directory: Path
) -> Sequence[tuple[LoadedExporter, OptionValues]]:
    chosen = []
    for choice in choose_outputs(settings, directory):
        loaded = catalog.exporter(choice.name)
        owner = Owner.of_exporter(loaded.exporter)
        cli = exporter_attributes(owner, tuple(choice.options.items()))
        own = OptionSources(cli=cli, env=sources.env, yaml=sources.yaml, stdin=sources.stdin)
        chosen.append((loaded, collect_options(owner, own)))
    return chosen


def _login_settings(settings: BuildSettings, files: Sequence[SettingsFile]) -> LoginSettings:
    pins, pins_origin = _pins(files)
    return parse_login(
        settings.login,
        origin=settings.origin("login"),
        registries=pins,
        registries_origin=pins_origin,
        timeout=settings.login_timeout,
    )


def _pins(files: Sequence[SettingsFile]) -> tuple[Mapping[str, str], str]:
    for file in files:
        pins = file.values.get("registries")
        if pins is None:
            continue
        if not isinstance(pins, dict) or not all(isinstance(value, str) for value in pins.values()):
            raise UsageError(f"{file.name}: registries: a mapping of host pattern to provider is expected")
        return {str(glob): provider for glob, provider in pins.items()}, f"{file.name}: registries"
    return {}, "registries"


def _without_foreign_debug(env: Mapping[str, str], talk: Talk, *, bare: bool) -> Mapping[str, str]:
    """`DEBUG` belongs to many programs: on a laptop a value that is no boolean is another's."""
    if bare:
        return env
    foreign = [name for name in ("DEBUG", "debug") if env.get(name) and not _is_bool(env[name])]
    for name in foreign:
        talk.warn(f"{name}={env[name]!r} is ignored: it is not a boolean, so it seems to be meant for another program")
    return {name: value for name, value in env.items() if name not in foreign}


def _is_bool(text: str) -> bool:
    try:
        parse_bool(text)
    except ValueError:
        return False
    return True


# Params of the Concourse task that this version does not act on yet: an error is better than a build without them.
_TO_COME = ("UNPACK_ROOTFS",)


def _refuse_what_is_to_come(env: Mapping[str, str]) -> None:
    spelt = {spelling for name in _TO_COME for spelling in four_spellings(name)}
    used = sorted(name for name, value in env.items() if value and name in spelt)
    used = [name for name in used if env[name] not in ("false", "0")]
    if used:
        raise UsageError(
            f"not supported by this version: {', '.join(used)}", do="unset it, or stay with the task you use"
        )
