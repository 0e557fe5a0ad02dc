"""The contract of an exporter, as tests to inherit."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest
from ocibuild_core.plugin import (
    Artifact,
    BuildOutput,
    Exporter,
    ExportError,
    ExportPlan,
    ExportRequest,
    ExportResults,
    Secret,
)

from ocibuild_testkit.broker import option_values
from ocibuild_testkit.contracts.ambient import watched_environment, watched_io
from ocibuild_testkit.contracts.archives import example_image, metadata, write_output
from ocibuild_testkit.contracts.frames import modules_of, package_of
from ocibuild_testkit.contracts.imports import third_party_imports
from ocibuild_testkit.contracts.records import check_record
from ocibuild_testkit.contracts.talk import full_text, listening
from ocibuild_testkit.leaks import LeakWatcher, raise_leaks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ocibuild_testkit.broker import OptionValue

_KEEP_BYTES = 700


class ExporterContract:
    """What the host relies on, one test each. Inherit it, and give it a fixture: `exporter`.

    Attributes:
        platforms: what is asked for; empty is the engine's own.
        output_oci: whether an OCI layout is asked for.
        allowed_imports: top-level modules of other distributions that loading the plugin may import, being light.
    """

    platforms: ClassVar[tuple[str, ...]] = ()
    output_oci: ClassVar[bool] = False
    allowed_imports: ClassVar[tuple[str, ...]] = ()

    @pytest.fixture
    def exporter(self) -> Exporter:
        """The exporter under test, fresh."""
        pytest.fail(f"{type(self).__name__} needs a fixture `exporter` that returns the exporter", pytrace=False)

    @pytest.fixture
    def options(self) -> Mapping[str, OptionValue]:
        """The values of its options with which it succeeds; the rest have their defaults."""
        return {}

    @pytest.fixture
    def export_request(self, exporter: Exporter, options: Mapping[str, OptionValue], tmp_path: Path) -> ExportRequest:
        """What the host asks for; `directory` exists and holds a file of an earlier build."""
        directory = tmp_path / "image"
        directory.mkdir()
        (directory / "earlier").write_text("of an earlier build")
        return ExportRequest(
            options=option_values(exporter.options, options),
            directory=directory,
            target=None,
            platforms=self.platforms,
            output_oci=self.output_oci,
            log=logging.getLogger(f"ocibuild.exporters.{exporter.name}"),
        )

    @pytest.fixture
    def results(self, exporter: Exporter, export_request: ExportRequest, tmp_path: Path) -> ExportResults:
        """What BuildKit made of the plan: files of a small image."""
        made, staging = tmp_path / "made", tmp_path / "staging"
        made.mkdir()
        staging.mkdir(mode=0o700)
        files: dict[BuildOutput, Path] = {}
        for number, output in enumerate(exporter.plan(export_request).outputs):
            if output.has_file:
                files[output] = made / f"{number}.{output.type}"
                self.make_output(output, files[output])
        return ExportResults(staging=staging, files=files, metadata=metadata(example_image()))

    def make_output(self, output: BuildOutput, path: Path) -> None:
        """Write what BuildKit would write for `output`; override it for exporters other than docker, oci and tar."""
        write_output(output.type, example_image(), path)

    def test_describes_itself(self, exporter: Exporter) -> None:
        """Name, summary and options are what listings and flags are made of."""
        check_record(exporter, Exporter)

    def test_imports_nothing_heavy_when_it_is_loaded(self, exporter: Exporter) -> None:
        """Every `build --help` pays for it: import a library in the function that needs it."""
        loaded = third_party_imports(modules_of(exporter), package_of(exporter))
        heavy = [name for name in loaded if name not in self.allowed_imports]
        assert not heavy, f"loading the plugin imports {', '.join(heavy)}: import it in the function that needs it"

    def test_plans_outputs_and_destinations(self, exporter: Exporter, export_request: ExportRequest) -> None:
        """The plan is one of whole records; each destination is absolute."""
        plan = exporter.plan(export_request)
        assert isinstance(plan, ExportPlan), f"plan returned {type(plan).__name__}, not ExportPlan"
        assert isinstance(plan.outputs, tuple)
        assert all(isinstance(output, BuildOutput) for output in plan.outputs), "outputs holds BuildOutput records"
        assert all("dest" not in output.attributes for output in plan.outputs), "where BuildKit writes is the host's"
        assert isinstance(plan.destinations, tuple)
        for path in plan.destinations:
            assert isinstance(path, Path), f"a destination is a Path, not {type(path).__name__}"
            assert path.is_absolute(), f"the destination {path} is not absolute"

    def test_plans_without_io(self, exporter: Exporter, export_request: ExportRequest) -> None:
        """`plan` is asked before anything is built: it touches no file, network, process or environment."""
        package = package_of(exporter)
        with watched_io(package) as done, watched_environment(package) as read:
            exporter.plan(export_request)
        assert not done, f"plan does I/O: {done[0]}"
        assert not read, f"plan reads the environment: {read[0]}"

    def test_plans_the_same_when_asked_again(self, exporter: Exporter, export_request: ExportRequest) -> None:
        """The plan follows from the request alone."""
        assert exporter.plan(export_request) == exporter.plan(export_request), (
            "plan gives another answer when it is asked again"
        )

    def test_makes_what_it_planned(
        self, exporter: Exporter, export_request: ExportRequest, results: ExportResults
    ) -> None:
        """Each artifact is there, and goes to a planned destination; each planned destination gets one."""
        planned = exporter.plan(export_request).destinations
        artifacts = exporter.finish(export_request, results)
        assert all(isinstance(artifact, Artifact) for artifact in artifacts), "finish returns Artifact records"
        placed = [artifact for artifact in artifacts if artifact.source is not None]
        for artifact in placed:
            assert artifact.destination in planned, f"{artifact.destination} is written, but not in the plan"
            assert artifact.source is not None
            assert artifact.source.exists(), f"{artifact.source} was not made"
        left_out = [path for path in planned if path not in {artifact.destination for artifact in placed}]
        assert not left_out, f"{left_out[0]} is planned, but not made"

    def test_writes_in_the_staging_area_alone(
        self, exporter: Exporter, export_request: ExportRequest, results: ExportResults
    ) -> None:
        """The host moves what was made; a build that fails later leaves every earlier file as it was."""
        before = _snapshot(export_request.directory, *results.files.values())
        exporter.check(export_request)
        artifacts = exporter.finish(export_request, results)
        assert _snapshot(export_request.directory, *results.files.values()) == before, (
            "finish changed files outside staging"
        )
        for artifact in artifacts:
            inside = artifact.source is None or artifact.source in results.files.values()
            assert inside or Path(str(artifact.source)).is_relative_to(results.staging), (
                f"{artifact.source} is neither in the staging area nor a file of BuildKit"
            )

    def test_raises_documented_errors_alone(
        self, exporter: Exporter, export_request: ExportRequest, results: ExportResults
    ) -> None:
        """Damaged files give an `ExportError` (or go through unread): all else is reported as a fault of the plugin."""
        for name, found in self._failures(exporter, export_request, results):
            if isinstance(found, BaseException) and not isinstance(found, ExportError):
                pytest.fail(f"finish raised {type(found).__name__} ({name})", pytrace=False)

    def test_reads_no_environment_behind_the_hosts_back(
        self, exporter: Exporter, export_request: ExportRequest, results: ExportResults
    ) -> None:
        """What it is to know is in its options."""
        with watched_environment(package_of(exporter)) as read:
            exporter.plan(export_request)
            _outcome(exporter, export_request, results)
        assert not read, f"it reads os.environ: {read[0]}; make it an option"

    def test_says_no_secret(
        self,
        exporter: Exporter,
        export_request: ExportRequest,
        results: ExportResults,
        options: Mapping[str, OptionValue],
    ) -> None:
        """Not in its log at any level, on stdout or stderr, in an error, in an artifact's description."""
        watcher = _watcher(options)
        with listening((export_request.log.name, package_of(exporter))) as heard:
            artifacts = exporter.finish(export_request, results)
            errors = [found for _, found in self._failures(exporter, export_request, results)]
        texts = heard.texts() | {"an artifact": repr(artifacts), "the exporter's repr": repr(exporter)}
        texts["an error"] = "\n".join(full_text(error) for error in errors if isinstance(error, BaseException))
        raise_leaks(leak for where, text in texts.items() for leak in watcher.find(text, where))

    def _failures(
        self, exporter: Exporter, request: ExportRequest, results: ExportResults
    ) -> Iterator[tuple[str, object]]:
        """What comes of each way in which BuildKit's files can be damaged."""
        for name, damage in _DAMAGES.items():
            files: dict[BuildOutput, Path] = {}
            for output, path in results.files.items():
                files[output] = path.with_name(f"{name.replace(' ', '-')}-{path.name}")
                damage(path, files[output])
            staging = results.staging / name.replace(" ", "-")
            staging.mkdir(exist_ok=True)
            damaged = ExportResults(staging=staging, files=files, metadata=results.metadata)
            yield name, _outcome(exporter, request, damaged)


_DAMAGES: Mapping[str, Callable[[Path, Path], object]] = {
    "a file that is cut off": lambda good, bad: bad.write_bytes(good.read_bytes()[:-_KEEP_BYTES]),
    "an empty file": lambda _good, bad: bad.touch(),
    "a file of something else": lambda _good, bad: bad.write_bytes(b"\x7fELF nothing of the kind" * 100),
    "a file that is not there": lambda _good, _bad: None,
}


def _outcome(exporter: Exporter, request: ExportRequest, results: ExportResults) -> object:
    try:
        return exporter.finish(request, results)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what the tests look at
        return error


def _snapshot(*roots: Path) -> dict[Path, str]:
    """Every file and directory with a digest of what is in it."""
    return {path: _digest(path) for root in roots for path in (root, *sorted(root.rglob("*")))}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "directory"


def _watcher(options: Mapping[str, OptionValue]) -> LeakWatcher:
    watcher = LeakWatcher()
    for name, value in options.items():
        if isinstance(value, Secret):
            watcher.register(value.reveal(), f"the option {name!r}")
    return watcher
