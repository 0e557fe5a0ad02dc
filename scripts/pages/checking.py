"""What must hold for the site as it was built: every link leads somewhere, and nothing comes from elsewhere.

The pages work from a disk, behind `Content-Security-Policy: default-src 'self'`, and without a network.
"""

from __future__ import annotations

import posixpath
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOADED = {
    ("script", "src"),
    ("img", "src"),
    ("link", "href"),
    ("iframe", "src"),
    ("source", "src"),
    ("form", "action"),
}
_FOLLOWED = {("a", "href")}


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.loaded: list[str] = []
        self.followed: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        for name, value in attrs:
            if (tag, name) in _LOADED and value:
                self.loaded.append(value)
            if (tag, name) in _FOLLOWED and value:
                self.followed.append(value)
            if name == "id" and value:
                self.ids.add(value)
            if name == "style" or name.startswith("on"):
                self.inline.append(f"<{tag} {name}>")
        if tag == "style" or (tag == "script" and not values.get("src")):
            self.inline.append(f"<{tag}>")


def problems(site: Path) -> Iterator[str]:
    """What is wrong with the pages below `site`; one line each."""
    pages = {str(path.relative_to(site)): _Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    for name, page in pages.items():
        yield from (f"{name}: {what} is inline, which a strict content security policy forbids" for what in page.inline)
        for link in page.loaded:
            if urlsplit(link).scheme or link.startswith("//"):
                yield f"{name}: {link} is loaded from elsewhere"
            elif not (site / _file(name, link)).exists():
                yield f"{name}: {link} is loaded, and not there"
        for link in page.followed:
            if not urlsplit(link).scheme and not _leads(site, pages, name, link):
                yield f"{name}: {link} leads nowhere"


def _leads(site: Path, pages: dict[str, _Page], name: str, link: str) -> bool:
    file, anchor = _file(name, link), unquote(urlsplit(link).fragment)
    if file not in pages:
        return (site / file).is_file()
    return not anchor or anchor in pages[file].ids


def _file(name: str, link: str) -> str:
    path = unquote(urlsplit(link).path)
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
