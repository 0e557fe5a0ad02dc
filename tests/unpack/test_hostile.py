"""Images that are made to write, link, change or delete outside the tree, or to exhaust what unpacks them.

Each is unpacked in the jail, as root and as an ordinary user. Around the tree there lies what an escape would change,
by a relative and by an absolute path; nothing of that may change, and nothing may even be tried: in the jail, a try
elsewhere ends with "Read-only file system".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.jail import Jail, run_worker_outside
from support.tars import (
    END,
    GNU,
    PAX,
    Item,
    archive,
    directory,
    file,
    gzipped,
    hard_link,
    layer,
    octal,
    opaque,
    padded,
    raw_header,
    symlink,
    whiteout,
)

Build = Callable[[bytes], list[bytes]]

UP = b"../outside"
HARMLESS = ""


def through(*items: Item) -> Build:
    """A lower layer with links that lead out, and these items above."""

    def build(outside: bytes) -> list[bytes]:
        links = [
            symlink(b"abs", outside),
            symlink(b"rel", UP),
            symlink(b"up", b".."),
            symlink(b"d", outside + b"/dir"),
            symlink(b"f", outside + b"/file"),
            symlink(b"proc-root", b"/proc/self/root" + outside),
        ]
        return [layer(*links), layer(*items)]

    return build


def one(*items: Item) -> Build:
    return lambda _: [layer(*items)]


def two(below: list[Item], above: list[Item]) -> Build:
    return lambda _: [layer(*below), layer(*above)]


def raw(data: bytes) -> Build:
    return lambda _: [data]


def linked(make: Callable[[bytes], list[Item]]) -> Build:
    return lambda outside: [layer(*make(outside))]


def header(**fields: bytes) -> bytes:
    plain = {"name": b"f", "mode": octal(0o644, 8), "type": b"0", "magic": b"ustar\x0000"}
    return raw_header(**{**plain, **fields})


DEEP = b"/".join([b"d"] * 4000)

CASES: dict[str, tuple[Build, str]] = {
    # Files through links that lead out
    "a file through an absolute link": (through(file(b"abs/file", b"escaped")), HARMLESS),
    "a file through a relative link": (through(file(b"rel/file", b"escaped")), HARMLESS),
    "a file through a link to the parent": (through(file(b"up/outside/file", b"escaped")), HARMLESS),
    "a file through /proc": (through(file(b"proc-root/file", b"escaped")), HARMLESS),
    "a file over a link to a file": (through(file(b"f", b"escaped", mode=0o777)), HARMLESS),
    "a file over a link, with a slash behind": (through(file(b"f/", b"escaped"), file(b"d/", b"escaped")), HARMLESS),
    "a directory over a link to one": (through(directory(b"d", 0o777, uid=99), file(b"d/file", b"escaped")), HARMLESS),
    "a directory through a link": (through(directory(b"abs/dir", 0o777), directory(b"rel/empty", 0o777)), HARMLESS),
    "links in one layer": (
        linked(lambda outside: [symlink(b"a", outside), symlink(b"b", b"a/dir"), file(b"b/file", b"escaped")]),
        HARMLESS,
    ),
    "a link through a link": (through(symlink(b"abs/link", b"escaped"), symlink(b"rel/link", b"escaped")), HARMLESS),
    "a device and a FIFO over links": (
        through(Item(name=b"f", type=b"3", device=(1, 3)), Item(name=b"d", type=b"6", mode=0o777)),
        HARMLESS,
    ),
    # Names that lead out
    "names with dots": (one(file(b"../outside/file", b"x"), file(b"a/../../outside/dir/file", b"x")), HARMLESS),
    "an absolute name": (lambda outside: [layer(file(outside + b"/file", b"x"))], HARMLESS),
    "dots behind a link": (through(file(b"abs/../outside/file", b"x"), file(b"d/../file", b"x")), HARMLESS),
    "a pax name with dots": (one(file(b"x", b"x", records=[(b"path", b"../outside/file")])), HARMLESS),
    "a GNU name with dots": (one(file(b"../" * 60 + b"outside/file", b"x", form=GNU)), HARMLESS),
    "a ustar prefix with dots": (raw(header(name=b"file", prefix=UP) + END), HARMLESS),
    "a NUL in a pax name": (one(file(b"x", records=[(b"path", b"x\0/../../outside/file")])), "has a NUL"),
    "a NUL in a pax link": (one(symlink(b"x", b"y", records=[(b"linkpath", b"a\0b")])), "has a NUL"),
    # Hard links
    "a hard link with dots, then written": (
        one(hard_link(b"x", b"../../outside/file"), file(b"x", b"escaped")),
        "which is not there",
    ),
    "an absolute hard link": (lambda outside: [layer(hard_link(b"x", outside + b"/file"))], "which is not there"),
    "a hard link through a link": (through(hard_link(b"x", b"abs/file"), file(b"x", b"escaped")), "not there"),
    "a hard link to a link that leads out, then written": (
        through(hard_link(b"x", b"f", mode=0o777, uid=99), file(b"x", b"escaped", mode=0o777)),
        HARMLESS,
    ),
    "a hard link to itself": (one(file(b"x"), hard_link(b"x", b"./x")), "is a hard link to itself"),
    "a hard link to the root": (one(hard_link(b"x", b"..")), "which is not there"),
    "a hard link to a directory": (one(directory(b"d"), hard_link(b"x", b"d")), "Operation not permitted"),
    "a hard link in place of its target's directory": (
        one(file(b"d/f"), hard_link(b"d", b"d/f")),
        "which is not there",
    ),
    # Whiteouts
    "a whiteout through a link": (through(whiteout(b"abs/file"), whiteout(b"rel/dir"), whiteout(b"up/x")), HARMLESS),
    "an opaque marker through a link": (through(opaque(b"abs"), opaque(b"rel"), opaque(b"up"), opaque(b"d")), HARMLESS),
    "a whiteout of the parent": (two([file(b"d/f")], [file(b"d/.wh...")]), "names no file"),
    "a whiteout of the root's parent": (two([file(b"f")], [file(b".wh...")]), "names no file"),
    "a whiteout of the directory itself": (two([file(b"d/f")], [file(b"d/.wh..")]), "names no file"),
    "a whiteout of nothing": (two([file(b"d/f")], [file(b"d/.wh.")]), "names no file"),
    "a whiteout with dots": (two([file(b"f")], [file(b"../outside/.wh.file")]), HARMLESS),
    "a whiteout of a link that leads out": (through(whiteout(b"abs"), whiteout(b"f")), HARMLESS),
    "a whiteout of a directory of links that lead out": (
        lambda outside: [layer(symlink(b"d/a", outside), symlink(b"d/b", b"../" + UP)), layer(whiteout(b"d"))],
        HARMLESS,
    ),
    "a file below a whiteout": (two([file(b"f")], [file(b".wh.d/f")]), "reserved for whiteouts"),
    # Directories that turn into something else while they are in use
    "a directory that turns into a link": (
        linked(
            lambda outside: [
                *(directory(b"x"), file(b"x/file"), symlink(b"x", outside)),
                *(file(b"x/file", b"escaped"), directory(b"x/dir", 0o777)),
            ]
        ),
        HARMLESS,
    ),
    "a directory that is removed, then a link": (
        lambda outside: [
            layer(file(b"x/y/file")),
            layer(file(b"x/y/a"), whiteout(b"x/y/file"), symlink(b"x/y", outside), opaque(b"x/y"), file(b"x/y/file")),
        ],
        HARMLESS,
    ),
    "a parent that turns into a link": (
        lambda outside: [layer(file(b"x/dir/file")), layer(symlink(b"x", outside), whiteout(b"x/dir/file"))],
        HARMLESS,
    ),
    "a root that turns into a link": (linked(lambda outside: [symlink(b".", outside), file(b"file")]), "the root"),
    "a root that turns into a file": (one(file(b"a/..", b"x")), "the root"),
    "a root that turns into a hard link": (one(file(b"f"), hard_link(b"/", b"f")), "the root"),
    # What would hang
    "a FIFO that is written": (one(Item(name=b"x", type=b"6"), file(b"x", b"content")), HARMLESS),
    "a FIFO behind a hard link that is written": (
        one(Item(name=b"x", type=b"6"), hard_link(b"y", b"x"), file(b"y", b"content")),
        HARMLESS,
    ),
    "a FIFO as a parent": (one(Item(name=b"x", type=b"6"), file(b"x/y")), "is no directory"),
    "a file as a parent": (one(file(b"x"), file(b"x/y/z")), "is no directory"),
    "a device that is written": (one(Item(name=b"x", type=b"4", device=(8, 0)), file(b"x", b"content")), HARMLESS),
    "links in a circle": (one(symlink(b"a", b"b"), symlink(b"b", b"a"), file(b"a/f")), "more than 255 symbolic links"),
    "links that double": (
        one(*(symlink(b"l%d" % n, b"l%d/../l%d" % (n + 1, n + 1)) for n in range(60)), file(b"l0/f")),
        "more than 255 symbolic links",
    ),
    # What would exhaust
    "very deep directories, removed": (two([file(DEEP + b"/f")], [whiteout(b"d")]), HARMLESS),
    "very deep directories": (one(file(DEEP + b"/f", b"x")), HARMLESS),
    "a gigabyte of zeros": (lambda _: [zeros(2**30)], HARMLESS),
    "a file of exabytes": (one(file(b"x", size=2**62)), "ends too early"),
    "more bytes than a file can have": (one(file(b"x", size=2**63)), "size 9223372036854775808"),
    "a negative size": (raw(header(size=b"\xff" * 12) + END), "size -1"),
    "an extended header of megabytes": (
        raw(header(type=b"x", size=octal(2**21, 12)) + bytes(2**21) + END),
        "an extended header of 2097152 bytes",
    ),
    "a GNU name of megabytes": (raw(header(type=b"L", size=octal(2**21, 12)) + b"n" * 2**21 + END), "2097152 bytes"),
    "thousands of extended headers": (raw((header(type=b"x") * 50_000) + header() + END), HARMLESS),
    "a name of 5000 bytes": (one(file(b"n" * 5000)), "File name too long"),
    "a target of 5000 bytes": (one(symlink(b"s", b"t" * 5000)), "File name too long"),
    "an empty target": (one(symlink(b"s", b"")), "No such file"),
    "an attribute that is too long": (one(file(b"x", xattrs={b"user.a": b"v" * 70_000})), "Argument list too long"),
    "an attribute's name with a NUL": (one(file(b"x", xattrs={b"user.a\0b": b""})), "has a NUL"),
    "a sparse file of a million pieces": (
        one(file(b"x", b"1000000\n", records=[(b"GNU.sparse.major", b"1"), (b"GNU.sparse.realsize", b"9")])),
        "in more than 100000 pieces",
    ),
    "a sparse file of exabytes": (
        one(file(b"x", records=[(b"GNU.sparse.size", b"%d" % 2**63), (b"GNU.sparse.map", b"")])),
        "size 9223372036854775808",
    ),
    "a sparse file that overlaps": (
        one(file(b"x", b"ab", records=[(b"GNU.sparse.size", b"2"), (b"GNU.sparse.map", b"0,1,0,1")])),
        "out of order",
    ),
    "a sparse file with more than it holds": (
        one(file(b"x", b"a", records=[(b"GNU.sparse.size", b"9"), (b"GNU.sparse.map", b"0,9")])),
        "is of 9 bytes, and 1 are there",
    ),
    # What no file can have
    "a user that means nobody": (one(file(b"x", records=[(b"uid", b"4294967295")])), "owner 4294967295"),
    "a negative user": (raw(header(uid=b"\xff" * 8) + END), "owner -1"),
    "an unknown type": (raw(header(type=b"M") + END), "unknown type"),
    "a record that is too long": (
        raw(header(type=b"x", size=octal(9, 12)) + padded(b"99 a=b\n\n\n") + END),
        "malformed",
    ),
    "a record that is no record": (
        raw(header(type=b"x", size=octal(9, 12)) + padded(b"nonsense\n") + END),
        "malformed",
    ),
    "a time that is none": (one(file(b"x", records=[(b"mtime", b"1e99")])), "the time '1e99'"),
    "a number that is none": (one(file(b"x", records=[(b"size", b"0x10")])), "where a number is due"),
    "digits that are none": (raw(header(mode=b"0_644\0") + END), "where octal digits are due"),
    "a root without rights": (
        one(directory(b".", 0), directory(b"d", 0), file(b"d/f"), directory(b"d/e", 0), file(b"d/e/f")),
        HARMLESS,
    ),
}


def zeros(count: int) -> bytes:
    head = file(b"zeros", form=PAX, size=count).encode()
    return gzipped(head) + gzipped(bytes(2**20)) * (count >> 20) + gzipped(END)


@pytest.mark.parametrize("who", ["jail", "ordinary_jail"])
@pytest.mark.parametrize("name", CASES)
def test_nothing_outside_changes(request: pytest.FixtureRequest, name: str, who: str) -> None:
    jail: Jail = request.getfixturevalue(who)
    build, error = CASES[name]
    began = time.monotonic()
    made = jail.unpack_archive(archive(build(jail.outside)), look="deep" not in name)
    assert made.outside == ()
    assert "Read-only file system" not in made.error
    assert error in made.error
    assert bool(made.error) == bool(error), made.error
    assert made.descriptors[0] == made.descriptors[1]
    assert made.peak < 120_000
    assert time.monotonic() - began < 20


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 30


@pytest.mark.parametrize("path", ["outside/file", "job/outside/dir/new", "outside/link"])
def test_a_change_outside_would_be_noticed(jail: Jail, path: str) -> None:
    assert path in jail.unpack_archive(archive([layer()]), spoil=path).outside


def test_nothing_is_unpacked_outside_the_jail(tmp_path: Path) -> None:
    assert "can be written: nothing is unpacked here" in run_worker_outside(tmp_path)
