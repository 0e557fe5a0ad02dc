from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from ocibuild_core.settings.documents import SettingsFile
from ocibuild_core.settings.keys import SECTIONS, unknown_keys, yaml_fields

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
