from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.option_text import parse_document, parse_list, parse_text, refuse_wrong_type
from ocibuild_core.options import Option, OptionType, OptionValue
from ocibuild_core.secret import Secret

CHOICES = ("Sha256", "sha512")


def option(kind: OptionType) -> Option:
    return Option(name="x", help="Help", type=kind, choices=CHOICES if kind is OptionType.CHOICE else ())


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (OptionType.TEXT, " kept as it is ", " kept as it is "),
        (OptionType.INT, "-7", -7),
        (OptionType.INT, " 12 ", 12),
        (OptionType.BOOL, "T", True),
        (OptionType.BOOL, "0", False),
        (OptionType.PATH, "a/../b", Path("a/../b")),
        (OptionType.DURATION, "1.5s", 1.5),
        (OptionType.LIST, " a, b,,c ,", ("a", "b", "c")),
        (OptionType.LIST, "a,{b,c}", ("a", "{b,c}")),
        (
            OptionType.LIST,
            '["012345678901", "r.example", 12345678901, ""]',
            ("012345678901", "r.example", "12345678901"),
        ),
        (OptionType.LIST, ' {"012345678901": "arn:x", "b": "y"}', ("012345678901=arn:x", "b=y")),
        (OptionType.LIST, "[::1]:5000, [::2]", ("[::1]:5000", "[::2]")),
        (OptionType.LIST, "[" * 100_000, ("[" * 100_000,)),
        (OptionType.LIST, "[]", ()),
        (OptionType.CHOICE, "SHA256", "Sha256"),
        (OptionType.SECRET, " s ", Secret(" s ")),
    ],
)
def test_text(kind: OptionType, text: str, value: OptionValue) -> None:
    found = parse_text(option(kind), text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (OptionType.INT, "7.0", "whole number"),
        (OptionType.INT, "\N{ARABIC-INDIC DIGIT SEVEN}", "whole number"),
        (OptionType.INT, "1_000", "whole number"),
        (OptionType.INT, "9" * 5000, "whole number"),
        (OptionType.BOOL, "yes", "not a boolean"),
        (OptionType.PATH, "a\0b", "NUL"),
        (OptionType.DURATION, "soon", "not a duration"),
        (OptionType.CHOICE, "md5", "use one of Sha256, sha512"),
    ],
)
def test_malformed_text(kind: OptionType, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_text(option(kind), text)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (OptionType.TEXT, 10, "10"),
        (OptionType.TEXT, True, "true"),
        (OptionType.INT, 5, 5),
        (OptionType.BOOL, False, False),
        (OptionType.BOOL, "t", True),
        (OptionType.DURATION, 30, 30.0),
        (OptionType.LIST, "a,b", ("a", "b")),
        (OptionType.LIST, ["a,b", " c ", "", 5, None], ("a,b", "c", "5")),
        (OptionType.LIST, {"h": "v", "n": 1}, ("h=v", "n=1")),
        (OptionType.LIST, {"h": {"user": "u"}}, ('h={"user": "u"}',)),
        (OptionType.LIST, {"h": ["a", " b,c ", {"d": 1}], "n": [], "m": 1}, ("h=a", "h= b,c", 'h={"d": 1}', "m=1")),
        (OptionType.LIST, '{"h": ["a", "b,c"], "n": [1.10]}', ("h=a", "h=b,c", "n=1.10")),
        (OptionType.LIST, [["a", "b"]], ('["a", "b"]',)),
        (OptionType.LIST, [], ()),
    ],
)
def test_document(kind: OptionType, value: object, expected: OptionValue) -> None:
    assert parse_document(option(kind), value) == expected


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (OptionType.TEXT, {"a": 1}, "a mapping where one value"),
        (OptionType.INT, [1], "a list where one value"),
        (OptionType.INT, True, "whole number"),
        (OptionType.BOOL, 2, "not a boolean"),
        (OptionType.TEXT, object(), "object where a text"),
    ],
)
def test_malformed_document(kind: OptionType, value: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_document(option(kind), value)


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (OptionType.TEXT, 10, "a number where a text is expected"),
        (OptionType.TEXT, True, "a boolean where a text is expected"),
        (OptionType.TEXT, {"a": "b"}, "a mapping where a text is expected"),
        (OptionType.SECRET, ["a"], "a list where a text is expected"),
        (OptionType.PATH, 1.5, "a number where a text is expected"),
        (OptionType.CHOICE, 1, "a number where a text is expected"),
        (OptionType.LIST, True, "a boolean where a list or a text is expected"),
        (OptionType.LIST, 123456789012, "a number where a list or a text is expected"),
        (OptionType.LIST, ["a", 123456789012], "a number where a text is expected"),
        (OptionType.LIST, {"a": ["b", True]}, "a boolean where a text is expected"),
        (OptionType.BOOL, "true", "a text where true or false is expected"),
        (OptionType.BOOL, 1, "a number where true or false is expected"),
        (OptionType.INT, True, "a boolean where a whole number is expected"),
        (OptionType.DURATION, [], "a list where a duration is expected"),
    ],
)
def test_wrong_types_in_a_request(kind: OptionType, value: object, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        refuse_wrong_type(option(kind), value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (OptionType.TEXT, "10"),
        (OptionType.SECRET, "a:b"),
        (OptionType.LIST, "a,b"),
        (OptionType.LIST, ["a", None, {"b": 1}]),
        (OptionType.LIST, {"a": "b", "c": ["d", "e"], "f": {"g": 1}}),
        (OptionType.BOOL, True),
        (OptionType.INT, 3),
        (OptionType.INT, "3"),
        (OptionType.DURATION, 1.5),
        (OptionType.DURATION, "2m"),
    ],
)
def test_right_types_in_a_request(kind: OptionType, value: object) -> None:
    refuse_wrong_type(option(kind), value)


items = (
    st.text(st.characters(exclude_characters=",{}[", exclude_categories=["Cs"]), min_size=1).map(str.strip).filter(bool)
)


@given(st.lists(items))
def test_list_of_plain_items_comes_back(given_items: list[str]) -> None:
    assert parse_list([",".join(given_items)]) == tuple(given_items)
    assert parse_list(given_items) == tuple(given_items)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_a_request_holds_gives_a_value_or_a_reason(value: object) -> None:
    for kind in OptionType:
        with suppress(ValueError):
            assert parse_document(option(kind), value) is not None


@given(st.dictionaries(items.filter(lambda key: "=" not in key), st.dictionaries(st.text(), st.text(), min_size=1)))
def test_nested_mapping_can_be_read_back(mapping: dict[str, dict[str, str]]) -> None:
    found = parse_document(option(OptionType.LIST), mapping)
    assert isinstance(found, tuple)
    pairs = (item.partition("=") for item in found)
    assert {key: json.loads(value) for key, _, value in pairs} == mapping
