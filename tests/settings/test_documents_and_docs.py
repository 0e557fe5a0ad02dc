from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.errors import UsageError
from ocibuild_core.settings.documents import SettingsFile, _refuse_others_file, find_files, own_files, read_file
from ocibuild_core.settings.keys import SECTIONS, unknown_keys, yaml_fields
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import Environment
from ocibuild_core.settings.yaml_text import parse_texts, parse_values

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


def file(**values: object) -> SettingsFile:
    return SettingsFile(
        name="ocibuild.yml", trusted=True, values={key.replace("_", "-"): v for key, v in values.items()}
    )


def test_known_keys_are_those_of_the_table_and_the_sections() -> None:
    keys = [*(key for key, _ in yaml_fields()), *SECTIONS]
    assert unknown_keys(file(**dict.fromkeys(keys, 1))) == []
    assert "secret-texts" not in keys


def test_an_unknown_key_is_named_with_the_one_that_was_meant() -> None:
    (error,) = unknown_keys(file(build_arg={"a": 1}))
    assert str(error).startswith("ocibuild.yml: unknown key 'build-arg'; did you mean 'build-args'?")
    for flag, key in {"file": "dockerfile", "tag": "tags", "load_": "load"}.items():
        (error,) = unknown_keys(file(**{flag: 1}))
        assert error.summary.endswith(f"; did you mean {key!r}?")
    (error,) = unknown_keys(file(xyzzy=1))
    assert error.summary == "ocibuild.yml: unknown key 'xyzzy'"


def test_an_unknown_key_leads_to_the_page_of_the_site() -> None:
    (error,) = unknown_keys(file(xyzzy=1))
    project = tomllib.loads((ROOT / "ocibuild_core" / "pyproject.toml").read_text())["project"]
    assert error.do == f"see {project['urls']['Documentation']}params.html for all keys"
    assert (ROOT / "docs" / "params.md").is_file()


BROKEN = [
    ("a: [b\n", "line 2, column 1: not YAML", {parse_texts, parse_values}),
    ("[" * 5000, "nested too deep", {parse_texts, parse_values}),
    ('a: "\\U00110000"', "escape", {parse_texts, parse_values}),
    ('a: "\\UFFFFFFFF"', "escape", {parse_texts, parse_values}),
    ("x: 2026-13-45", "in quotes", {parse_values}),
    ("x: " + "9" * 5000, "in quotes", {parse_values}),
    ("x: !!int ''", "in quotes", {parse_values}),
    ("x: !!bool maybe", "in quotes", {parse_values}),
    ("x: !!timestamp maybe", "in quotes", {parse_values}),
    ("x: !!python/name:os.system", "not YAML", {parse_values}),
    ("? [a]\n: b", "not YAML", {parse_texts, parse_values}),
    ("a: 1\nb: {c: 1, c: 2}", "line 2: a key that is there already", {parse_values}),
]


@pytest.mark.parametrize(("text", "says", "refusing"), BROKEN)
@pytest.mark.parametrize("read", [parse_texts, parse_values])
def test_what_is_no_yaml_is_the_users_mistake(
    text: str, says: str, refusing: set[object], read: Callable[..., object]
) -> None:
    if read not in refusing:
        read(text, named="settings.yml")
        return
    with pytest.raises(UsageError, match=says) as caught:
        read(text, named="settings.yml")
    assert str(caught.value).startswith("settings.yml")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("content", [b"x: 2026-13-45\n", b"\xff\xfe\xff", b"[" * 5000])
def test_files_of_settings_and_of_arguments_go_by_the_same_rule(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "own.yml").write_bytes(content)
    with pytest.raises(UsageError, match=r"own\.yml.*: not YAML"):
        read_file(tmp_path / "own.yml", trusted=True)
    (tmp_path / "args.yml").write_bytes(b"[" * 5000)
    with pytest.raises(UsageError, match=r"BUILD_ARGS_FILE .*args\.yml: not YAML"):
        resolve([Environment({"BUILD_ARGS_FILE": str(tmp_path / "args.yml")})])


@pytest.mark.parametrize(("mode", "is_read"), [(0o600, True), (0o644, True), (0o646, False)])
def test_the_users_own_file_is_read_unless_others_may_write_to_it(tmp_path: Path, mode: int, *, is_read: bool) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    path = tmp_path / "ocibuild.yml"
    path.write_text("login: ecr\n")
    path.chmod(mode)
    assert find_files(config=str(path), env={}, directory=None)[0].values == {"login": "ecr"}
    if is_read:
        assert own_files(env)[0].values == {"login": "ecr"}
        return
    with pytest.raises(UsageError, match=f"{path} is not read") as caught:
        find_files(config=None, env=env, directory=None)
    assert (caught.value.why, caught.value.do) == (
        "it says where passwords are shown, and others may write to it",
        f"chmod go-w {path}",
    )


@pytest.mark.parametrize(("group", "is_read"), [(1234, True), (100, False)], ids=["private", "shared"])
def test_a_group_may_write_to_it_when_it_is_the_users_alone(
    group: int, monkeypatch: pytest.MonkeyPatch, *, is_read: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    status = os.stat_result((0o100664, 0, 0, 1, 1234, group, 0, 0, 0, 0))
    if is_read:
        _refuse_others_file("own.yml", status)
        return
    with pytest.raises(UsageError, match=r"own\.yml is not read"):
        _refuse_others_file("own.yml", status)


def test_a_file_of_another_users_is_not_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ocibuild.yml"
    path.write_text("login: ecr\n")
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(UsageError, match="is not read") as caught:
        own_files({"HOME": "/nowhere", "XDG_CONFIG_HOME": str(tmp_path)})
    assert caught.value.exit_code == 2
    assert caught.value.why.endswith(f"it belongs to user {owner}")
    monkeypatch.setattr(os, "geteuid", lambda: owner)
    assert own_files({"XDG_CONFIG_HOME": str(tmp_path)})[0].values == {"login": "ecr"}


def test_a_number_in_a_file_of_settings_is_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "own.yml").write_text("build-args: {A: 1.10, B: 012345678901, C: 1_000, D: 0x1F}\ndebug: true\n")
    values = read_file(tmp_path / "own.yml", trusted=True).values
    assert values == {"build-args": {"A": "1.10", "B": "012345678901", "C": "1_000", "D": "0x1F"}, "debug": True}


def test_the_pages_are_what_the_table_says() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "settings_reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("values", "is_good"),
    [
        ({"target": "x", "build-args": {"A": 1.5}, "labels": ["a=b"], "debug": True, "login": "ecr"}, True),
        ({"registries": {"*.example": "basic"}, "auth": {"basic": {"url": "x"}}, "platforms": "linux/arm64"}, True),
        ({"debug": "yes"}, False),
        ({"progress": "loud"}, False),
        ({"sbom": True, "provenance": "mode=max", "plugins": {"allow": ["ecr"]}}, True),
        ({"plugins": {"alow": ["ecr"]}}, False),
        ({"unknown": 1}, False),
        ({"build-args": {"A": {"nested": 1}}}, False),
    ],
)
def test_the_schema_takes_what_the_program_takes(values: dict[str, object], *, is_good: bool) -> None:
    # The package has no types of its own.
    validator = importlib.import_module("jsonschema").Draft202012Validator
    schema = json.loads((ROOT / "docs" / "ocibuild.schema.json").read_text())
    validator.check_schema(schema)
    assert validator(schema).is_valid(values) == is_good


def test_what_only_contributors_want_to_know_of_a_page_stands_at_its_end() -> None:
    pages = [path.read_text().rstrip().splitlines() for path in (ROOT / "docs").rglob("*.md")]
    written = [lines for lines in pages if any(line.startswith("Written by `scripts/") for line in lines)]
    assert len(written) >= 5
    assert all(lines[-1].startswith("Written by `scripts/") for lines in written)
