"""Finds registered secrets in texts and files, in every form in which they usually get out."""

from __future__ import annotations

import base64
import json
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

SHORTEST = 8
MASK = "[a registered secret]"

_MARKER_BYTES = 9
_FRESH_BYTES = 15
_READ_BYTES = 1 << 20
_STEP, _CALL, _BYTE = 60e-9, 50e-9, 0.3e-9
"""Seconds, roughly: to look at one place of a text, to search it for one needle, and for each byte of that search."""


class SecretLeakError(AssertionError):
    """A registered secret got out. Names the secret, the form and the place, never the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """One place where a secret was found.

    Args:
        secret: what it was registered as.
        form: how it was dressed: `plain`, `base64`, `URL-encoded`, …
        where: the stream or the file.
    """

    secret: str
    form: str
    where: str

    def __str__(self) -> str:
        return f"{self.secret} ({self.form}) in {self.where}"


class LeakWatcher:
    """Knows the secrets of a test run, and looks for them.

    Secrets from `fresh` begin with one marker that is random for each run, so that any number of them is found by one
    search. A secret that comes from elsewhere is told to `register`.
    """

    def __init__(self) -> None:
        self._marker = secrets.token_hex(_MARKER_BYTES)
        self._forms = {needle: ("a fresh secret", form) for needle, form in _forms(self._marker).items()}
        self._longest = max(map(len, self._forms))
        self._starts = {needle[:SHORTEST] for needle in self._forms}

    def fresh(self) -> str:
        """A new random secret, watched from the start: 48 letters and digits."""
        return self._marker + secrets.token_hex(_FRESH_BYTES)

    def register(self, value: str, name: str) -> str:
        """Watch for `value`, which reports call `name`; returns it. It has at least 8 characters."""
        if len(value) < SHORTEST:
            raise ValueError(f"the secret {name!r} is shorter than {SHORTEST} characters: it would be found anywhere")
        for needle, form in _forms(value).items():
            self._forms.setdefault(needle, (name, form))
            self._starts.add(needle[:SHORTEST])
        self._longest = max(map(len, self._forms))
        return value

    def find(self, text: str | bytes, where: str) -> tuple[Leak, ...]:
        """The secrets in a text, each with the first of its forms that was found."""
        raw = text.encode(errors="surrogateescape") if isinstance(text, str) else text
        found: dict[str, Leak] = {}
        for needle in self._needles_in(raw):
            name, form = self._forms[needle]
            if name not in found:
                found[name] = Leak(secret=name, form=form, where=where)
        return tuple(found.values())

    def find_in_files(self, *roots: Path, ignore: Iterable[Path] = ()) -> tuple[Leak, ...]:
        """The secrets in the regular files below `roots` (or in a file itself), and in their names.

        Args:
            roots: where to look; a symbolic link is not followed.
            ignore: files and directories that may hold secrets (the user's own docker config).
        """
        ignored = set(ignore)
        return tuple(leak for root in roots for path in _files(root, ignored) for leak in self._find_in_file(path))

    def check(self, text: str | bytes, where: str) -> None:
        """Raise `SecretLeakError` when a secret is in `text`."""
        raise_leaks(self.find(text, where))

    def check_files(self, *roots: Path, ignore: Iterable[Path] = ()) -> None:
        """Raise `SecretLeakError` when a secret is in a file below `roots`; see `find_in_files`."""
        raise_leaks(self.find_in_files(*roots, ignore=ignore))

    def mask(self, text: str) -> str:
        """The text without the secrets, and without what is joined to them: a fresh one is found by its beginning."""
        raw = text.encode(errors="surrogateescape")
        for needle in sorted(self._forms, key=len, reverse=True):
            raw = re.sub(re.escape(needle) + rb"[\w+/=%-]*", MASK.encode(), raw)
        return raw.decode(errors="surrogateescape")

    def _needles_in(self, raw: bytes) -> Iterable[bytes]:
        """Those that are in it, in the order of their forms: needle by needle, or with many of them place by place."""
        if len(raw) * _STEP >= len(self._forms) * (_CALL + len(raw) * _BYTE):
            return (needle for needle in self._forms if needle in raw)
        # No form is shorter than the secret.
        places = [place for place in range(len(raw)) if raw[place : place + SHORTEST] in self._starts]
        return (
            [needle for needle in self._forms if any(raw.startswith(needle, place) for place in places)]
            if places
            else ()
        )

    def _find_in_file(self, path: Path) -> Iterator[Leak]:
        in_name = self.find(str(path), "")
        if in_name:
            yield from (replace(leak, where=f"the name of {self.mask(str(path))}") for leak in in_name)
        found: dict[str, Leak] = {}
        for part in _overlapping_parts(path, self._longest):
            found.update({leak.secret: leak for leak in self.find(part, str(path))})
        yield from found.values()


def raise_leaks(leaks: Iterable[Leak]) -> None:
    """Raise `SecretLeakError` that names all of them; nothing when there is none."""
    lines = [f"  {leak}" for leak in dict.fromkeys(leaks)]
    if lines:
        raise SecretLeakError("\n".join(["a secret got out:", *lines]))


def _forms(value: str) -> Mapping[bytes, str]:
    """What to look for, and how each form is called."""
    raw = value.encode(errors="surrogateescape")
    forms: dict[bytes, str] = {}
    for needle, name in _named_forms(value, raw):
        # The first name that a form gets is the simplest one.
        forms.setdefault(needle, name)
    return forms


def _named_forms(value: str, raw: bytes) -> Iterator[tuple[bytes, str]]:
    yield raw, "plain"
    yield json.dumps(value)[1:-1].encode(), "as JSON"
    yield repr(value)[1:-1].encode(errors="surrogateescape"), "as Python's repr"
    yield quote(raw, safe="").encode(), "URL-encoded"
    yield quote_plus(raw).encode(), "URL-encoded as a form"
    yield raw.hex().encode(), "hexadecimal"
    for shift in range(3):
        inner = _inner_base64(raw, shift)
        yield inner, "base64"
        yield inner.translate(bytes.maketrans(b"+/", b"-_")), "base64, URL-safe"


def _inner_base64(raw: bytes, shift: int) -> bytes:
    """The part of base64 that `raw` alone decides, when `shift` bytes (mod 3) of something else stand before it.

    So `user:password` is found whoever the user is, and whatever follows.
    """
    encoded = base64.b64encode(bytes(shift) + raw)
    first = -(-shift * 8 // 6)
    return encoded[first : (shift + len(raw)) * 8 // 6]


def _files(root: Path, ignored: set[Path]) -> Iterator[Path]:
    if root in ignored or root.is_symlink():
        return
    if root.is_file():
        yield root
    elif root.is_dir():
        for child in sorted(root.iterdir()):
            yield from _files(child, ignored)


def _overlapping_parts(path: Path, overlap: int) -> Iterator[bytes]:
    tail = b""
    # A file that went away or that a test made unreadable on purpose tells nobody anything.
    with suppress(FileNotFoundError, PermissionError), path.open("rb") as file:
        while part := file.read(_READ_BYTES):
            yield tail + part
            tail = part[-overlap:]
