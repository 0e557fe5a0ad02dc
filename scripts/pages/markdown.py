"""As much of Markdown as links need: where they stand, where they lead, which anchors a page has."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CODE = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)[ \t]*$|(?P<ticks>`+).+?(?P=ticks)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(
    r"(?P<before>\]\()(?P<target>[^)\s]+)(?=\)|\s)|(?P<tag><(?:img|a)\s[^>]*?(?:src|href)=\")(?P<url>[^\"]+)"
)
_HEADING = re.compile(r"^(#{1,6}) (?P<text>.+?)\s*#*$", re.MULTILINE)


class Link(NamedTuple):
    """A link of a page: its target as written, and the line it stands in."""

    target: str
    line: int


def links(text: str) -> Iterator[Link]:
    """The links and images of a page, code left out."""
    prose = _without_code(text)
    for found in _LINK.finditer(prose):
        yield Link(found["target"] or found["url"], prose.count("\n", 0, found.start()) + 1)


def replace_links(text: str, change: Callable[[str], str]) -> str:
    """The page with each link's target changed."""
    prose, pieces, end = _without_code(text), [], 0
    for found in _LINK.finditer(prose):
        name = "target" if found["target"] else "url"
        pieces += [text[end : found.start(name)], change(found[name])]
        end = found.end(name)
    return "".join([*pieces, text[end:]])


def anchors(text: str) -> frozenset[str]:
    """What `#…` may say of a page, as GitHub and the site make it out of headings."""
    seen: Counter[str] = Counter()
    found = []
    for heading in _HEADING.finditer(_without_fences(text)):
        slug = _slug(heading["text"])
        found.append(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return frozenset(found)


def title(text: str) -> str:
    """The first heading."""
    found = _HEADING.search(_without_fences(text))
    return found["text"] if found else ""


def _slug(heading: str) -> str:
    shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", shown.lower()).strip().replace(" ", "-")


def _without_code(text: str) -> str:
    """The page with code blanked out, every character and line at its place."""
    return _CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def _without_fences(text: str) -> str:
    return _CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]) if found["fence"] else found[0], text)
