"""Modules know each other in one direction, as docs/design.md has it: also where one is imported late."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "ocibuild_core" / "src" / "ocibuild_core"
PACKAGES = sorted(path.parent for depth in ("*", "*/*", "*/*/*") for path in ROOT.glob(f"{depth}/src/*/__init__.py"))


class Imports(ast.NodeVisitor):
    """What a module imports when it runs; for its types alone it may know anybody."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_If(self, node: ast.If) -> None:
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.names.update(alias.name for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.names.update(f"{node.module}.{alias.name}" for alias in node.names)


def graph_of(package: Path) -> dict[str, set[str]]:
    """The package's modules, and those of them that each imports."""
    paths = {_name(path, package): path for path in package.rglob("*.py")}
    return {name: set(_known(path, paths)) for name, path in paths.items()}


def _name(path: Path, package: Path) -> str:
    return ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")


def _known(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    imports = Imports()
    imports.visit(ast.parse(path.read_text()))
    for name in imports.names:
        module = name if name in modules else name.rpartition(".")[0]
        if module in modules:
            yield module


def test_the_packages_are_found() -> None:
    assert {"ocibuild_basic", "ocibuild_core", "ocibuild_ecr", "ocibuild_gcr", "ocibuild_testkit"} <= {
        package.name for package in PACKAGES
    }


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_no_module_needs_one_that_needs_it(package: Path) -> None:
    TopologicalSorter(graph_of(package)).prepare()  # its error names the circle


def test_a_circle_of_late_imports_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").touch()
    (tmp_path / "one.py").write_text(f"def late():\n    from {tmp_path.name}.two import x\n")
    (tmp_path / "two.py").write_text(f"import {tmp_path.name}.one\n")
    with pytest.raises(CycleError):
        TopologicalSorter(graph_of(tmp_path)).prepare()
    (tmp_path / "two.py").write_text(f"if TYPE_CHECKING:\n    import {tmp_path.name}.one\n")
    TopologicalSorter(graph_of(tmp_path)).prepare()


@pytest.mark.parametrize(
    ("part", "unknown"),
    [
        ("settings", ("auth", "engine", "exporters", "catalog", "loader", "providers")),
        ("auth", ("engine", "exporters", "build", "solving")),
        ("engine", ("auth", "registry", "exporters", "build", "solving")),
        ("exporters", ("auth", "build", "solving")),
    ],
)
def test_a_part_knows_nothing_of_what_the_runner_puts_beside_it(part: str, unknown: tuple[str, ...]) -> None:
    own, others = f"{CORE.name}.{part}", tuple(f"{CORE.name}.{name}" for name in unknown)
    for module, imported in graph_of(CORE).items():
        if f"{module}.".startswith(f"{own}."):
            assert not [name for name in imported if f"{name}.".startswith(tuple(f"{other}." for other in others))], (
                module
            )
