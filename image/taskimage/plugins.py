"""The plugins within wheels, read without importing them: what the image's labels say."""

from __future__ import annotations

import ast
import configparser
import re
import zipfile
from dataclasses import asdict, dataclass
from email import message_from_bytes
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from inside.choice import is_wheel

from taskimage.lock import normalise
from taskimage.places import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_GROUP = "ocibuild"
_HOOK_API = "OCIBUILD_HOOK_API"
_DEFAULT_HOOK_API = 1
LABEL = "io.github.ocibuild"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One plugin.

    Args:
        id: the entry point's name.
        distribution: who ships it.
        version: of the distribution.
        hook_api: the version of the hooks that it is written for.
    """

    id: str
    distribution: str
    version: str
    hook_api: int

    def as_json(self) -> dict[str, object]:
        """For `inside/check_plugins.py`, which holds it against what is installed."""
        return asdict(self)


def find_plugins(wheels: Iterable[Path]) -> tuple[Plugin, ...]:
    """Every plugin of these wheels, by its id."""
    return tuple(sorted((plugin for wheel in wheels for plugin in _plugins_of(wheel)), key=lambda plugin: plugin.id))


def check_plugins(requirements: Iterable[str], found: Iterable[Plugin]) -> None:
    """Nothing gets into the image as a plugin that is none: a misspelt name may be a stranger's package on the index.

    Args:
        requirements: what pip is asked for: requirements and paths of wheels.
        found: the plugins in the wheels.

    Raises:
        ImageError: one of them has no plugin.
    """
    distributions = {normalise(plugin.distribution) for plugin in found}
    for text in requirements:
        # A wheel's name ends at its first dash (PEP 427), a requirement's before whatever no name has (PEP 508).
        name = PurePosixPath(text).name.split("-")[0] if is_wheel(text) else re.split(r"[^A-Za-z0-9._-]", text)[0]
        if normalise(name) not in distributions:
            raise ImageError(
                f"PLUGINS: {name} is no plugin: it has no entry point in the group '{_GROUP}'"
                "\n  do     name ours by ecr, basic or gcr, others as pip does"
            )


def labels(plugins: Iterable[Plugin], version: str) -> dict[str, str]:
    """The image's labels: those of the OCI image specification (annotations.md), and one for each plugin."""
    standard = {
        "title": "ocibuild task",
        "description": "Builds OCI images with BuildKit as a Concourse task",
        "licenses": "Apache-2.0",
        "source": "https://github.com/ocibuild/ocibuild",
        "documentation": "https://ocibuild.github.io/ocibuild/",
        "version": version,
    }
    return {
        **{f"org.opencontainers.image.{key}": value for key, value in standard.items()},
        **{
            f"{LABEL}.plugin.{plugin.id}": f"{plugin.distribution} {plugin.version}, hook API {plugin.hook_api}"
            for plugin in plugins
        },
    }


def _plugins_of(wheel: Path) -> Iterator[Plugin]:
    with zipfile.ZipFile(wheel) as archive:
        names = {PurePosixPath(name).name: name for name in archive.namelist() if ".dist-info/" in name}
        if "entry_points.txt" not in names:
            return
        entry_points = configparser.ConfigParser(delimiters=("=",))
        entry_points.optionxform = str  # type: ignore[assignment,method-assign]  # names count as they are written
        entry_points.read_string(archive.read(names["entry_points.txt"]).decode())
        if not entry_points.has_section(_GROUP):
            return
        metadata = message_from_bytes(archive.read(names["METADATA"]))
        for name, reference in entry_points.items(_GROUP):
            module = reference.partition(":")[0].strip()
            yield Plugin(
                id=name,
                distribution=str(metadata["Name"]),
                version=str(metadata["Version"]),
                hook_api=_hook_api(_source(archive, module)),
            )


def _source(archive: zipfile.ZipFile, module: str) -> str:
    path = module.replace(".", "/")
    for name in (f"{path}/__init__.py", f"{path}.py"):
        if name in archive.namelist():
            return archive.read(name).decode()
    raise ImageError(f"{archive.filename}: its entry point names {module}, which is not in the wheel")


def _hook_api(source: str) -> int:
    """What the module says of itself; a plugin that says nothing is of the first version."""
    for node in ast.parse(source).body:
        named = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == _HOOK_API for target in named):
            value = ast.literal_eval(node.value)  # type: ignore[attr-defined]  # both kinds of assignment have it
            return int(value)
    return _DEFAULT_HOOK_API
