from __future__ import annotations

import os
import select

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.settings.values import (
    parse_bool,
    parse_duration,
    parse_size,
    show_size,
    split_go_path,
    split_list,
    split_mapping,
    split_outputs,
    split_pair,
)


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_gos_spellings_of_true(text: str) -> None:
    assert parse_bool(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "False"])
def test_gos_spellings_of_false(text: str) -> None:
    assert parse_bool(text) is False


@pytest.mark.parametrize("text", ["yes", "no", "on", "tRUE", " true", "2", ""])
def test_nothing_else_is_a_boolean(text: str) -> None:
    with pytest.raises(ValueError, match="not a boolean"):
        parse_bool(text)


@pytest.mark.parametrize(("text", "seconds"), [("30", 30), ("1.5s", 1.5), ("250ms", 0.25), ("2m", 120), ("1h", 3600)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "1d", "1 s", "١s", "1e3"])
def test_malformed_durations(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


def test_a_duration_is_a_week_at_most_so_that_it_can_be_waited_for() -> None:
    assert parse_duration("168h") == 7 * 24 * 3600
    ready, written = os.pipe()
    os.write(written, b"x")
    poll = select.poll()
    poll.register(ready)
    assert poll.poll(parse_duration("168h") * 1000)
    os.close(ready)
    os.close(written)
    for text in ("168.1h", "9" * 400, "9" * 5000 + "ms"):
        with pytest.raises(ValueError, match="too long: 168h at most"):
            parse_duration(text)


@pytest.mark.parametrize("text", ["9223373TB", "8388608TiB", "9" * 20, "9" * 400, "9" * 5000 + "GB"])
def test_a_size_is_one_that_buildkit_can_count(text: str) -> None:
    with pytest.raises(ValueError, match="too large: less than 9223372TB is expected"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a", ("a",)),
        ("a,b", ("a", "b")),
        (" a , b ", (" a ", " b ")),
        ("a,", ("a", "")),
        (",,", ("", "", "")),
        ("a={1,2},b", ("a={1,2}", "b")),
        ("{a,b", ("{a,b",)),
    ],
)
def test_lists_split_at_commas_untrimmed_and_braces_protect(text: str, items: tuple[str, ...]) -> None:
    assert split_list(text) == items


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ('["ECR", "PASS"]', ("ECR", "PASS")),
        (' [1.10, 012, true, null, "a,b", " c "]', (" [1.10", " 012", " true", " null", ' "a', 'b"', ' " c "]')),
        (' [1.10, true, null, "a,b", " c "]', ("1.10", "true", "", "a,b", " c ")),
        ('[["a"]]', ('["a"]',)),
        ("[]", ()),
        ("[" * 9000, ("[" * 9000,)),
        ("[::1]:5000,[::2]", ("[::1]:5000", "[::2]")),
        ('{"a": "b,c"}', ('{"a": "b,c"}',)),
    ],
)
def test_a_list_may_be_a_json_array(text: str, items: tuple[str, ...]) -> None:
    assert split_list(text) == items


def test_where_pairs_are_expected_a_list_may_be_a_json_object() -> None:
    assert split_mapping('{"a": "b,c", "d": 1.10}') == ("a=b,c", "d=1.10")
    assert split_mapping("{}") == split_mapping("[]") == ()
    assert split_mapping("a={b,c},d") == ("a={b,c}", "d")


def test_the_outputs_of_a_json_array_are_its_items() -> None:
    assert split_outputs('["docker,dest=a.tar", "digest"]') == ("docker,dest=a.tar", "digest")


@given(
    st.lists(st.text(st.characters(exclude_characters=",{}")), min_size=1).filter(
        lambda items: not items[0].lstrip().startswith("[")
    )
)
def test_items_without_commas_and_braces_come_back(items: list[str]) -> None:
    assert split_list(",".join(items)) == tuple(items)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("digest", ("digest",)),
        ("docker,digest", ("docker", "digest")),
        ("registry,name=r.example/a:1", ("registry,name=r.example/a:1",)),
        (
            "docker,dest=a.tar,registry,name=r/a,insecure=true,./out",
            (
                "docker,dest=a.tar",
                "registry,name=r/a,insecure=true",
                "./out",
            ),
        ),
        ("type=oci,dest=a,type=tar,dest=b", ("type=oci,dest=a", "type=tar,dest=b")),
        ('{registry,"name=r/a,r/b"},{digest},tar,dest=x', ('registry,"name=r/a,r/b"', "digest", "tar,dest=x")),
        ("dest=a.tar", ("dest=a.tar",)),
        ("docker,", ("docker", "")),
        ("", ("",)),
    ],
)
def test_an_option_belongs_to_the_output_before_it(text: str, items: tuple[str, ...]) -> None:
    assert split_outputs(text) == items


@given(st.lists(st.text(st.characters(exclude_characters=",={}"), min_size=1), min_size=1))
def test_names_alone_are_a_list(names: list[str]) -> None:
    assert split_outputs(",".join(names)) == split_list(",".join(names))


def test_a_pair_splits_at_the_first_equals_sign() -> None:
    assert split_pair("a=b=c") == ("a", "b=c")
    assert split_pair("a=") == ("a", "")


@pytest.mark.parametrize("text", ["a", "=b", ""])
def test_what_is_no_pair(text: str) -> None:
    with pytest.raises(ValueError, match="="):
        split_pair(text)


# Each pair is what Go's filepath.Dir and filepath.Base print for the path.
@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("Dockerfile", (".", "Dockerfile")),
        ("a/b", ("a", "b")),
        ("a/b/", ("a/b", "b")),
        ("/a", ("/", "a")),
        ("./x/../a/D", ("a", "D")),
        ("../D", ("..", "D")),
        ("a//b", ("a", "b")),
        ("/", ("/", "/")),
        ("", (".", ".")),
    ],
)
def test_paths_are_taken_apart_as_go_does(path: str, parts: tuple[str, str]) -> None:
    assert split_go_path(path) == parts


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 kB"), (1000, "1 kB"), (4_200_000, "4.2 MB"), (2 * 10**9, "2.0 GB")]
)
def test_a_size_is_shown_in_the_unit_that_it_has(count: int, shown: str) -> None:
    assert show_size(count) == shown
