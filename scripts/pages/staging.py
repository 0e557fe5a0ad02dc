"""Bring the pages together as the generator wants them: each at its place in the site, every link led there.

In the repository links lead from file to file, so that they work where the sources are read. Here a link to another
page becomes one within the site, and a link to a source file one into the repository. A link that leads nowhere is a
problem, and so is one that is to lead to another host and lacks the scheme (`www.example.com` is a file's name).
"""

from __future__ import annotations

import posixpath
import re
import shutil
from functools import partial
from typing import TYPE_CHECKING

from scripts.pages.markdown import anchors, links, replace_links
from scripts.pages.nav import FROM_ELSEWHERE, REPOSITORY, SECTIONS, START

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")
_OURS = re.compile(re.escape(REPOSITORY) + r"/(?:blob|tree)/main/(?P<path>[^#?]+)")
# READMEs that are read on the package index as well, where no file of ours lies beside them.
_STANDALONE = re.compile(r"(ocibuild_core|engine|testkit|testkit/registry|plugins/\w+|examples/plugins/\w+)/README\.md")


class Site:
    """The pages that are there, and where each comes from.

    Args:
        root: the repository.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        listed = (START, *(page for pages in SECTIONS.values() for page in pages))
        sources = {page: FROM_ELSEWHERE.get(page, f"docs/{page}") for page in listed}
        # A page that is still to be written is no broken link: the navigation has what exists.
        self.sources = {page: source for page, source in sources.items() if (root / source).exists()}
        self._pages = {source: page for page, source in self.sources.items()}
        self._texts: dict[str, str] = {}

    def problems(self) -> Iterator[str]:
        """Links that lead nowhere, and pages that nobody can find; one line each."""
        found = {str(path.relative_to(self.root)) for path in (self.root / "docs").rglob("*.md")}
        yield from (f"{source}: not in scripts/pages/nav.py" for source in sorted(found - self._pages.keys()))
        for source in ("README.md", *sorted(self._pages)):
            for link in links(self._text(source)):
                problem = self._problem(source, link.target)
                if problem:
                    yield f"{source}:{link.line}: {link.target}: {problem}"

    def stage(self, target: Path) -> None:
        """Write the pages, their pictures and the navigation into an empty directory."""
        for page, source in self.sources.items():
            text = replace_links(self._text(source), partial(self._led, page))
            (target / page).parent.mkdir(parents=True, exist_ok=True)
            (target / page).write_text(text + self._navigation() if page == START else text)
        for path in (self.root / "docs").rglob("*"):
            if path.suffix in {".svg", ".png", ".json"}:
                copy = target / path.relative_to(self.root / "docs")
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)

    def _navigation(self) -> str:
        trees = []
        for heading, pages in SECTIONS.items():
            names = [page.removesuffix(".md") for page in pages if page in self.sources]
            if names:
                trees += ["", "```{toctree}", ":hidden:", f":caption: {heading}", "", *names, "```"]
        return "\n".join([*trees, ""])

    def _problem(self, source: str, target: str) -> str:
        ours = _OURS.match(target)
        if ours:
            return "" if (self.root / ours["path"]).exists() else "no such file in the repository"
        if _SCHEME.match(target):
            return ""
        path, _, anchor = target.partition("#")
        if path and _STANDALONE.fullmatch(source):
            return f"leads nowhere on the package index; say {REPOSITORY}/blob/main/…"
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), path)) if path else source
        if file.startswith("..") or not (self.root / file).exists():
            return "no such file"
        is_page = anchor and file.endswith(".md")
        return f"no heading #{anchor} in {file}" if is_page and anchor not in anchors(self._text(file)) else ""

    def _led(self, page: str, target: str) -> str:
        """Where a link of a page leads in the site."""
        ours = _OURS.match(target)
        path, hash_sign, anchor = target.partition("#")
        if ours:
            file = ours["path"]
        elif not path or _SCHEME.match(target):
            return target
        else:
            file = posixpath.normpath(posixpath.join(posixpath.dirname(self.sources[page]), path))
        if file in self._pages:
            led = self._pages[file]
        elif file.startswith("docs/") and (self.root / file).is_file():
            led = file.removeprefix("docs/")
        else:
            kind = "tree" if (self.root / file).is_dir() else "blob"
            return f"{REPOSITORY}/{kind}/main/{file}{hash_sign}{anchor}"
        return posixpath.relpath(led, posixpath.dirname(page) or ".") + hash_sign + anchor

    def _text(self, source: str) -> str:
        if source not in self._texts:
            self._texts[source] = (self.root / source).read_text("utf-8")
        return self._texts[source]
