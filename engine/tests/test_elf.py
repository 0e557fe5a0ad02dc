from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from gowheel.elf import read_program

HEADER_SIZE = 64


def elf(
    *, machine: int = 62, segments: tuple[int, ...] = (1,), sections: tuple[int, ...] = (0, 1), kind: int = 2
) -> bytes:
    """The smallest file with these headers, laid out as elf(5) says."""
    tables = HEADER_SIZE + 56 * len(segments)
    identification = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head = struct.pack(
        "<HHIQQQIHHHHHH", kind, machine, 1, 0, HEADER_SIZE, tables, 0, 64, 56, len(segments), 64, len(sections), 0
    )
    programs = b"".join(struct.pack("<I52x", segment) for segment in segments)
    return identification + head + programs + b"".join(struct.pack("<II56x", 0, section) for section in sections)


@pytest.mark.parametrize(("segments", "is_static"), [((1, 4), True), ((1, 3, 4), False)])
def test_a_program_with_an_interpreter_is_not_static(segments: tuple[int, ...], *, is_static: bool) -> None:
    assert read_program(elf(segments=segments)).is_static is is_static


@pytest.mark.parametrize(("sections", "has_symbols"), [((0, 1, 3), False), ((0, 1, 2), True)])
def test_a_program_with_a_symbol_table_is_not_stripped(sections: tuple[int, ...], *, has_symbols: bool) -> None:
    assert read_program(elf(sections=sections)).has_symbols is has_symbols


def test_the_machine_is_read() -> None:
    assert read_program(elf(machine=183)).machine == 183


def test_this_python_is_seen_to_need_a_dynamic_linker_or_to_be_no_plain_executable() -> None:
    # Position-independent interpreters are shared objects to ELF; either answer rejects them as a static program.
    content = Path(sys.executable).read_bytes()
    try:
        assert not read_program(content).is_static
    except ValueError as error:
        assert "type 3" in str(error)  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n" * 20, elf(kind=3), elf()[:40]])
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"too short|not an ELF file|not a 64-bit"):
        read_program(content)
