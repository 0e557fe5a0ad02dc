from __future__ import annotations

import csv
import io
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.catalog import LoadedExporter, PluginSource
from ocibuild_core.errors import PluginError, UsageError
from ocibuild_core.export_records import BuildOutput, ExportPlan
from ocibuild_core.exporters.digest import DigestExporter
from ocibuild_core.exporters.docker import DockerExporter
from ocibuild_core.exports import ask_for_plan
from ocibuild_core.option_text import parse_list
from ocibuild_core.options import OptionValues
from ocibuild_core.plan import (
    BuildPlan,
    build_arguments,
    choose_outputs,
    output_argument,
    parse_output,
    plan_build,
)
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import CommandLine, Environment

SOURCE = PluginSource(id="core", distribution="ocibuild-core", version="0")
DOCKER = LoadedExporter(exporter=DockerExporter(), source=SOURCE)
DIGEST = LoadedExporter(exporter=DigestExporter(), source=SOURCE)


def planned(*exporters: tuple[LoadedExporter, OptionValues], directory: Path = Path("/work/image")) -> BuildPlan:
    log = logging.getLogger("test")
    return plan_build(resolve([]), exporters, directory=directory, log=log, call=ask_for_plan)


def test_equal_outputs_of_two_exporters_are_one() -> None:
    plan = planned((DOCKER, OptionValues({"dest": None})), (DIGEST, OptionValues({"dest": None})))
    assert plan.outputs == (BuildOutput(type="docker"),)
    assert [export.plan.destinations for export in plan.exports] == [
        (Path("/work/image/image.tar"),),
        (Path("/work/image/digest"),),
    ]


@pytest.mark.parametrize("exporters", [(), ((DOCKER, OptionValues({"dest": None})),)])
def test_a_bad_name_is_refused_also_where_nothing_gets_it(
    exporters: tuple[tuple[LoadedExporter, OptionValues], ...],
) -> None:
    settings = resolve([CommandLine({"tags": ("UPPER:x",)}, {})])
    with pytest.raises(UsageError, match="'UPPER:x' is no image reference"):
        plan_build(settings, exporters, directory=Path("/w"), log=logging.getLogger("test"), call=ask_for_plan)


def test_one_exporter_that_is_asked_twice_for_the_same_makes_it_once() -> None:
    plan = planned((DIGEST, OptionValues({"dest": None})), (DIGEST, OptionValues({"dest": Path("/work/image/digest")})))
    assert [export.plan.destinations for export in plan.exports] == [(Path("/work/image/digest"),)]


def test_one_exporter_that_is_told_otherwise_for_one_path_is_refused() -> None:
    told = OptionValues({"dest": None, "compression": "zstd"})
    with pytest.raises(UsageError, match="two outputs write"):
        planned((DOCKER, OptionValues({"dest": None})), (DOCKER, told))


def test_two_exporters_for_one_path_are_refused_by_name() -> None:
    same = OptionValues({"dest": Path("/work/image/x")})
    with pytest.raises(UsageError, match="two outputs write /work/image/x") as error:
        planned((DOCKER, same), (DIGEST, same))
    assert "'docker' and 'digest'" in str(error.value)


def test_a_path_is_the_same_by_all_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    here, there = (OptionValues({"dest": tmp_path / name / "x"}) for name in ("a", "link"))
    with pytest.raises(UsageError, match=f"two outputs write {tmp_path}/a/x"):
        planned((DOCKER, here), (DIGEST, there))
    assert len(planned((DIGEST, here), (DIGEST, there)).exports) == 1


def test_a_link_in_a_files_place_is_another_file_than_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("x")
    one, other = (OptionValues({"dest": tmp_path / name}) for name in ("x", "link"))
    assert len(planned((DOCKER, one), (DIGEST, other)).exports) == 2


def test_what_takes_the_place_of_a_link_is_refused_where_another_needs_that(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    link, below = (OptionValues({"dest": tmp_path / name}) for name in ("link", "link/x"))
    for pair in (((DOCKER, link), (DIGEST, below)), ((DOCKER, below), (DIGEST, link))):
        with pytest.raises(UsageError, match=f"{tmp_path}/link/x inside of another's {tmp_path}/link"):
            planned(*pair)


def test_a_relative_destination_is_the_plugins_fault() -> None:
    class Relative(DockerExporter):
        def plan(self, request: object) -> ExportPlan:
            del request
            return ExportPlan(destinations=(Path("x"),))

    loaded = LoadedExporter(exporter=Relative(), source=PluginSource(id="p", distribution="d", version="1"))
    with pytest.raises(PluginError, match=r"plugin 'p' \(d 1\)"):
        planned((loaded, OptionValues({"dest": None})))


def test_arguments_say_what_was_asked() -> None:
    flags = {"context": "src", "target": "web", "build_args": ("A=1,2",), "labels": ("l=v",), "pull": True}
    arguments = build_arguments(resolve([CommandLine(flags, {}), Environment({})]))
    assert arguments == (
        *("--frontend", "dockerfile.v0", "--local", "context=src", "--local", "dockerfile=src"),
        *("--opt", "filename=Dockerfile", "--opt", "target=web", "--opt", "build-arg:A=1,2"),
        *("--opt", "label:l=v", "--opt", "image-resolve-mode=pull"),
    )


def test_without_an_output_an_existing_directory_decides(tmp_path: Path) -> None:
    settings = resolve([])
    assert choose_outputs(settings, tmp_path / "image") == ()
    (tmp_path / "image").mkdir()
    assert [choice.name for choice in choose_outputs(settings, tmp_path / "image")] == ["docker", "digest"]


@pytest.mark.parametrize("text", ["docker,dest=a.tar", "type=docker,dest=a.tar", "DOCKER,dest=a.tar"])
def test_an_output_is_written_our_way_or_buildxs(text: str) -> None:
    choice = parse_output(text, "--output")
    assert (choice.name, dict(choice.options)) == ("docker", {"dest": "a.tar"})


def test_a_quoted_field_may_hold_commas() -> None:
    assert parse_output('docker,"dest=a,b"', "-o").options == (("dest", "a,b"),)


@pytest.mark.parametrize(
    ("written", "item"),
    [
        ("annotation.a.b=1", "a.b=1"),
        ("annotation-manifest.a.b=x=y", "manifest:a.b=x=y"),
        ("annotation-index-descriptor.a=1", "index-descriptor:a=1"),
        ("annotation-manifest[linux/arm64].a=1", "manifest[linux/arm64]:a=1"),
        ('"annotation.a=1,2"', "a=1,2"),
    ],
)
def test_an_annotation_of_an_output_is_an_item_as_of_the_flag(written: str, item: str) -> None:
    ((name, value),) = parse_output(f"oci,{written}", "-o").options
    assert (name, parse_list([value])) == ("annotation", (item,))


def test_an_option_may_be_given_several_times() -> None:
    given = parse_output("registry,name=r.example/a:1,name=r.example/a:2", "-o").options
    assert given == (("name", "r.example/a:1"), ("name", "r.example/a:2"))


@pytest.mark.parametrize("text", ["", "dest=a", "docker,dest", 'docker,"dest=a'])
def test_malformed_outputs(text: str) -> None:
    with pytest.raises(UsageError, match="--output"):
        parse_output(text, "--output")


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1))
def test_a_destination_survives_its_encoding_as_csv(name: str) -> None:
    argument = output_argument(BuildOutput(type="docker"), Path("/x") / name)
    (fields,) = csv.reader(io.StringIO(argument, newline=""), strict=True)
    assert fields == ["type=docker", f"dest={Path('/x') / name}"]
