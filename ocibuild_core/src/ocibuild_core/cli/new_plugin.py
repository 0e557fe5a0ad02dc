"""`ocibuild plugins new`: a whole distribution whose tests pass at once."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core import __version__
from ocibuild_core.errors import UsageError
from ocibuild_core.hooks import HOOK_API, PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
_PREFIX = f"{PROJECT}-"
_PLACEHOLDER = re.compile(r"@([A-Z_]+)@")

# What each template becomes, by kind; the paths hold placeholders, too.
_COMMON = {
    "common/pyproject.toml.in": "pyproject.toml",
    "common/gitignore.in": ".gitignore",
    "common/ci.yml.in": ".github/workflows/ci.yml",
}
_FILES: Mapping[str, Mapping[str, str]] = {
    "auth": {
        **_COMMON,
        "auth/README.md.in": "README.md",
        "auth/init.py.in": "src/@MODULE@/__init__.py",
        "auth/provider.py.in": "src/@MODULE@/provider.py",
        "auth/test.py.in": "tests/test_@MODULE@.py",
    },
    "exporter": {
        **_COMMON,
        "exporter/README.md.in": "README.md",
        "exporter/init.py.in": "src/@MODULE@/__init__.py",
        "exporter/exporter.py.in": "src/@MODULE@/exporter.py",
        "exporter/test.py.in": "tests/test_@MODULE@.py",
    },
}
_DESCRIPTIONS = {"auth": "An auth plugin for ocibuild", "exporter": "An exporter for ocibuild"}


def write_plugin(name: str, kind: str, directory: Path | None) -> str:
    """Write the distribution; returns what to do next.

    Args:
        name: of the provider or exporter; a leading `ocibuild-` is dropped.
        kind: `auth` or `exporter`.
        directory: where it goes, `ocibuild-NAME` below the current directory when None. It must be empty or absent.

    Raises UsageError when the name is none, or the directory has something in it.
    """
    values = _values(name, kind)
    target = directory or Path(values["DISTRIBUTION"])
    _check_free(target)
    templates = resources.files("ocibuild_core") / "templates"
    for template, path in _FILES[kind].items():
        _write(target / _filled(path, values), _filled(_text(templates, template), values))
    _write(target / "src" / values["MODULE"] / "py.typed", "")
    return (
        f"{target}: a plugin with the {_what(kind)} {values['NAME']!r}\n\n"
        f"  cd {target}\n"
        "  pip install -e '.[test]'\n"
        "  pytest\n"
        f"  ocibuild plugins show {values['ID']}"
    )


def _values(name: str, kind: str) -> Mapping[str, str]:
    plain = name.strip().lower().removeprefix(_PREFIX)
    if not _NAME.fullmatch(plain) or plain in ("none", "core"):
        raise UsageError(
            f"{name!r} is no name for a plugin",
            why="it names the plugin and what it offers: lower-case words of a-z and 0-9, joined by '-'",
            do="ocibuild plugins new example",
        )
    return {
        "NAME": plain,
        "ID": plain,
        "DISTRIBUTION": f"{_PREFIX}{plain}",
        "MODULE": f"{_PREFIX}{plain}".replace("-", "_"),
        "CLASS": "".join(word.capitalize() for word in plain.split("-")),
        "ENV": plain.upper().replace("-", "_"),
        "DESCRIPTION": _DESCRIPTIONS[kind],
        "CORE_VERSION": ".".join(__version__.split(".")[:2]),
        "HOOK_API": str(HOOK_API),
    }


def _check_free(target: Path) -> None:
    try:
        is_taken = target.exists() and (not target.is_dir() or any(target.iterdir()))
    except OSError as error:
        raise _unwritable(target, error) from None
    if is_taken:
        raise UsageError(f"{target} is there already", do="choose another place with --directory")


def _text(templates: Traversable, name: str) -> str:
    return templates.joinpath(*name.split("/")).read_text(encoding="utf-8")


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"cannot write {path}", why=error.strerror or str(error))


def _what(kind: str) -> str:
    return "auth provider" if kind == "auth" else "exporter"
