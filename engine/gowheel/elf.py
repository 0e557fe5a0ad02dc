"""What an ELF header says of a program: for which machine it is, and whether it needs a dynamic linker."""

from __future__ import annotations

import struct
from dataclasses import dataclass

PT_INTERP = 3
SHT_SYMTAB = 2
HEADER = struct.Struct("<4sBB10xHHIQQQIHHHHHH")
CLASS_64 = 2
LITTLE_ENDIAN = 1
TYPE_EXECUTABLE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The part of an ELF executable's headers that decides where it runs."""

    machine: int
    is_static: bool
    has_symbols: bool
    """A symbol table (`.symtab`): the program was not stripped."""


def read_program(content: bytes) -> Program:
    """Read the headers of a 64-bit little-endian ELF executable (see elf(5)); anything else is a ValueError."""
    if len(content) < HEADER.size:
        raise ValueError("too short for an ELF header")
    magic, width, order, kind, machine, _, _, *tables = HEADER.unpack_from(content)
    programs, sections, _, _, program_size, program_count, section_size, section_count, _ = tables
    if magic != b"\x7fELF":
        raise ValueError("not an ELF file")
    if (width, order, kind) != (CLASS_64, LITTLE_ENDIAN, TYPE_EXECUTABLE):
        raise ValueError(f"not a 64-bit little-endian executable (class {width}, order {order}, type {kind})")
    segment_types = _types(content, programs, program_size, program_count, skip=0)
    section_types = _types(content, sections, section_size, section_count, skip=4)
    return Program(machine=machine, is_static=PT_INTERP not in segment_types, has_symbols=SHT_SYMTAB in section_types)


def _types(content: bytes, start: int, size: int, count: int, *, skip: int) -> set[int]:
    return {struct.unpack_from("<I", content, start + index * size + skip)[0] for index in range(count)}
