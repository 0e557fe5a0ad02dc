"""What `build` does once its arguments are read: settle everything, then run."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.auth.login import parse_login, pins_of
from ocibuild_core.auth.setup import provider_options
from ocibuild_core.build import BuildInput, build, plan_targets
from ocibuild_core.checks import check_settings
from ocibuild_core.cli.stdin_sources import sources_from_stdin
from ocibuild_core.display import choose_progress, refuse_without_terminal
from ocibuild_core.errors import OcibuildError, UsageError, masked_errors, raise_all
from ocibuild_core.option_sources import Document as OptionDocument
from ocibuild_core.option_sources import (
    OptionSources,
    StdinOnce,
    collect_options,
    exporter_attributes,
    misspelt_owners,
)
from ocibuild_core.plan import DEFAULT_DIRECTORY, Target, choose_outputs
from ocibuild_core.spellings import Owner, OwnerKind
from ocibuild_core.terminal import QUIET, Talk, print_result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from ocibuild_core.auth.login import LoginSettings
    from ocibuild_core.auth.redact import Redactor
    from ocibuild_core.auth.resolver import Resolver
    from ocibuild_core.catalog import Catalog, LoadedExporter
    from ocibuild_core.cli.line import Line
    from ocibuild_core.cli.settle import Settled
    from ocibuild_core.cli.start import Start
    from ocibuild_core.engine import Engine, EngineSettings
    from ocibuild_core.options import OptionValues
    from ocibuild_core.settings.documents import SettingsFile
    from ocibuild_core.settings.model import BuildSettings


def run_build(  # noqa: PLR0913  # all that a build is made from
    start: Start,
    line: Line,
    settled: Settled,
    catalog: Catalog,
    *,
    launch: Callable[[EngineSettings], Engine],
    sources: OptionSources | None = None,
    response: Path | None = None,
) -> None:
    """Build. Raises OcibuildError.

    Args:
        start: how the run began.
        line: the command line.
        settled: what was asked for.
        catalog: what is installed.
        launch: gives the engine.
        sources: what was said about options; None: what the line, the environment and the files say.
        response: see `BuildInput`.
    """
    talk = Talk(line.talk)
    for text in settled.warnings:
        talk.warn(text)
    for remark in catalog.remarks():
        talk.detail(remark)
    sources = sources or _sources(start, line, settled)
    with sources_from_stdin(settled.settings, sources.stdin) as settings:
        check_settings(settings, settled.env)
        login = _login_settings(settings, start.files)
        _refuse_misspelt(catalog, sources)
        catalog, provider_values = provider_options(catalog, sources, login)
        targets = _targets(settings, catalog, sources)
        if line.explain:
            from ocibuild_core.auth.session import make_session_resolver  # noqa: PLC0415  # a build's session does it
            from ocibuild_core.needs import push_reasons, reasons_of  # noqa: PLC0415  # a build has no need of it here

            pairs = (*reasons_of(settings), *push_reasons(plan_targets(settings, targets, talk, settled.env)))
            resolver, redactor = make_session_resolver(
                login=login, catalog=catalog, options=provider_values, env=settled.env
            )
            _explain(line.explain, pairs, resolver, redactor)
            return
        progress = _progress(settings, talk, is_pipeline=start.is_bare or settings.check)
        if line.show:
            from ocibuild_core.cli.show import show_build  # noqa: PLC0415  # a build has no need of it

            shown = show_build(
                line.show,
                settings,
                targets,
                env=settled.env,
                progress=progress,
                login_options=provider_values,
                output_options=[values for target in targets for _, values in target.exporters],
            )
            print(shown)  # noqa: T201
            return
        refuse_without_terminal(progress, is_terminal=_is_terminal(), origin=settings.origin("progress"))
        with _emulation(settings, settled.env, talk):
            build(
                BuildInput(
                    settings=settings,
                    env=settled.env,
                    talk=talk,
                    progress=progress,
                    catalog=catalog,
                    login=login,
                    provider_options=provider_values,
                    targets=targets,
                    launch=launch,
                    files=[file.name for file in start.files],
                    response=response,
                )
            )


def _emulation(settings: BuildSettings, env: Mapping[str, str], talk: Talk) -> AbstractContextManager[None]:
    from ocibuild_core.needs import foreign_steps  # noqa: PLC0415  # the engine is launched before

    steps = foreign_steps(settings)
    if not steps:
        return nullcontext()
    from ocibuild_core.emulators import emulation  # noqa: PLC0415  # few builds have such steps

    return emulation(steps, env, talk)


def _sources(start: Start, line: Line, settled: Settled) -> OptionSources:
    return OptionSources(
        cli=line.options,
        env=settled.env,
        yaml=[OptionDocument(name=file.name, values=_trusted_values(file)) for file in start.files],
        stdin=StdinOnce(sys.stdin.buffer),
    )


def _is_terminal() -> bool:
    return sys.stderr.isatty() and sys.stdout.isatty()


def _progress(settings: BuildSettings, talk: Talk, *, is_pipeline: bool) -> str:
    return choose_progress(
        "quiet" if talk.level == QUIET else settings.progress,
        is_terminal=_is_terminal(),
        is_pipeline=is_pipeline,
    )


def _explain(form: str, pairs: Sequence[tuple[str, str]], resolver: Resolver, redactor: Redactor) -> None:
    """Print who answers for each registry, given with what needs it. Raises what would end the build."""
    from ocibuild_core.auth.explain import as_json, as_text, explain  # noqa: PLC0415  # a build has no need of it

    with masked_errors(redactor.text):
        explanations = explain(resolver, pairs)
        text = as_json(explanations) if form == "json" else as_text(explanations)
        print_result(redactor.text(text))
        raise_all([one.answer for one in explanations if isinstance(one.answer, OcibuildError)])


def _trusted_values(file: SettingsFile) -> Mapping[str, object]:
    """A file beside the sources may not say how to log in."""
    refused = [key for key in ("auth", "exporters", "registries", "credential-store") if key in file.values]
    if refused and not file.trusted:
        raise UsageError(
            f"{file.name}: {refused[0]}: not allowed in a file that lies beside the sources",
            why="whoever can change the sources could choose who logs in where, and what is written",
            do="name the file with --config, or move the key to ~/.config/ocibuild.yml",
        )
    return file.values


def _refuse_misspelt(catalog: Catalog, sources: OptionSources) -> None:
    known = {
        OwnerKind.PROVIDER: [loaded.provider.name for loaded in catalog.providers],
        OwnerKind.EXPORTER: [loaded.exporter.name for loaded in catalog.exporters],
    }
    raise_all([error for kind, names in known.items() for error in misspelt_owners(kind, names, sources)])


def _targets(settings: BuildSettings, catalog: Catalog, sources: OptionSources) -> list[Target]:
    """The stages to build. Additional ones have what their directories ask for; `--output` is for the last."""
    here = Path.cwd()
    by_directory = settings._replace(output=(), push=False, load=False, iidfile=None, metadata_file=None)
    wanted = [
        *((stage, here / stage, by_directory) for stage in dict.fromkeys(settings.additional_targets)),
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
        cli = exporter_attributes(owner, choice.options)
        own = OptionSources(cli=cli, env=sources.env, yaml=sources.yaml, stdin=sources.stdin)
        chosen.append((loaded, collect_options(owner, own)))
    return chosen


def _login_settings(settings: BuildSettings, files: Sequence[SettingsFile]) -> LoginSettings:
    pins, pins_origin = pins_of(files)
    return parse_login(
        settings.login,
        origin=settings.origin("login"),
        registries=pins,
        registries_origin=pins_origin,
        timeout=settings.login_timeout,
    )
