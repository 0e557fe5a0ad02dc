"""The licence texts and notices that have to travel with what is linked, and which licences they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gowheel.errors import WheelError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LEGAL_FILE = re.compile(
    r"^(licen[cs]e|copying|notice|patents|copyright|unlicense|authors|contributors)([-._].*)?$", re.IGNORECASE
)
LICENCE_FILE = re.compile(r"^(licen[cs]e|copying|unlicense)", re.IGNORECASE)
# `LICENSE.docs` covers a module's documentation, which is not linked; LICENSE_list is a list of names, not a text.
NOT_OF_THE_CODE = re.compile(r"\.docs$|_list$", re.IGNORECASE)

# Phrases of the texts themselves, as `spdx_identifiers` simplifies them; several may stand in one file.
PHRASES = (
    ("Apache-2.0", re.compile(r"apache license,? version 2\.0")),
    ("MIT", re.compile(r"permission is hereby granted, free of charge, to any person obtaining a copy")),
    (
        "ISC",
        re.compile(r"permission to use, copy, modify, (and |or )*distribute this software for any purpose with or"),
    ),
    ("MPL-2.0", re.compile(r"mozilla public license,? (version|v\.) ?2\.0")),
)
BSD = re.compile(r"redistribution and use in source and binary forms")
BSD_NO_ENDORSEMENT = re.compile(r"neither the names? |names of its contributors|the name of the")


def spdx_identifiers(text: str) -> frozenset[str]:
    """The SPDX identifiers of the permissive and weak-copyleft licences whose words are in `text`; none if unknown."""
    words = re.sub(r"[\s#*/;]+", " ", text).lower()
    found = {identifier for identifier, phrase in PHRASES if phrase.search(words)}
    if BSD.search(words):
        found.add("BSD-3-Clause" if BSD_NO_ENDORSEMENT.search(words) else "BSD-2-Clause")
    return frozenset(found)


def legal_files(package: Path, module: Path) -> Iterable[Path]:
    """The licences and notices that cover a package: its own and those of every directory above it in its module."""
    directory = package
    while True:
        yield from (path for path in directory.iterdir() if _is_legal(path))
        if directory == module:
            return
        directory = directory.parent


def _is_legal(path: Path) -> bool:
    return path.suffix != ".go" and LEGAL_FILE.match(path.name) is not None and path.is_file()


def licences_of(name: str, files: Iterable[Path]) -> frozenset[str]:
    """The licences of one module.

    A licence text that is not recognised, or none at all, is an error: somebody has to read it before we pass it on.
    """
    found: set[str] = set()
    for path in sorted(files):
        if not LICENCE_FILE.match(path.name) or NOT_OF_THE_CODE.search(path.name):
            continue
        identifiers = spdx_identifiers(path.read_text(encoding="utf-8", errors="replace"))
        if not identifiers:
            raise WheelError(
                f"{name}: {path} is a licence that gowheel/licenses.py does not know; read it, then add it there"
            )
        found |= identifiers
    if not found:
        raise WheelError(f"{name}: has no licence file, so it can't be passed on in a wheel")
    return frozenset(found)
