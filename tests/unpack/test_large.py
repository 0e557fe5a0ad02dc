"""Many entries: memory and descriptors stay within bounds."""

from __future__ import annotations

from support.jail import Jail
from support.tars import archive, directory, file, gzipped, layer, opaque, whiteout

COUNT = 100_000


def test_an_upper_layer_of_very_many_entries_takes_little_memory(jail: Jail) -> None:
    lower = layer(directory(b"d"), file(b"d/old"))
    head = file(b"d/0000000").encode()
    # Names of one length: a header is patched instead of built, for there are very many.
    total = int(head[148:154], 8) - sum(b"0000000")
    entries = []
    for number in range(COUNT):
        name = b"%07d" % number
        entries.append(head[:2] + name + head[9:148] + b"%06o\0 " % (total + sum(name)) + head[156:])
    upper = b"".join(entries) + layer(opaque(b"d"))
    made = jail.unpack_archive(archive([gzipped(lower), gzipped(upper)]), look=False).ok()
    assert made.entries == COUNT + 3
    assert made.peak < 80_000  # kilobytes; the archive itself is no part of it
    assert made.descriptors[0] == made.descriptors[1]


def test_a_directory_of_ten_thousand_entries(jail: Jail) -> None:
    lower = layer(directory(b"m", mtime=5), *(file(b"m/%d" % number, b"%d" % number) for number in range(10_000)))
    upper = layer(*(whiteout(b"m/%d" % number) for number in range(0, 10_000, 2)))
    made = jail.unpack(lower, upper).ok()
    assert len(made.tree) == 2 + 5_000
    assert made.tree[b"m/9999"].content == b"9999"
    assert made.tree[b"m"].mtime == 5 * 10**9
