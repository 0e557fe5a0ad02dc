"""Every spelling of every setting: flags, variables, the keys of YAML and of a request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.cli.line import read_plain_line
from ocibuild_core.settings.fields import Field, Kind
from ocibuild_core.settings.keys import yaml_fields
from ocibuild_core.settings.model import Pair
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import CommandLine, Document, Environment
from ocibuild_core.settings.table import FIELDS
from ocibuild_core.settings.values import parse_size, split_list, split_pair

if TYPE_CHECKING:
    from ocibuild_core.settings.model import BuildSettings

# What is written, and what is read; a file of settings is read at once, so what it names must be there.
WRITTEN = {
    Kind.BOOL: "true",
    Kind.PAIRS: "k=v",
    Kind.DURATION: "5s",
    Kind.SIZE: "1KiB",
    Kind.PATH: "{file}",
}
READ = {
    Kind.BOOL: True,
    Kind.LIST: ("x",),
    Kind.ITEMS: ("x",),
    Kind.OUTPUTS: ("x",),
    Kind.DURATION: 5.0,
    Kind.SIZE: 1024,
}
KEYS = {field.name: key for key, field in yaml_fields()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("k=v\n")
    return path


def written(field: Field, file: Path) -> str:
    return field.choices[0] if field.choices else WRITTEN.get(field.kind, "x").format(file=file)


def check(settings: BuildSettings, field: Field, file: Path, origin: str) -> None:
    """The field has what was written, and says who wrote it."""
    value = getattr(settings, field.name)
    if field.kind is Kind.PAIRS:
        assert value == (Pair("k", "v", origin),)
    elif field.kind is Kind.PATH:
        assert str(value) == str(file)
    else:
        assert value == READ.get(field.kind, field.choices[0] if field.choices else "x")
    assert settings.origin(field.name) == origin


def spellings(field: Field, kind: str) -> tuple[str, ...]:
    if kind == "yaml":
        return (KEYS[field.name],) if field.name in KEYS else ()
    if kind == "request":
        return (field.request,) if field.request else ()
    return field.flags if kind == "flag" else field.env


def cases(kind: str) -> list[object]:
    return [pytest.param(field, one, id=one) for field in FIELDS for one in spellings(field, kind)]


@pytest.mark.parametrize(("field", "flag"), cases("flag"))
def test_every_flag(field: Field, flag: str, file: Path) -> None:
    line = read_plain_line([flag] if field.kind is Kind.BOOL else [flag, written(field, file)], {})
    assert line is not None
    check(resolve([CommandLine(line.values, {})]), field, file, field.flags[0])


@pytest.mark.parametrize(("field", "name"), cases("env"))
def test_every_variable(field: Field, name: str, file: Path) -> None:
    check(resolve([Environment({name: written(field, file)})]), field, file, name)
    empty = resolve([Environment({name: ""})])
    assert (getattr(empty, field.name), empty.origin(field.name)) == (getattr(resolve([]), field.name), "default")


@pytest.mark.parametrize(("field", "key"), cases("yaml"))
def test_every_key_of_a_file(field: Field, key: str, file: Path) -> None:
    value: object = True if field.kind is Kind.BOOL else written(field, file)
    value = {"k": "v"} if field.kind is Kind.PAIRS else value
    check(resolve([Document({key: value}, "ocibuild.yml")]), field, file, f"ocibuild.yml: {key}")


@pytest.mark.parametrize(("field", "key"), cases("request"))
def test_every_key_of_a_request(field: Field, key: str, file: Path) -> None:
    value: object = True if field.kind is Kind.BOOL else written(field, file)
    value = {"k": "v"} if field.kind is Kind.PAIRS else value
    for spelling in (key, key.upper(), key.title()):
        settings = resolve([Document({spelling: value}, "request", is_request=True)])
        check(settings, field, file, f"request: {key}")


@pytest.mark.parametrize("field", [field for field in FIELDS if field.prefix], ids=lambda field: field.prefix)
def test_every_prefix(field: Field) -> None:
    name = f"{field.prefix}k"
    settings = resolve([Environment({name: "v,w", field.prefix: "nothing", name.lower(): "nothing"})])
    value = name if field.kind is Kind.NAMED else "v,w"
    assert getattr(settings, field.name) == (Pair("k", value, name),)


KEY = st.text(st.characters(exclude_characters="=,{}\n\x00", exclude_categories=["Cs"]), min_size=1).filter(
    lambda key: not key.lstrip().startswith("[")
)
VALUE = st.text(st.characters(exclude_characters=",{}\n\x00", exclude_categories=["Cs"]))


@given(KEY, st.text())
def test_a_pair_comes_back_whatever_its_value(key: str, value: str) -> None:
    assert split_pair(f"{key}={value}") == (key, value)


@given(st.lists(st.tuples(KEY, VALUE), min_size=1))
def test_a_map_in_a_variable_comes_back_the_last_of_a_key_winning(pairs: list[tuple[str, str]]) -> None:
    text = ",".join(f"{key}={value}" for key, value in pairs)
    found = resolve([Environment({"BUILD_ARGS": text})]).build_args
    assert {pair.key: pair.value for pair in found} == dict(pairs)
    assert len(found) == len(dict(pairs))


@given(st.dictionaries(KEY, st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))))
def test_a_map_of_texts_comes_back_from_yaml_and_from_json(pairs: dict[str, str]) -> None:
    import yaml

    for document in (pairs, yaml.safe_load(yaml.safe_dump(pairs))):
        found = resolve([Document({"labels": document}, "ocibuild.yml")]).labels
        assert {pair.key: pair.value for pair in found} == pairs


@given(st.lists(st.text(st.characters(exclude_characters="{}")), min_size=1))
def test_braces_protect_the_commas_of_every_item(items: list[str]) -> None:
    protected = [f"{{{item}}}" for item in items]
    assert split_list(",".join(protected)) == tuple(protected)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1000", 1000),
        ("1k", 1000),
        ("2KiB", 2048),
        ("1.5 GB", 1_500_000_000),
        ("10gb", 10**10),
        ("1TiB", 2**40),
        ("9223372TB", 9223372 * 10**12),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "1x", "1e3", "١k"])
def test_malformed_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)
