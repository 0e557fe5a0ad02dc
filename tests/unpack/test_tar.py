"""Tar archives of many forms, read without putting anything on disk."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.unpack import names
from ocibuild_core.unpack.errors import LayerError, shown
from ocibuild_core.unpack.header import parse_header, parse_number
from ocibuild_core.unpack.pax import parse_records, parse_time
from ocibuild_core.unpack.platforms import choose
from ocibuild_core.unpack.source import ByteSource
from ocibuild_core.unpack.tar import Entry, Kind, TarReader
from support.jail import Jail
from support.tars import END, GNU, PAX, Item, file, layer, octal, padded, raw_header, record


def source(data: bytes, size: int = 1000) -> ByteSource:
    return ByteSource(data[at : at + size] for at in range(0, len(data), size))


def read(data: bytes, size: int = 1000) -> list[tuple[Entry, bytes]]:
    reader = TarReader(source(data, size))
    return [(entry, b"".join(reader.content(stored(entry)))) for entry in reader]


def stored(entry: Entry) -> int:
    if entry.kind is not Kind.FILE:
        return 0
    return entry.size if entry.fragments is None else sum(length for _, length in entry.fragments)


FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=300)


@given(
    form=st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    files=st.lists(
        st.tuples(
            NAMES,
            st.binary(max_size=2000),
            st.integers(0, 0o7777),
            st.integers(0, 2**32 - 2),
            st.integers(-(2**34), 2**34),
        ),
        max_size=5,
    ),
    size=st.integers(1, 5000),
)
def test_what_pythons_tarfile_writes_is_read(
    form: int, files: list[tuple[str, bytes, int, int, int]], size: int
) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as tar:
        for name, content, mode, owner, mtime in files:
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uid, info.gid, info.mtime = len(content), mode, owner, owner, mtime
            tar.addfile(info, io.BytesIO(content))
    found = read(target.getvalue(), size)
    assert [(e.name.decode(), content, e.mode, e.uid, e.gid, e.mtime // 10**9) for e, content in found] == [
        (name, content, mode, owner, owner, mtime) for name, content, mode, owner, mtime in files
    ]


@pytest.mark.parametrize("form", FORMATS)
def test_types_and_prefixes(form: int) -> None:
    target = io.BytesIO()
    long = "/".join(["directory"] * 15) + "/file"
    with tarfile.open(fileobj=target, mode="w", format=form) as tar:
        for kind in (b"0", b"\0", b"7", b"1", b"2", b"3", b"4", b"5", b"6"):
            info = tarfile.TarInfo(long)
            info.type, info.linkname, info.devmajor, info.devminor = kind, "target", 8, 1
            tar.addfile(info)
    found = [entry for entry, _ in read(target.getvalue())]
    assert {entry.name.rstrip(b"/") for entry in found} == {long.encode()}
    assert [entry.kind.name for entry in found] == [
        *("FILE", "FILE", "FILE", "HARD_LINK", "SYMLINK", "CHARACTER_DEVICE", "BLOCK_DEVICE", "DIRECTORY", "FIFO")
    ]
    assert found[5].device == found[6].device == (8, 1)


def test_forms_that_python_does_not_write() -> None:
    star = raw_header(
        name=b"f", prefix=b"p".ljust(131, b"\0"), magic=b"ustar\x0000", rest=bytes(8) + b"tar\0", type=b"0"
    )
    old = raw_header(name=b"old/", mode=b"  755 \0", type=b"\0")
    assert [(e.name, e.kind.name) for e, _ in read(star + old + END)] == [(b"p/f", "FILE"), (b"old/", "DIRECTORY")]
    signed = bytearray(raw_header(name="ü".encode(), type=b"0"))
    signed[148:156] = b"%06o\0 " % (int(signed[148:154], 8) - 2 * 256)
    assert parse_header(bytes(signed)).name == "ü".encode()


@pytest.mark.parametrize(
    ("field", "number"),
    [
        (b"0000644\0", 0o644),
        (b" 644   \0", 0o644),
        (bytes(8), 0),
        (b"\x80" + bytes(6) + b"\x07", 7),
        (b"\xff" * 8, -1),
        (b"\x80" + (2**33).to_bytes(11, "big"), 2**33),
    ],
)
def test_numbers(field: bytes, number: int) -> None:
    assert parse_number(field) == number


@pytest.mark.parametrize("field", [b"0000688\0", b"-1\0", b"+1\0", b"1_0\0", b"1 2\0", b"0x1\0", b"1\x002\0"])
def test_what_is_no_number(field: bytes) -> None:
    with pytest.raises(LayerError, match="octal digits"):
        parse_number(field)


@given(st.lists(st.tuples(st.binary(min_size=1).filter(lambda key: b"=" not in key), st.binary())))
def test_records_survive(records: list[tuple[bytes, bytes]]) -> None:
    assert parse_records(b"".join(record(key, value) for key, value in records)) == records


@given(st.binary(max_size=100))
def test_any_bytes_are_records_or_an_error(data: bytes) -> None:
    try:
        records = parse_records(data)
    except LayerError:
        return
    assert b"".join(record(key, value) for key, value in records) == data or b"0" in data


@given(st.binary(max_size=3000))
def test_any_bytes_are_an_archive_or_an_error(data: bytes) -> None:
    try:
        read(data)
    except LayerError:
        return


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [(b"0", 0), (b"1.5", 15 * 10**8), (b"-1.5", -15 * 10**8), (b"1.", 10**9), (b"2.0000000019", 2 * 10**9 + 1)],
)
def test_times(text: bytes, nanoseconds: int) -> None:
    assert parse_time(text) == nanoseconds


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (file(b"f", b"x" * 600).encode()[:700], "ends too early"),
        (file(b"f").encode()[:300], "ends too early"),
        (raw_header(name=b"x", type=b"x", size=octal(9, 12)) + padded(record(b"path", b"p")), "what that belongs to"),
        (raw_header(name=b"x", type=b"L", size=octal(2, 12)) + padded(b"n\0") + END, "what that belongs to"),
        (bytes(512) + file(b"f").encode() + END, "a block of zeros"),
        (b"x" * 512, "no tar header"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, reason: str) -> None:
    with pytest.raises(LayerError, match=reason):
        read(data)


def test_an_archive_may_end_without_its_mark_and_have_more_behind_it() -> None:
    one = file(b"f", b"x").encode()
    assert len(read(one)) == len(read(one + bytes(512))) == len(read(one + END + b"garbage")) == 1


class TestSparse:
    """The same file in the four ways of GNU tar: 3 bytes at 4096, 2 at the end of 100,000."""

    CONTENT = b"abcde"
    PAIRS = ((4096, 3), (99_998, 2))

    def old(self) -> bytes:
        fragments = b"".join(octal(number, 12) for pair in self.PAIRS for number in pair)
        head = bytearray(raw_header(name=b"f", mode=octal(0o644, 8), size=octal(5, 12), type=b"S", magic=b"ustar  \0"))
        head[386 : 386 + len(fragments)] = fragments
        head[483:495] = octal(100_000, 12)
        head[148:156] = b" " * 8
        head[148:156] = b"%06o\0 " % sum(head)
        return bytes(head) + padded(self.CONTENT)

    def pax(self, minor: int) -> bytes:
        numbers = [b"%d" % number for pair in self.PAIRS for number in pair]
        keys = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
        if minor == 0:
            records = [(b"GNU.sparse.size", b"100000"), *((keys[n % 2], number) for n, number in enumerate(numbers))]
            return file(b"f", self.CONTENT, records=records).encode()
        records = [(b"GNU.sparse.size", b"100000"), (b"GNU.sparse.name", b"f"), (b"GNU.sparse.map", b",".join(numbers))]
        return file(b"GNUSparseFile.0/f", self.CONTENT, records=records).encode()

    def one(self) -> bytes:
        lines = b"2\n" + b"".join(b"%d\n%d\n" % pair for pair in self.PAIRS)
        records = [
            *((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0")),
            *((b"GNU.sparse.name", b"f"), (b"GNU.sparse.realsize", b"100000")),
        ]
        return file(b"GNUSparseFile.0/f", padded(lines) + self.CONTENT, records=records).encode()

    def test_each_is_the_same_file(self, jail: Jail) -> None:
        plain = bytearray(100_000)
        plain[4096:4099], plain[99_998:] = b"abc", b"de"
        wanted = jail.unpack(layer(file(b"f", bytes(plain)))).ok().tree[b"f"]
        for data in (self.old(), self.pax(0), self.pax(1), self.one()):
            found = jail.unpack(data + file(b"g", b"behind").encode() + END).ok()
            assert (found.tree[b"f"].content, found.tree[b"f"].size) == (wanted.content, 100_000)
            assert found.tree[b"g"].content == b"behind"

    def test_a_huge_one_takes_no_room(self, jail: Jail) -> None:
        records = [(b"GNU.sparse.size", b"%d" % (9 * 10**9)), (b"GNU.sparse.map", b"8999999999,1")]
        found = jail.unpack(layer(file(b"f", b"x", records=records))).ok().tree[b"f"]
        assert (found.size, found.blocks < 100) == (9 * 10**9, True)

    def test_zeros_become_a_hole(self, jail: Jail) -> None:
        content = b"x" + bytes(3_000_000)
        found = jail.unpack(layer(file(b"f", content), file(b"g", bytes(2_000_000) + b"x"))).ok()
        assert (found.tree[b"f"].size, found.tree[b"g"].size) == (3_000_001, 2_000_001)
        assert found.tree[b"f"].blocks < 1500
        assert jail.unpack(layer(file(b"f", content[:-1] + b"y"))).ok().tree[b"f"].content != found.tree[b"f"].content


@given(st.binary())
def test_a_name_is_below_the_root_whatever_it_is(name: bytes) -> None:
    parts = names.split(name)
    assert not {b"", b".", b".."} & set(parts)
    assert not any(b"/" in part for part in parts)


@given(st.binary())
def test_a_name_is_shown_as_one_harmless_line(name: bytes) -> None:
    assert shown(name).isprintable()
    assert len(shown(name)) <= 210


def test_formats_are_what_the_builder_says() -> None:
    for form in (PAX, GNU):
        ((entry, _),) = read(layer(Item(name=b"n" * 200, form=form, link=b"l" * 300, type=b"2")))
        assert (entry.name, entry.link) == (b"n" * 200, b"l" * 300)


AMD, ARM = ({"digest": name, "platform": {"os": "linux", "architecture": name}} for name in ("amd64", "arm64"))
ATTESTATION = {"digest": "a", "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}


def test_an_image_is_chosen_by_its_platform() -> None:
    assert choose([AMD, ATTESTATION], None) == AMD
    assert choose([AMD, AMD], None) == AMD
    assert choose([AMD, ARM, ATTESTATION], "linux/arm64/v8") == ARM
    for descriptors, platform in (([AMD, ARM], None), ([AMD, ARM], "linux/386"), ([ATTESTATION], None), ("x", None)):
        with pytest.raises(LayerError):
            choose(descriptors, platform)


def test_a_source_does_not_read_behind_its_end() -> None:
    stream = iter([b"ab", b"", b"of the next layer"])
    one = ByteSource(stream)
    assert one.take(2) == b"ab"
    assert one.take_block(1) is None
    one.drain()
    assert one.take_block(1) is None
    assert next(stream) == b"of the next layer"
