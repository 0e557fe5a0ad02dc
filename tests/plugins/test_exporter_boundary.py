from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.catalog import LoadedExporter, PluginSource
from ocibuild_core.errors import CredentialError, ExportError, Interrupted, OcibuildError, PluginError, UsageError
from ocibuild_core.export_records import ExportPlan, ExportRequest
from ocibuild_core.exporting import Exporter
from ocibuild_core.exports import StagedOutputs, ask_for_plan, check, finish
from ocibuild_core.options import OptionValues
from ocibuild_core.plan import BuildPlan, PlannedExport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocibuild_core.export_records import Artifact, ExportResults

REQUEST = ExportRequest(
    options=OptionValues({}),
    directory=Path("/work/image"),
    target=None,
    platforms=(),
    output_oci=False,
    log=logging.getLogger("ocibuild.exporters.odd"),
)


class OddError(ExportError):
    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}", do="count again")


class Raising(Exporter):
    name = "odd"
    summary = "Odd."

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def plan(self, request: ExportRequest) -> ExportPlan:
        assert request is REQUEST
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer  # type: ignore[return-value]  # that is the point

    def check(self, request: ExportRequest) -> None:
        self.plan(request)

    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        raise NotImplementedError


def loaded(answer: object, plugin_id: str = "odd") -> LoadedExporter:
    source = PluginSource(id=plugin_id, distribution="ocibuild-odd", version="2.0")
    return LoadedExporter(exporter=Raising(answer), source=source)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (SystemExit(0), "raised SystemExit: 0 in test_exporter_boundary.py, line"),
        (ZeroDivisionError("by zero"), "raised ZeroDivisionError: by zero in"),
        (GeneratorExit(), "raised GeneratorExit in"),
        (CredentialError("not its business"), "raised CredentialError: not its business in"),
        (PermissionError("a plan touches no file"), "raised PermissionError: a plan touches no file in"),
        (None, "returned NoneType instead of ExportPlan"),
    ],
)
def test_whatever_else_comes_out_of_an_exporter_is_its_plugins_fault(answer: object, why: str) -> None:
    with pytest.raises(PluginError) as caught:
        ask_for_plan(loaded(answer), REQUEST)
    assert "plugin 'odd' (ocibuild-odd 2.0): plan of exporter 'odd' failed" in str(caught.value)
    assert why in caught.value.why


class Careless(Raising):
    def plan(self, request: ExportRequest) -> ExportPlan:
        del request
        return ExportPlan(files=())  # type: ignore[call-arg]


def test_a_record_that_is_made_wrongly_is_named_where_it_is_made() -> None:
    careless = loaded(None)._replace(exporter=Careless(None))
    with pytest.raises(PluginError) as caught:
        ask_for_plan(careless, REQUEST)
    assert "raised TypeError: ExportPlan has no 'files' in test_exporter_boundary.py, line" in caught.value.why


@pytest.mark.parametrize(
    ("answer", "kind", "summary"),
    [
        (ExportError("disk full"), ExportError, "disk full"),
        (UsageError("no such key"), UsageError, "no such key"),
        (OddError(1, 2), ExportError, "1 and 2"),
    ],
)
def test_documented_error_keeps_its_class_and_gets_the_plugins_name(
    answer: Exception, kind: type[OcibuildError], summary: str
) -> None:
    with pytest.raises(kind) as caught:
        ask_for_plan(loaded(answer), REQUEST)
    assert caught.value.summary == f"plugin 'odd' (ocibuild-odd 2.0): {summary}"


def test_error_of_a_built_in_exporter_stays_as_it_is() -> None:
    error = CredentialError("the registry refuses")
    with pytest.raises(CredentialError) as caught:
        ask_for_plan(loaded(error, plugin_id="core"), REQUEST)
    assert caught.value is error


@pytest.mark.parametrize("wish", [KeyboardInterrupt(), Interrupted(15)])
def test_interrupt_is_the_users(wish: BaseException) -> None:
    with pytest.raises(type(wish)):
        ask_for_plan(loaded(wish), REQUEST)


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (ExportError("full of treasures"), ExportError, "plugin 'odd' (ocibuild-odd 2.0): full of treasures"),
        (OSError("gone"), ExportError, "plugin 'odd' (ocibuild-odd 2.0): check of exporter 'odd' failed"),
        (KeyError("gone"), PluginError, "plugin 'odd' (ocibuild-odd 2.0): check of exporter 'odd' failed"),
    ],
)
def test_a_look_before_the_build_has_the_same_border(answer: Exception, kind: type[OcibuildError], says: str) -> None:
    export = PlannedExport(loaded=loaded(answer), request=REQUEST, plan=ExportPlan())
    with pytest.raises(kind) as caught:
        check([BuildPlan(arguments=(), exports=(export,))])
    assert caught.value.summary == says


class Writing(Raising):
    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        del request
        with (results.staging / "full").open("w") as file:
            file.write("more than there is room for")
        return ()


def test_a_disk_that_is_full_is_no_fault_of_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    source = PluginSource(id="odd", distribution="ocibuild-odd", version="2.0")
    writing = LoadedExporter(exporter=Writing(None), source=source)
    export = PlannedExport(loaded=writing, request=REQUEST, plan=ExportPlan())
    plan = BuildPlan(arguments=(), exports=(export,))
    with pytest.raises(ExportError, match="finish of exporter 'odd' failed") as caught:
        finish(plan, StagedOutputs(files={}, staging=[tmp_path], private=tmp_path), {})
    assert caught.value.summary.startswith("plugin 'odd' (ocibuild-odd 2.0): ")
    assert "No space left on device" in caught.value.why


class Sending(Raising):
    place: Path

    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        del request
        assert not list(results.staging.iterdir())
        self.place = results.staging
        return ()


def test_what_leaves_the_machine_is_made_in_the_private_directory(tmp_path: Path) -> None:
    sending = loaded(None)._replace(exporter=Sending(None))
    plan = BuildPlan(arguments=(), exports=(PlannedExport(loaded=sending, request=REQUEST, plan=ExportPlan()),))
    finish(plan, StagedOutputs(files={}, staging=[None], private=tmp_path), {})
    place = sending.exporter.place  # type: ignore[attr-defined]
    assert (place.parent, place.stat().st_mode & 0o777) == (tmp_path, 0o700)

    with pytest.raises(ExportError, match="finish of exporter 'odd' failed"):
        finish(plan, StagedOutputs(files={}, staging=[None], private=tmp_path / "gone"), {})
