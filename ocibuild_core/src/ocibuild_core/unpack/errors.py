"""What is wrong with a layer, said where it is found; who knows which layer it is makes an `ExportError` of it."""

from __future__ import annotations

_LONGEST = 200


class LayerError(Exception):
    """A layer is damaged, asks for what no layer may, or cannot be put on disk.

    Args:
        why: the reason, without a full stop.
        do: what the reader can do about it.
    """

    def __init__(self, why: str, *, do: str = "") -> None:
        super().__init__(why)
        self.do = do


def shown(name: bytes) -> str:
    """A name from a layer as one line of harmless text, in quotes."""
    text = name.decode("utf-8", "backslashreplace")
    text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return f"'{text}'" if len(text) <= _LONGEST else f"'{text[:_LONGEST]}…'"
