from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ocibuild_core.errors import Failures, UsageError
from ocibuild_core.settings.fields import four_spellings
from ocibuild_core.settings.model import BuildSettings, Pair
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import CommandLine, Document, Environment
from ocibuild_core.settings.table import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable


def settle(env: dict[str, str] | None = None, flags: dict[str, Any] | None = None, *more: Document) -> BuildSettings:
    return resolve([CommandLine(flags or {}, env or {}), Environment(env or {}), *more])


def arguments(pairs: tuple[Pair, ...]) -> dict[str, str]:
    return {pair.key: pair.value for pair in pairs}


def test_every_row_of_the_table_is_an_attribute_and_the_reverse() -> None:
    attributes = set(BuildSettings._fields) - {"origins"}
    assert {field.name for field in FIELDS} == attributes


def test_defaults_hold_and_say_so() -> None:
    settings = settle()
    assert (settings.context, settings.target, settings.debug, settings.build_args) == (".", None, False, ())
    assert settings.origin("context") == "default"


@pytest.mark.parametrize("spelling", ["TARGETFILE", "TARGET_FILE", "target_file", "targetfile"])
def test_four_spellings(spelling: str, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("\u00a0 stage \n")
    assert settle({spelling: str(tmp_path / "t")}).target == "stage"


def test_the_first_spelling_that_is_not_empty_wins() -> None:
    assert four_spellings("TARGET_FILE") == ("TARGETFILE", "TARGET_FILE", "target_file", "targetfile")
    settings = settle({"TARGET": "", "target": "x"})
    assert (settings.target, settings.origin("target")) == ("x", "target")


def test_a_target_file_overrides_the_target_even_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("\n")
    assert settle({"TARGET": "x", "TARGET_FILE": str(tmp_path / "t")}).target is None


def test_flags_win_over_the_environment_and_it_over_yaml() -> None:
    yaml = Document({"target": "yaml", "debug": True}, "ocibuild.yml")
    assert settle({"TARGET": "env"}, {"target": "flag"}, yaml).target == "flag"
    assert settle({"TARGET": "env"}, {}, yaml).target == "env"
    assert settle({}, {}, yaml).origin("target") == "ocibuild.yml: target"


def test_build_arguments_go_list_prefix_file_flags_and_the_last_wins(tmp_path: Path) -> None:
    (tmp_path / "args").write_text("c=file\nd=file\n\n e=kept space\n")
    env = {
        "BUILD_ARGS": "a=list,b=list,c=list,d=list",
        "BUILD_ARG_b": "prefix, not split",
        "BUILD_ARG_c": "prefix",
        "BUILD_ARG_empty": "",
        "BUILD_ARGS_FILE": str(tmp_path / "args"),
    }
    settings = settle(env, {"build_args": ("d=flag",)})
    assert arguments(settings.build_args) == {
        "a": "list",
        "b": "prefix, not split",
        "c": "file",
        "d": "flag",
        "empty": "",
        " e": "kept space",
    }


def test_a_yaml_file_of_arguments_keeps_the_raw_text(tmp_path: Path) -> None:
    (tmp_path / "args.yml").write_text("v: 1.10\ny: yes\nn: ~\nq: '012'\n")
    settings = settle({"BUILD_ARGS_FILE": str(tmp_path / "args.yml")})
    assert arguments(settings.build_args) == {"v": "1.10", "y": "yes", "n": "~", "q": "012"}


def test_a_nested_value_in_a_yaml_file_of_arguments_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "args.yaml").write_text("a: {b: c}\n")
    with pytest.raises(UsageError, match="'a' is nested"):
        settle({"BUILD_ARGS_FILE": str(tmp_path / "args.yaml")})


def test_a_labels_file_is_never_yaml(tmp_path: Path) -> None:
    (tmp_path / "labels.yml").write_text("a: b=c\n")
    assert arguments(settle({"LABELS_FILE": str(tmp_path / "labels.yml")}).labels) == {"a: b": "c"}


def test_a_build_argument_without_a_value_takes_it_from_the_environment_or_is_left_out() -> None:
    settings = settle({"TOKEN": "t"}, {"build_args": ("TOKEN", "UNSET")})
    assert arguments(settings.build_args) == {"TOKEN": "t"}


@pytest.mark.parametrize("name", ["annotations", "image_args", "build_contexts", "registry_certs"])
def test_any_other_flag_without_a_value_is_an_error(name: str) -> None:
    with pytest.raises(UsageError, match="an item without '='"):
        settle({"TOKEN": "t"}, {name: ("TOKEN",)})


@pytest.mark.parametrize("name", ["BUILD_ARGS", "LABELS"])
def test_a_malformed_item_is_named_without_its_text(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name}: an item without '='") as error:
        settle({name: "a=b,hunter2"})
    assert "hunter2" not in str(error.value)


def test_a_bad_line_of_a_file_is_named_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "args").write_text("a=b\n\nhunter2\n")
    with pytest.raises(UsageError, match="line 3") as error:
        settle({"BUILD_ARGS_FILE": str(tmp_path / "args")})
    assert "hunter2" not in str(error.value)


def test_a_file_that_is_not_there_is_named_with_its_setting() -> None:
    with pytest.raises(UsageError, match=r"TARGET_FILE: cannot read /no/such"):
        settle({"TARGET_FILE": "/no/such"})


def test_lists_come_from_variables_as_concourse_writes_those_of_params() -> None:
    settings = settle(
        {
            "LOGIN": '["ECR","PASS"]',
            "OUTPUTS": '["docker,dest=a.tar","digest"]',
            "REGISTRY_MIRRORS": '["m.example"]',
            "BUILDKIT_ADD_HOSTS": '["a=::1"]',
            "BUILDKIT_SSH": '["default","other=/key"]',
            "LABELS": '["a=1,2","b="]',
            "BUILD_ARGS": '{"A":"1,2","B":1.10,"C":""}',
        }
    )
    assert settings.login == ("ECR", "PASS")
    assert settings.output == ("docker,dest=a.tar", "digest")
    assert settings.registry_mirrors == ("m.example",)
    assert settings.add_hosts == ("a=::1",)
    assert settings.ssh == ("default", "other=/key")
    assert arguments(settings.labels) == {"a": "1,2", "b": ""}
    assert arguments(settings.build_args) == {"A": "1,2", "B": "1.10", "C": ""}


def test_several_bad_values_are_reported_together() -> None:
    with pytest.raises(Failures) as error:
        settle({"DEBUG": "yes", "LOGIN_TIMEOUT": "soon"})
    assert "DEBUG" in str(error.value)
    assert "LOGIN_TIMEOUT" in str(error.value)


@pytest.mark.parametrize("name", ["LOGIN_TIMEOUT", "OCIBUILD_START_TIMEOUT"])
def test_no_time_at_all_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name}='0ms': too short"):
        settle({name: "0ms"})


def test_a_found_file_may_not_choose_logins() -> None:
    with pytest.raises(UsageError, match="beside the sources"):
        settle({}, {}, Document({"login": ["ecr"]}, "ocibuild.yml", trusted=False))


@pytest.mark.parametrize("key", ["context", "dockerfile", "target-file", "build-args-file"])
@pytest.mark.parametrize("path", ["/etc", "../other", "inside/../../other", "link"])
def test_a_found_file_may_not_point_outside_of_its_directory(tmp_path: Path, key: str, path: str) -> None:
    (tmp_path / "link").symlink_to("/")
    with pytest.raises(UsageError, match="lies outside"):
        settle({}, {}, Document({key: path}, str(tmp_path / "ocibuild.yml"), trusted=False))


def test_a_found_file_may_point_inside_of_its_directory(tmp_path: Path) -> None:
    found = Document({"context": "src/../src"}, str(tmp_path / "ocibuild.yml"), trusted=False)
    assert settle({}, {}, found).context == "src/../src"
    assert settle({}, {}, Document({"context": "/etc"}, "named.yml")).context == "/etc"


def test_a_found_file_may_not_choose_what_is_written() -> None:
    with pytest.raises(UsageError, match="beside the sources"):
        settle({}, {}, Document({"output": ["docker,dest=/etc/x"]}, "ocibuild.yml", trusted=False))


def test_a_request_matches_keys_in_any_case_and_checks_types() -> None:
    assert resolve([Document({"Target": "x"}, "request", is_request=True)]).target == "x"
    with pytest.raises(UsageError, match="request: debug: a text where true or false"):
        resolve([Document({"debug": "true"}, "request", is_request=True)])


def test_a_file_counts_as_what_names_it(tmp_path: Path) -> None:
    for name in ("t", "a"):
        (tmp_path / name).write_text("A=file\n")
    yaml = Document({"target-file": str(tmp_path / "t"), "build-args-file": str(tmp_path / "a")}, "ocibuild.yml")
    settings = settle({"TARGET": "env", "BUILD_ARG_A": "env"}, {}, yaml)
    assert (settings.target, settings.origin("target")) == ("env", "TARGET")
    assert arguments(settings.build_args) == {"A": "env"}
    assert settle({"TARGET_FILE": str(tmp_path / "t")}, {"target": "flag"}).target == "flag"


def test_what_a_file_said_has_the_files_origin(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("stage")
    (tmp_path / "a").write_text("A=1")
    settings = settle({"TARGET_FILE": str(tmp_path / "t"), "BUILD_ARGS_FILE": str(tmp_path / "a")})
    assert settings.origin("target") == f"TARGET_FILE {tmp_path}/t"
    assert settings.origin("build_args") == settings.build_args[0].origin == f"BUILD_ARGS_FILE {tmp_path}/a"


def test_a_file_of_pairs_is_split_at_line_feeds_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"A=x\r\nB=1\rC=2\n")
    settings = settle({"BUILD_ARGS_FILE": str(tmp_path / "a"), "LABELS_FILE": str(tmp_path / "a")})
    assert arguments(settings.build_args) == arguments(settings.labels) == {"A": "x\r", "B": "1\rC=2"}


def test_a_file_named_by_its_ending_alone_is_yaml(tmp_path: Path) -> None:
    (tmp_path / ".yml").write_text("A: 1.10")
    assert arguments(settle({"BUILD_ARGS_FILE": str(tmp_path / ".yml")}).build_args) == {"A": "1.10"}


def test_a_file_without_end_is_not_read_to_it() -> None:
    with pytest.raises(UsageError, match="BUILD_ARGS_FILE: /dev/zero is larger than 16 MiB"):
        settle({"BUILD_ARGS_FILE": "/dev/zero"})


@pytest.mark.parametrize("text", ["a\0b", "\ud800"], ids=ascii)
@pytest.mark.parametrize(
    "values",
    [
        lambda text: {"target": text},
        lambda text: {"labels": {"k": text}},
        lambda text: {"labels": {text: "v"}},
        lambda text: {"additional_targets": ["a", text]},
        lambda text: {"target_file": text},
        lambda text: {"labels_file": text},
    ],
)
def test_what_no_program_can_be_given_is_refused(values: Callable[[str], dict[str, object]], text: str) -> None:
    with pytest.raises(UsageError, match=r"request: [a-z_]+: not a text that can be used"):
        settle({}, {}, Document(values(text), "request", is_request=True))


def test_bytes_that_are_no_text_can_be_given_to_a_program() -> None:
    assert settle({"TARGET": os.fsdecode(b"\xff")}).target == os.fsdecode(b"\xff")


@pytest.mark.parametrize("key", [True, None, 1.5, "", "a=b"])
def test_a_key_that_is_no_name_is_refused(key: object) -> None:
    with pytest.raises(UsageError, match=r"ocibuild\.yml: build-args: "):
        settle({}, {}, Document({"build-args": {key: "v"}}, "ocibuild.yml"))


def test_of_a_key_in_two_cases_the_last_counts_as_in_go() -> None:
    request = Document({"target": "first", "TARGET": "last"}, "request", is_request=True)
    assert settle({}, {}, request).target == "last"


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), ("mode=max", "mode=max")])
def test_what_is_on_or_has_attributes_may_be_a_boolean_in_yaml(value: object, text: str) -> None:
    assert settle({}, {}, Document({"provenance": value}, "ocibuild.yml")).provenance == text


@pytest.mark.parametrize("text", ["", "much", "-1GB", "1PB"])
def test_the_bound_of_the_cache_is_a_size(text: str) -> None:
    with pytest.raises(UsageError, match="--cache-size"):
        settle({}, {"cache_size": text})
    assert settle().cache_size == settle({}, {"cache_size": "10GB"}).cache_size == 10**10


def test_a_number_for_a_boolean_is_told_what_is_expected() -> None:
    with pytest.raises(UsageError, match="unpack_rootfs: a number where true or false is expected"):
        settle({}, {}, Document({"unpack_rootfs": 1}, "request", is_request=True))
