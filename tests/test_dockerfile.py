from __future__ import annotations

import time

import pytest
from ocibuild_core.dockerfile import added_sources, needed_images


def references(text: str, **kwargs: object) -> list[str]:
    return [use.reference for use in needed_images(text, **kwargs)]  # type: ignore[arg-type]


def test_from_with_expanded_arguments() -> None:
    text = "ARG V=3 REG=r.example\nARG BASE=${REG}/base:${V:-1}\nFROM --platform=$BUILDPLATFORM $BASE AS a\n"
    assert references(text) == ["r.example/base:3"]
    assert references(text, build_args={"V": "9"}) == ["r.example/base:9"]


def test_an_argument_that_no_arg_declares_does_not_expand() -> None:
    assert references("FROM base:$V\n", build_args={"V": "9"}) == ["base:"]


def test_own_stages_numbers_and_scratch_are_no_images() -> None:
    assert references("FROM scratch AS A\nFROM a\nCOPY --from=0 / /\nCOPY --from=A / /\n") == []


def test_stages_that_the_target_does_not_need_are_left_out() -> None:
    text = "FROM one AS a\nFROM two AS b\nFROM a\nCOPY --from=three:1 / /\n"
    assert references(text) == ["one", "three:1"]
    assert references(text, target="B") == ["two"]


def test_a_stage_reached_only_by_copy_or_mount_counts() -> None:
    assert references("FROM one AS a\nFROM two AS b\nFROM scratch\nCOPY --from=a / /\nRUN --mount=from=b true\n") == [
        "one",
        "two",
    ]


def test_mounts_name_images() -> None:
    text = "FROM one\nRUN --mount=type=cache,target=/x --mount=type=bind,from=tools/img:2,target=/t true\n"
    assert references(text) == ["one", "tools/img:2"]


def test_syntax_directive_counts_and_only_at_the_top() -> None:
    assert references("# syntax=docker/dockerfile:1\nFROM one\n# syntax=evil\n") == ["docker/dockerfile:1", "one"]
    assert references("\n# a comment\n# syntax=late\nFROM one\n") == ["one"]


def test_a_build_argument_stands_in_for_the_directive() -> None:
    text = "# syntax=evil\nFROM one\n"
    assert references(text, build_args={"BUILDKIT_SYNTAX": " r.example/x:1 --flag"}) == ["r.example/x:1", "one"]
    assert references(text, build_args={"BUILDKIT_SYNTAX": ""}) == ["one"]


def test_a_comment_that_is_no_directive_ends_them() -> None:
    assert references("# check=skip=all\n# syntax=late\nFROM one\n") == ["late", "one"]
    assert references("# a=b\n# syntax=late\nFROM one\n") == ["one"]


def test_a_byte_order_mark_is_no_part_of_the_file() -> None:
    assert references("\ufeffFROM one\n") == ["one"]
    assert references("\ufeff# syntax=early\nFROM one\n") == ["early", "one"]


@pytest.mark.parametrize("line", ["#a=b{}b", "#syntax={}b", "# {}a", "#a{}b", "FROM one{}two", "RUN <<{}x"])
def test_spaces_without_end_take_no_time(line: str) -> None:
    began = time.monotonic()
    references(line.format(" " * 60_000) + "\nFROM one\n")
    assert time.monotonic() - began < 1


def test_bodies_of_heredocs_are_not_read() -> None:
    assert references("FROM one\nRUN <<EOF\nFROM evil\nEOF\nCOPY <<-'X' /x\n\tFROM evil\n\tX\nFROM two\n") == ["two"]


def test_continuations_with_comments_between_and_another_escape() -> None:
    assert references("FROM one\nCOPY \\\n  # a comment\n\n  --from=two / /\n") == ["one", "two"]
    assert references("# escape=`\nFROM one\nCOPY `\n --from=two / /\n") == ["one", "two"]


def test_named_contexts_stand_before_images() -> None:
    assert references("FROM base\n", contexts=["base"]) == []
    assert references("FROM docker.io/library/base:latest\nCOPY --from=base:1 / /\n", contexts=["base"]) == ["base:1"]


def test_a_named_context_stands_before_a_stage_and_all_that_it_needs() -> None:
    text = "FROM one AS a\nFROM a AS b\nCOPY --from=two / /\nFROM scratch\nCOPY --from=b / /\n"
    assert references(text, contexts=["b"]) == []
    assert references(text, contexts=["a"]) == ["two"]


def test_line_and_purpose_are_told() -> None:
    (use,) = needed_images("\n# x\nfrom one\n")
    assert (use.purpose, use.line) == ("FROM", 3)


@pytest.mark.parametrize("text", ["", "FROM", "FROM\nCOPY --from=", "ARG", "RUN <<EOF", "\\", "FROM ${", "\x00"])
def test_malformed_files_are_left_to_buildkit(text: str) -> None:
    assert [use for use in references(text) if not use.strip("\x00")] == []


@pytest.mark.parametrize(
    "text",
    [
        'FROM scratch\nRUN --mount="type=bind,from=r.example/x:1",target=/t true\n',
        "FROM scratch\nRUN --mount=type=bind,from='r.example/x:1' true\n",
        'FROM scratch\nCOPY --link --from="r.example/x:1" / /\n',
        "ARG V=1.2\nFROM r.example/x:${V%.*}\n",
        "ARG V=v1\nFROM r.example/x:${V#v}\n",
        "ARG R=r_example\nFROM ${R/_/.}/x:1\n",
        "ARG H=r.example\nFROM ${BASE:-${H}/x:1}\n",
        'ARG V=1\nFROM "r.example/x:${V}"\n',
    ],
)
def test_images_are_found_as_buildkit_reads_them(text: str) -> None:
    assert references(text) == ["r.example/x:1"]


def test_a_tab_separates_as_a_space_does() -> None:
    assert [use.reference for use in needed_images("FROM\tr.example/a:1\n")] == ["r.example/a:1"]


def test_only_a_line_feed_ends_a_line() -> None:
    text = "FROM r.example/a:1\r\n# form feed\x0cFROM r.example/b:1\u2028FROM r.example/c:1\n"
    assert [use.reference for use in needed_images(text)] == ["r.example/a:1"]


def test_the_platform_chooses_a_stage() -> None:
    text = "FROM r.example/a:1 AS base-amd64\nFROM r.example/b:1 AS base-arm64\nFROM base-${TARGETARCH}\n"
    found = needed_images(text, platform_args={"TARGETARCH": "arm64"})
    assert [use.reference for use in found] == ["r.example/b:1"]


def test_what_adds_take_of_the_stages_that_are_needed() -> None:
    text = "FROM a AS one\nADD git://x/y /\nFROM a AS two\nADD --chown=1 a b \\\n  /c\n"
    text += 'ADD ["https://x/y.git", "/d"]\nRUN x\n'
    assert list(added_sources(text)) == [(4, "a"), (4, "b"), (6, "https://x/y.git")]
    assert list(added_sources(text, target="one")) == [(2, "git://x/y")]
