"""Layers without their compression, unpacked in a thread of its own while the files are written."""

from __future__ import annotations

import threading
from importlib import import_module
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Self

from ocibuild_core.unpack.errors import LayerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Read = Callable[[int], bytes]

PIECE = 1024 * 1024
"""How much is handed on at once: with less the threads meet too often."""

_INPUT = 512 * 1024
_PIECES_AHEAD = 8
_MAGIC_BYTES = 4
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SYSTEM_ZSTD = "ocibuild_core.unpack.system_zstd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # after one byte of 0x50 to 0x5f (RFC 8878, section 3.1.2)


def decompressed(read: Read) -> Iterator[bytes]:
    """What a blob holds: gzip (RFC 1952) or zstd (RFC 8878), of several members or frames, or the bytes as they are.

    Args:
        read: gives up to so many bytes, none at the end.

    Raises LayerError when the stream is damaged or cut off, or when nothing here reads it.
    """
    first = read(_INPUT)
    while len(first) < _MAGIC_BYTES and (more := read(_INPUT)):
        first += more
    if first.startswith(_GZIP):
        return _gunzip(first, read)
    if first.startswith(_ZSTD) or first[1:4] == _ZSTD_SKIPPABLE:
        return _unzstd(first, read)
    return _plain(first, read)


class ReadAhead:
    """An iterator whose items are made in a thread, some before they are asked for. A context manager that ends it.

    Args:
        items: what raises in there is raised to who asks for the item.
    """

    def __init__(self, items: Iterator[bytes]) -> None:
        self._items = items
        self._queue: SimpleQueue[bytes | BaseException] = SimpleQueue()
        self._slots = threading.Semaphore(_PIECES_AHEAD)
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="layers", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopped = True
        self._slots.release()
        self._thread.join()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        item = self._queue.get()
        if isinstance(item, BaseException):
            self._queue.put(item)  # for who asks once more
            raise item
        self._slots.release()
        return item

    def _run(self) -> None:
        try:
            for item in self._items:
                self._slots.acquire()
                if self._is_stopped:
                    return
                self._queue.put(item)
        except BaseException as error:  # noqa: BLE001  # handed over, not swallowed
            self._queue.put(error)
        else:
            self._queue.put(StopIteration())


def _plain(piece: bytes, read: Read) -> Iterator[bytes]:
    while piece:
        yield piece
        piece = read(PIECE)


def _gunzip(data: bytes, read: Read) -> Iterator[bytes]:
    inflate = _inflate_module()
    while data:
        member = inflate.decompressobj(wbits=31)
        while not member.eof:
            data = data or read(_INPUT)
            try:
                piece = member.decompress(data, PIECE)
            except inflate.error as error:
                raise LayerError(f"its gzip stream is damaged: {error}") from None
            if piece:
                yield piece
            elif not data and not member.eof:
                raise LayerError("its gzip stream is cut off")
            data = member.unconsumed_tail
        data = member.unused_data or read(_INPUT)
        while data and not (data := data.lstrip(b"\0")):  # padding, which gzip(1) leaves out, too
            data = read(_INPUT)


def _unzstd(data: bytes, read: Read) -> Iterator[bytes]:
    zstd = _zstd_module()
    while data:
        frame = zstd.ZstdDecompressor()
        while not frame.eof:
            if frame.needs_input and not (data := data or read(_INPUT)):
                raise LayerError("its zstd stream is cut off")
            try:
                piece = frame.decompress(data, PIECE)
            except zstd.ZstdError as error:
                raise LayerError(f"its zstd stream is damaged: {error}") from None
            data = b""
            if piece:
                yield piece
        data = frame.unused_data or read(_INPUT)


def _inflate_module() -> Any:  # noqa: ANN401  # a module; both have zlib's interface
    """ISA-L, twice as fast, where it is installed."""
    try:
        return import_module("isal.isal_zlib")
    except ImportError:
        return import_module("zlib")


def _zstd_module() -> Any:  # noqa: ANN401  # a module; all have the interface of PEP 784
    """Python's own, its backport, or the system's library."""
    for name in ("compression.zstd", "backports.zstd", _SYSTEM_ZSTD):
        try:
            found = import_module(name)
        except ImportError:
            continue
        if name != _SYSTEM_ZSTD or found.is_there():
            return found
    raise LayerError(
        "it is compressed with zstd, which neither this Python nor a libzstd.so.1 of the system reads here",
        do="pip install 'ocibuild-core[zstd]', or install the system's libzstd1",
    )
