"""Compression: every kind, cut into members and frames, damaged and cut off; with and without the faster modules."""

from __future__ import annotations

import bz2
import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module

import pytest
from backports import zstd
from ocibuild_core.unpack import streams
from ocibuild_core.unpack.errors import LayerError
from ocibuild_core.unpack.streams import PIECE, ReadAhead, decompressed
from support.jail import Jail
from support.tars import archive, file, gzipped, layer

DATA = os.urandom(300_000) + bytes(3_000_000) + b"text " * 200_000
ISAL, ZLIB = "isal.isal_zlib", "zlib"


def reader(data: bytes, most: int = 1 << 30) -> Callable[[int], bytes]:
    position = 0

    def read(count: int) -> bytes:
        nonlocal position
        piece = data[position : position + min(count, most)]
        position += len(piece)
        return piece

    return read


def whole(data: bytes, most: int = 1 << 30) -> bytes:
    pieces = list(decompressed(reader(data, most)))
    assert all(0 < len(piece) <= PIECE for piece in pieces)
    return b"".join(pieces)


@pytest.fixture(params=[ISAL, ZLIB])
def inflate(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both modules that gunzip."""
    module = import_module(request.param)
    monkeypatch.setattr(streams, "_inflate_module", lambda: module)
    return str(request.param)


@pytest.mark.usefixtures("inflate")
class TestGzip:
    @pytest.mark.parametrize("level", [0, 1, 9])
    @pytest.mark.parametrize("most", [1, 777, 1 << 30])
    def test_one_member(self, level: int, most: int) -> None:
        data = DATA if most > 1 else DATA[:2000] + bytes(600_000)
        assert whole(gzip.compress(data, level), most) == data

    def test_several_members_empty_ones_and_padding(self) -> None:
        packed = gzip.compress(b"a") + gzip.compress(b"") + gzip.compress(DATA) + gzip.compress(b"z") + bytes(1000)
        assert whole(packed) == b"a" + DATA + b"z"

    def test_a_member_that_ends_where_a_piece_does(self) -> None:
        for size in (PIECE - 1, PIECE, PIECE + 1, 2 * PIECE):
            assert whole(gzip.compress(bytes(size))) == bytes(size)

    @pytest.mark.parametrize("cut", [3, 20, 1000, -1, -8, -9])
    def test_a_stream_that_is_cut_off(self, cut: int) -> None:
        with pytest.raises(LayerError, match=r"cut off|damaged"):
            whole(gzip.compress(DATA)[:cut])

    @pytest.mark.parametrize("at", [1, 15, 5000, 250_000, -1, -6])
    def test_a_damaged_byte(self, at: int) -> None:
        packed = bytearray(gzip.compress(DATA))
        packed[at] ^= 0x55
        try:
            found = whole(bytes(packed))
        except LayerError:
            return
        assert at == 1, "damage went through"  # without its magic number it is no gzip at all, and no tar either
        assert found == bytes(packed)

    def test_garbage_behind(self) -> None:
        with pytest.raises(LayerError, match="damaged"):
            whole(gzip.compress(DATA) + b"garbage that is no member")


@pytest.fixture(params=["backports.zstd", "ocibuild_core.unpack.system_zstd"])
def unzstd(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package, and the system's library."""
    module = import_module(request.param)
    monkeypatch.setattr(streams, "_zstd_module", lambda: module)
    return str(request.param)


@pytest.mark.usefixtures("unzstd")
class TestZstd:
    def test_frames_of_every_kind(self) -> None:
        skippable = b"\x53\x2a\x4d\x18" + (7).to_bytes(4, "little") + b"skipped"
        packed = skippable + zstd.compress(DATA) + skippable + zstd.compress(b"") + zstd.compress(b"z", 19)
        assert whole(packed) == whole(packed, 1000) == DATA + b"z"

    @pytest.mark.parametrize("cut", [6, 1000, -1])
    def test_a_stream_that_is_cut_off(self, cut: int) -> None:
        with pytest.raises(LayerError, match="cut off"):
            whole(zstd.compress(DATA)[:cut])

    def test_a_damaged_byte(self) -> None:
        packed = bytearray(zstd.compress(DATA, options={zstd.CompressionParameter.checksum_flag: 1}))
        packed[5000] ^= 0x55
        with pytest.raises(LayerError, match="zstd stream is damaged"):
            whole(bytes(packed))


def test_plain_bytes_stay_as_they_are() -> None:
    assert whole(DATA) == DATA
    assert whole(b"") == b""


def test_a_layer_in_every_kind_of_compression_is_unpacked(jail: Jail) -> None:
    plain = [layer(file(b"%d" % number, DATA[:400_000])) for number in range(4)]
    packed = [
        plain[0],
        gzipped(plain[1]),
        zstd.compress(plain[2]),
        gzip.compress(plain[3][:900]) + gzipped(plain[3][900:]),
    ]
    made = jail.unpack(*packed).ok()
    assert {made.tree[b"%d" % number].content for number in range(4)} == {made.tree[b"0"].content}


def test_without_the_faster_module_the_standard_one_does_it(jail: Jail) -> None:
    made = jail.unpack_archive(archive([gzipped(layer(file(b"f", b"x")))]), keep_out=["isal.isal_zlib"]).ok()
    assert made.tree[b"f"].content == b"x"


def test_without_a_package_for_zstd_the_systems_library_does_it(jail: Jail) -> None:
    keep_out = ["compression.zstd", "backports.zstd"]
    made = jail.unpack_archive(archive([zstd.compress(layer(file(b"f", b"x" * 900_000)))]), keep_out=keep_out).ok()
    assert made.tree[b"f"].size == 900_000


def test_without_any_zstd_it_is_said_what_brings_it(jail: Jail) -> None:
    keep_out = ["compression.zstd", "backports.zstd", "ocibuild_core.unpack.system_zstd"]
    made = jail.unpack_archive(archive([zstd.compress(layer(file(b"f")))]), keep_out=keep_out)
    assert "cannot unpack layer 1 of 1, sha256:" in made.error
    assert "compressed with zstd" in made.error
    assert "pip install 'ocibuild-core[zstd]'" in made.error


@pytest.mark.parametrize("damage", ["cut", "changed", "not a tar", "another compression", "half an entry"])
def test_a_damaged_layer_is_noticed_and_named(jail: Jail, damage: str) -> None:
    good = layer(file(b"f", b"x" * 5000), file(b"g", b"y" * 5000))
    packed = bytearray(gzipped(good))
    packed[len(packed) // 2] ^= 0xFF
    bad = {
        "cut": gzipped(good)[:-20],
        "changed": bytes(packed),
        "not a tar": b"no tar at all" * 100,
        "another compression": bz2.compress(good),
        "half an entry": gzipped(good[:6000]),
    }[damage]
    made = jail.unpack(gzipped(good), bad)
    assert "cannot unpack layer 2 of 2, sha256:" in made.error


def test_a_blob_that_is_not_what_its_digest_says_is_noticed(jail: Jail) -> None:
    content = layer(file(b"f", b"right content"))
    data = archive([content]).replace(b"right content", b"wrong content")
    assert "its digest is sha256:" in jail.unpack_archive(data).error


class TestReadAhead:
    def test_what_is_raised_in_there_is_raised_here_in_its_place(self) -> None:
        def items() -> Iterator[bytes]:
            yield b"a"
            raise zlib.error("broken")

        with ReadAhead(items()) as ahead:
            assert next(ahead) == b"a"
            for _ in range(2):
                with pytest.raises(zlib.error):
                    next(ahead)

    def test_it_ends_although_nobody_takes_what_it_has(self) -> None:
        made = []

        def items() -> Iterator[bytes]:
            while True:
                made.append(1)
                yield b"x"

        with ReadAhead(items()):
            pass
        assert len(made) < 20
