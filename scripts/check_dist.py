"""A last look at what is to be published: `python scripts/check_dist.py DIRECTORY`.

That all of it is there, in one piece and fit for an index: metadata, licence, typing marker, extras. It installs
nothing; `twine check` and `gowheel.check` look at what is left.
"""

from __future__ import annotations

import email
import re
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from email.message import Message

ROOT = Path(__file__).parents[1]
FIELDS = ("Summary", "License-Expression", "License-File", "Keywords", "Requires-Python", "Author")
LINKS = {"Homepage", "Documentation", "Source", "Changelog", "Issues"}
SHIPPED_BY_MISTAKE = re.compile(r"(^|/)(__pycache__|\.venv|carried)(/|$)|\.pyc$")
# A link that an index cannot follow: its target is a path in the repository.
RELATIVE_LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)]+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One file that is to be published.

    Args:
        path: the file.
        metadata: its core metadata.
        names: what it holds, in a source distribution without the leading directory.
        licences: the contents of the licence files that the metadata names.
    """

    path: Path
    metadata: Message
    names: frozenset[str]
    licences: tuple[bytes, ...]

    @property
    def name(self) -> str:
        """The distribution's."""
        return str(self.metadata["Name"])

    @property
    def is_wheel(self) -> bool:
        """Whether it is no source distribution."""
        return self.path.suffix == ".whl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the repository says that there should be.

    Args:
        distributions: by name, the number of wheels; each has one source distribution besides.
        licence: the text that each of them carries.
    """

    distributions: Mapping[str, int]
    licence: bytes = field(repr=False)


def read(path: Path) -> Published:
    """A wheel or a source distribution."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            contents = {name: archive.read for name in archive.namelist() if not name.endswith("/")}
            [place] = [name for name in contents if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
            metadata = email.message_from_bytes(archive.read(place))
            folder = place.removesuffix("METADATA") + "licenses/"
            found = [archive.read(folder + name) for name in metadata.get_all("License-File", [])]
            return Published(path=path, metadata=metadata, names=frozenset(contents), licences=tuple(found))
    with tarfile.open(path) as tar:
        files = {member.name.partition("/")[2]: member for member in tar if not member.isdir()}
        metadata = email.message_from_bytes(_content(tar, files["PKG-INFO"]))
        found = [_content(tar, files[name]) for name in metadata.get_all("License-File", []) if name in files]
        return Published(path=path, metadata=metadata, names=frozenset(files), licences=tuple(found))


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} is no regular file")
    return file.read()


def expected(root: Path, architectures: int) -> Expected:
    """What the workspace in `root` publishes, its binary wheels for so many architectures."""
    members = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    projects = [tomllib.loads((root / member / "pyproject.toml").read_text()) for member in members]
    counts = {project["project"]["name"]: architectures if _is_binary(project) else 1 for project in projects}
    return Expected(distributions=counts, licence=(root / "LICENSE").read_bytes())


def _is_binary(project: Mapping[str, Any]) -> bool:
    return "hooks" in project["tool"]["hatch"]["build"]["targets"]["wheel"]


def problems(files: Iterable[Published], wanted: Expected) -> Iterator[str]:
    """Everything that is wrong, in words."""
    files = list(files)
    yield from _incomplete(files, wanted)
    for one in files:
        yield from (f"{one.path.name}: {problem}" for problem in _file_problems(one, wanted.licence))
    core = next((one for one in files if one.name == "ocibuild-core" and one.is_wheel), None)
    if core:
        yield from _extra_problems(core, files)


def _incomplete(files: list[Published], wanted: Expected) -> Iterator[str]:
    for name, wheels in wanted.distributions.items():
        mine = [one for one in files if one.name == name]
        counts = sum(not one.is_wheel for one in mine), sum(one.is_wheel for one in mine)
        if counts != (1, wheels):
            yield f"{name}: {counts[0]} source distributions and {counts[1]} wheels instead of 1 and {wheels}"
        if len({one.metadata["Version"] for one in mine}) > 1:
            yield f"{name}: several versions"
    yield from (f"{one.path.name}: not of this workspace" for one in files if one.name not in wanted.distributions)


def _file_problems(one: Published, licence: bytes) -> Iterator[str]:
    metadata = one.metadata
    yield from (f"no {name} in its metadata" for name in FIELDS if not metadata[name])
    links = {str(link).partition(",")[0] for link in metadata.get_all("Project-URL", [])}
    yield from (f"no project URL {name!r}" for name in sorted(LINKS - links))
    if len(metadata.get_all("Classifier", [])) < len(FIELDS):
        yield "hardly a classifier"
    if metadata["Description-Content-Type"] != "text/markdown":
        yield "its description is no Markdown"
    yield from (
        f"a link of its README leads nowhere on an index: {link}"
        for link in RELATIVE_LINK.findall(str(metadata.get_payload()))
    )
    if licence not in one.licences:
        yield "its LICENSE is not that of the repository"
    package = one.name.replace("-", "_")
    typed = f"{package}/py.typed" if one.is_wheel else f"src/{package}/py.typed"
    if typed not in one.names:
        yield f"no {typed}"
    carried = one.is_wheel and not one.path.name.endswith("-any.whl")
    yield from (
        f"should not hold {name}"
        for name in sorted(one.names)
        if SHIPPED_BY_MISTAKE.search(name.replace("/carried/", "/") if carried else name)
    )


def _extra_problems(core: Published, files: list[Published]) -> Iterator[str]:
    """Each of core's extras names distributions that can be had in the versions that lie here."""
    versions = {one.name: str(one.metadata["Version"]) for one in files}
    needed = [str(need) for need in core.metadata.get_all("Requires-Dist", [])]
    for name in ("ecr", "basic", "gcr", "engine", "all"):
        if name not in core.metadata.get_all("Provides-Extra", []):
            yield f"{core.path.name}: no extra [{name}]"
        if not any(re.search(rf"extra == '{name}'", need) for need in needed):
            yield f"{core.path.name}: the extra [{name}] needs nothing"
    for need in needed:
        found = re.match(r"(ocibuild-(?!core)[a-z]+)(==|>=)([0-9.]+)", need)
        if found and versions.get(found[1]) != found[3]:
            yield f"{core.path.name}: needs {found[0]}, and {found[1]} {versions.get(found[1])} is what lies here"


def main(arguments: list[str]) -> int:
    """Check a directory; 1 if something is wrong with it."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python scripts/check_dist.py DIRECTORY\n")
        return 2
    paths = sorted(path for path in Path(arguments[0]).iterdir() if path.name.endswith((".whl", ".tar.gz")))
    architectures = len({path.name.rpartition("_")[2] for path in paths if not path.name.endswith(("any.whl", ".gz"))})
    found = list(problems(map(read, paths), expected(ROOT, architectures)))
    sys.stderr.writelines(f"{problem}\n" for problem in found)
    print(f"{len(paths)} files, binary wheels for {architectures} architectures, {len(found)} problems")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
