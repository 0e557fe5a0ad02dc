"""What was left out of a tree, and why: told once, not for each file."""

from __future__ import annotations

_MOST_NAMES = 8


class Notes:
    """Collects what was left out."""

    def __init__(self) -> None:
        self._devices = 0
        self._xattrs: dict[str, int] = {}
        self._are_owners_left_out = False

    def lines(self) -> list[str]:
        """For people, one line each; none when all is as in the image."""
        lines = []
        if self._are_owners_left_out:
            lines.append("all files belong to the user who unpacked them: only root can give files to others")
        if self._devices:
            lines.append(f"device nodes left out, for this user may not make them: {self._devices}")
        if self._xattrs:
            counts = ", ".join(f"{name} ({count})" for name, count in sorted(self._xattrs.items()))
            lines.append(f"extended attributes left out, for they cannot be set here: {counts}")
        return lines

    def leave_owners_out(self) -> None:
        """Everything belongs to the user who unpacks."""
        self._are_owners_left_out = True

    def leave_device_out(self) -> None:
        """The system did not let us make a device node."""
        self._devices += 1

    def leave_xattr_out(self, name: bytes) -> None:
        """The file system does not know it, or it takes a right that is not there."""
        text = name.decode("utf-8", "backslashreplace")
        if text not in self._xattrs and (len(self._xattrs) >= _MOST_NAMES or not text.isprintable()):
            text = "others"
        self._xattrs[text] = self._xattrs.get(text, 0) + 1
