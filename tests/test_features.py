"""Which BuildKit a build needs."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from ocibuild_core.catalog import LoadedExporter, PluginSource
from ocibuild_core.engine.versions import OCI_LAYOUTS, RAW_PROGRESS, SEVERAL_OUTPUTS, Feature
from ocibuild_core.export_records import BuildOutput, ExportPlan, ExportRequest
from ocibuild_core.exporting import Exporter
from ocibuild_core.exports import ask_for_plan
from ocibuild_core.options import OptionValues
from ocibuild_core.plan import BuildPlan, plan_build
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import CommandLine

from ocibuild_core import features

SOURCE = PluginSource(id="core", distribution="ocibuild-core", version="0")


class Planned(Exporter):
    """Plans what it was given."""

    name = "planned"
    summary = "for tests"

    def __init__(self, *outputs: BuildOutput) -> None:
        self._outputs = outputs

    def plan(self, request: ExportRequest) -> ExportPlan:
        del request
        return ExportPlan(outputs=self._outputs)

    def finish(self, request: ExportRequest, results: object) -> list[object]:  # type: ignore[override]
        del request, results
        return []


def used(flags: dict[str, object], *outputs: BuildOutput, progress: str = "plain") -> set[Feature]:
    exporters = [(LoadedExporter(exporter=Planned(*outputs), source=SOURCE), OptionValues({}))]
    plan: BuildPlan = plan_build(
        resolve([]), exporters, directory=Path("/x"), log=logging.getLogger("x"), call=ask_for_plan
    )
    return set(features.used_features(resolve([CommandLine(flags, {})]), [plan], progress)) - {features.METADATA}


@pytest.mark.parametrize(
    ("flags", "feature"),
    [
        ({"build_contexts": ("a=docker-image://b",)}, features.NAMED_CONTEXTS),
        ({"ulimits": ("nofile=1",)}, features.STEP_LIMITS),
        ({"shm_size": "1m"}, features.STEP_LIMITS),
        ({"cgroup_parent": "/x"}, features.STEP_LIMITS),
        ({"image_args": ("a=b",)}, OCI_LAYOUTS),
        ({"annotations": ("a=b",)}, features.ANNOTATIONS),
        ({"provenance": "true"}, features.ATTESTATIONS),
        ({"sbom": "true"}, features.ATTESTATIONS),
        ({"cache_to": ("type=s3,bucket=b,region=r",)}, features.CLOUD_CACHES),
        ({"cache_from": ("type=gha",)}, features.GHA_CACHES),
        ({"source_date_epoch": "1"}, features.DATES),
        ({"registry_certs": ("r.example=ca",)}, features.REGISTRY_CAS),
        ({"registry_insecure": ("r.example",)}, features.REGISTRY_CAS),
        ({"check": True}, features.CHECKS),
        ({"cache_mounts": True}, features.FORWARDED_SOCKETS),
    ],
)
def test_each_setting_needs_its_feature(flags: dict[str, object], feature: Feature) -> None:
    assert used(flags) == {feature}


def test_a_plain_build_needs_next_to_nothing() -> None:
    assert used({}, BuildOutput(type="docker")) == set()
    assert used({"provenance": "false"}, BuildOutput(type="docker")) == set()


def test_progress_and_outputs_need_theirs() -> None:
    assert used({}, progress="rawjson") == {RAW_PROGRESS}
    assert used({}, BuildOutput(type="docker"), BuildOutput(type="oci")) == {SEVERAL_OUTPUTS}
    rewritten = BuildOutput(type="oci", attributes={"rewrite-timestamp": "true", "compression-level": "3"})
    assert used({}, rewritten) == {features.REWRITTEN_TIMESTAMPS, features.COMPRESSION_LEVELS}


def test_a_layout_as_a_named_context_needs_both() -> None:
    assert used({"build_contexts": ("a=oci-layout:///b",)}) == {features.NAMED_CONTEXTS, OCI_LAYOUTS}
