"""`scripts/check_dist.py` finds what is wrong with files that are to be published."""

from __future__ import annotations

import importlib.util
import io
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.fresh_env import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPEC = importlib.util.spec_from_file_location("check_dist", ROOT / "scripts" / "check_dist.py")
assert _SPEC
assert _SPEC.loader
check_dist: Any = importlib.util.module_from_spec(_SPEC)
sys.modules["check_dist"] = check_dist
_SPEC.loader.exec_module(check_dist)

LICENCE = (ROOT / "LICENSE").read_bytes()
METADATA = """\
Metadata-Version: 2.4
Name: ocibuild-core
Version: 0.1.0
Summary: A summary
Author: The authors
License-Expression: Apache-2.0
License-File: LICENSE
Keywords: oci
Requires-Python: >=3.11
{links}{classifiers}{extras}Description-Content-Type: text/markdown

Text with [a link](https://ocibuild.example/page) and [a place](#place).
""".format(
    links="".join(f"Project-URL: {name}, https://x.example\n" for name in sorted(check_dist.LINKS)),
    classifiers="".join(f"Classifier: A :: {number}\n" for number in range(7)),
    extras="".join(
        f"Provides-Extra: {name}\nRequires-Dist: pluggy; extra == '{name}'\n"
        for name in ("ecr", "basic", "gcr", "engine", "all")
    ),
)
FILES: dict[str, bytes] = {"ocibuild_core/py.typed": b"", "ocibuild_core/__init__.py": b""}


def write(
    directory: Path, *, metadata: str = METADATA, files: Mapping[str, bytes] = FILES, licence: bytes = LICENCE
) -> None:
    """A source distribution and a wheel, both of them alike."""
    with zipfile.ZipFile(directory / "ocibuild_core-0.1.0-py3-none-any.whl", "w") as wheel:
        info = "ocibuild_core-0.1.0.dist-info"
        for name, content in {
            **files,
            f"{info}/METADATA": metadata.encode(),
            f"{info}/licenses/LICENSE": licence,
        }.items():
            wheel.writestr(name, content)
    with tarfile.open(directory / "ocibuild_core-0.1.0.tar.gz", "w:gz") as source:
        sources = {f"src/{name}": content for name, content in files.items()}
        for name, content in {**sources, "PKG-INFO": metadata.encode(), "LICENSE": licence}.items():
            member = tarfile.TarInfo(f"ocibuild_core-0.1.0/{name}")
            member.size = len(content)
            source.addfile(member, io.BytesIO(content))


def found(directory: Path, *, wheels: int = 1) -> list[str]:
    wanted = check_dist.Expected(distributions={"ocibuild-core": wheels}, licence=LICENCE)
    return sorted(check_dist.problems([check_dist.read(path) for path in sorted(directory.iterdir())], wanted))


def test_what_is_good_has_no_problem(tmp_path: Path) -> None:
    write(tmp_path)
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"metadata": METADATA.replace("Keywords: oci\n", "")}, "no Keywords in its metadata"),
        ({"metadata": METADATA.replace("Project-URL: Issues", "Project-URL: Bugs")}, "no project URL 'Issues'"),
        ({"metadata": METADATA.replace("Classifier: A", "Unclassified: A")}, "a classifier"),
        ({"metadata": METADATA.replace("text/markdown", "text/plain")}, "is no Markdown"),
        ({"metadata": METADATA.replace("https://ocibuild.example/page", "docs/page.md")}, "an index: docs/page.md"),
        ({"licence": LICENCE + b"\n"}, "LICENSE is not that of the repository"),
        ({"files": {"ocibuild_core/__init__.py": b""}}, "py.typed"),
        ({"files": {**FILES, "ocibuild_core/__pycache__/x.pyc": b""}}, "ocibuild_core/__pycache__/x.pyc"),
    ],
)  # fmt: skip
def test_each_file_is_looked_at(tmp_path: Path, broken: dict[str, Any], says: str) -> None:
    write(tmp_path, **broken)
    problems = found(tmp_path)
    assert [problem.partition(":")[0] for problem in problems] == [
        "ocibuild_core-0.1.0-py3-none-any.whl",
        "ocibuild_core-0.1.0.tar.gz",
    ]
    assert all(says in problem for problem in problems)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("Provides-Extra: gcr\n", "no extra [gcr]"),
        ("Requires-Dist: pluggy; extra == 'all'\n", "the extra [all] needs nothing"),
    ],
)
def test_a_missing_extra_is_said(tmp_path: Path, line: str, says: str) -> None:
    write(tmp_path, metadata=METADATA.replace(line, ""))
    assert [says in problem for problem in found(tmp_path)] == [True]


def test_an_extra_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    need = "Requires-Dist: ocibuild-ecr==0.0.9; extra == 'ecr'\n"
    write(tmp_path, metadata=METADATA.replace("Requires-Dist: pluggy; extra == 'ecr'\n", need))
    assert ["needs ocibuild-ecr==0.0.9" in problem for problem in found(tmp_path)] == [True]


def test_a_missing_wheel_and_a_strange_distribution_are_said(tmp_path: Path) -> None:
    write(tmp_path)
    assert found(tmp_path, wheels=2) == ["ocibuild-core: 1 source distributions and 1 wheels instead of 1 and 2"]
    write(tmp_path, metadata=METADATA.replace("Name: ocibuild-core", "Name: ocibuild-other"))
    assert "ocibuild_core-0.1.0.tar.gz: not of this workspace" in found(tmp_path)


def test_the_workspace_says_what_is_expected() -> None:
    wanted = check_dist.expected(ROOT, architectures=2)
    assert wanted.distributions == {
        "ocibuild-core": 1,
        "ocibuild-ecr": 1,
        "ocibuild-basic": 1,
        "ocibuild-gcr": 1,
        "ocibuild-buildkit": 2,
        "ocibuild-testkit": 1,
        "ocibuild-registry": 2,
    }
