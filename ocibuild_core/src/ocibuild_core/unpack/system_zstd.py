"""zstd by the system's own library, where Python brings none: as good as every Linux has it, for its package manager.

As much of PEP 784's interface as is needed here. The functions are those of libzstd's stable API
(https://facebook.github.io/zstd/zstd_manual.html, "Streaming decompression").
"""

from __future__ import annotations

import ctypes
from typing import Any

_LIBRARY = "libzstd.so.1"


class ZstdError(Exception):
    """The stream is damaged; the text is the library's."""


class _Buffer(ctypes.Structure):
    """`ZSTD_inBuffer` and `ZSTD_outBuffer`, which are alike."""

    _fields_ = (("start", ctypes.c_void_p), ("size", ctypes.c_size_t), ("position", ctypes.c_size_t))


class ZstdDecompressor:
    """Decompresses one frame.

    Attributes:
        eof: the frame is over.
        needs_input: there is nothing more without further input.
        unused_data: what came behind the frame.

    Raises OSError when there is no such library.
    """

    def __init__(self) -> None:
        self._library = _load()
        self._stream = self._library.ZSTD_createDStream()
        if not self._stream:
            raise MemoryError
        self._input = b""
        self.eof = False
        self.needs_input = True
        self.unused_data = b""

    def __del__(self) -> None:
        if getattr(self, "_stream", None):
            self._library.ZSTD_freeDStream(self._stream)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Up to so many bytes of the content. Raises ZstdError."""
        given = self._input + data
        made = ctypes.create_string_buffer(max_length)
        source = _Buffer(ctypes.cast(ctypes.c_char_p(given), ctypes.c_void_p), len(given), 0)
        target = _Buffer(ctypes.addressof(made), max_length, 0)
        while target.position < max_length and not self.eof:
            before = source.position, target.position
            left = self._library.ZSTD_decompressStream(self._stream, ctypes.byref(target), ctypes.byref(source))
            if self._library.ZSTD_isError(left):
                raise ZstdError(self._library.ZSTD_getErrorName(left).decode())
            self.eof = left == 0
            if before == (source.position, target.position):
                break
        rest = given[source.position :]
        self._input, self.unused_data = (b"", rest) if self.eof else (rest, b"")
        self.needs_input = not self.eof and target.position < max_length
        return made.raw[: target.position]


def is_there() -> bool:
    """Whether the system has the library."""
    try:
        _load()
    except OSError:
        return False
    return True


def _load() -> Any:  # noqa: ANN401  # functions of a library
    library = ctypes.CDLL(_LIBRARY)
    library.ZSTD_createDStream.restype = ctypes.c_void_p
    library.ZSTD_freeDStream.argtypes = (ctypes.c_void_p,)
    library.ZSTD_decompressStream.argtypes = (ctypes.c_void_p, ctypes.POINTER(_Buffer), ctypes.POINTER(_Buffer))
    library.ZSTD_decompressStream.restype = ctypes.c_size_t
    library.ZSTD_isError.argtypes = library.ZSTD_getErrorName.argtypes = (ctypes.c_size_t,)
    library.ZSTD_getErrorName.restype = ctypes.c_char_p
    return library
