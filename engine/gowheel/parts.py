"""One tool, compiled: its binary, the legal texts of what is linked into it, and a description."""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gowheel.cache import cache_key, file_digest
from gowheel.ctoolchain import find_package
from gowheel.elf import read_program
from gowheel.errors import WheelError
from gowheel.licenses import LEGAL_FILE, legal_files, licences_of
from gowheel.recipe import NO_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gowheel.ctoolchain import CToolchain
    from gowheel.golang import Go
    from gowheel.recipe import GoModule, Tool
    from gowheel.target import Target

DESCRIPTION = "tool.json"
PACKAGES_FORMAT = "{{if not .Standard}}{{.Dir}}\t{{.Module.Path}}\t{{.Module.Dir}}{{end}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Everything that decides what one tool's binary is."""

    tool: Tool
    module: GoModule
    target: Target
    go_version: str
    c_toolchain: CToolchain | None

    @property
    def name(self) -> str:
        """For people and for the cache."""
        return f"{self.tool.name}-{self.target.goarch}"

    def key(self) -> str:
        """Changes when any input does, this code included."""
        return cache_key(
            {
                "tool": dataclasses.asdict(self.tool),
                "go.mod": self.module.go_mod.decode(),
                "go.sum": self.module.go_sum.decode(),
                "sources": {name: source.decode() for name, source in self.module.sources.items()},
                "target": dataclasses.asdict(self.target),
                "go": self.go_version,
                "c": self.c_toolchain.identity if self.c_toolchain else None,
                "code": {path.name: file_digest(path) for path in sorted(Path(__file__).parent.glob("*.py"))},
            }
        )

    def make(self, directory: Path, *, go: Go, environ: Mapping[str, str]) -> None:
        """Compile into `directory`: bin/, licenses/ and tool.json."""
        binary = directory / "bin" / self.tool.name
        binary.parent.mkdir()
        self._compile(binary, go)
        self._check(binary)
        licenses = directory / "licenses"
        modules = self._collect_modules(go.linked(binary), licenses, go)
        packages = self._collect_packages(licenses, environ)
        description = self._describe(binary) | {"modules": modules, "c_libraries": packages}
        (directory / DESCRIPTION).write_text(json.dumps(description, indent=1), encoding="utf-8")

    @property
    def _settings(self) -> dict[str, str]:
        settings = {
            "GOARCH": self.target.goarch,
            "CGO_ENABLED": str(int(self.tool.cgo)),
            **dict(self.target.go_settings),
        }
        return settings | dict(self.c_toolchain.settings if self.c_toolchain else {})

    def _compile(self, binary: Path, go: Go) -> None:
        ldflags = f"-s -w {self.tool.ldflags.format(version=self.module.version)}"
        if self.tool.cgo:
            ldflags += " -linkmode=external -extldflags=-static"
        flags = ["-trimpath", "-buildvcs=false", f"-tags={','.join(self.tool.tags)}", f"-ldflags={ldflags.strip()}"]
        go.run("build", *flags, "-o", str(binary), self.module.package, cwd=self.module.directory, **self._settings)
        binary.chmod(0o755)

    def _check(self, binary: Path) -> None:
        program = read_program(binary.read_bytes())
        if program.machine != self.target.elf_machine or not program.is_static:
            raise WheelError(f"{self.name}: not a static program for {self.target.machine}: {program}")

    def _describe(self, binary: Path) -> dict[str, Any]:
        return {
            "version": self.module.version.removeprefix("v"),
            "module": self.module.path,
            "package": self.module.package,
            "go": self.go_version,
            "architecture": self.target.goarch,
            "tags": list(self.tool.tags),
            "cgo": self.tool.cgo,
            "size": binary.stat().st_size,
            "sha256": file_digest(binary),
        }

    def _collect_modules(self, linked: tuple[dict[str, str], ...], licenses: Path, go: Go) -> list[dict[str, Any]]:
        legal = self._legal_files(go)
        root = Path(go.run("env", "GOROOT", cwd=self.module.directory).strip())
        standard = {path: root for path in root.iterdir() if LEGAL_FILE.match(path.name) and path.name.isupper()}
        rows = [{"path": "std", "version": self.go_version}]
        # A program of our own has the wheel's licence.
        others = [module for module in linked if module["Version"] != NO_VERSION]
        rows += [{"path": module["Path"], "version": module["Version"], "sum": module["Sum"]} for module in others]
        described = []
        for row in rows:
            name = f"{row['path']}@{row['version']}"
            files = standard if row["path"] == "std" else legal.get(row["path"], {})
            described.append({**row, "licenses": sorted(licences_of(name, files))})
            for path, module_root in files.items():
                _copy(path, licenses / name / path.relative_to(module_root))
        return described

    def _legal_files(self, go: Go) -> dict[str, dict[Path, Path]]:
        """By module: its legal files, each with the module's directory."""
        flags = ("-deps", f"-tags={','.join(self.tool.tags)}", f"-f={PACKAGES_FORMAT}")
        listed = go.run("list", *flags, self.module.package, cwd=self.module.directory, **self._settings)
        found: dict[str, dict[Path, Path]] = {}
        for line in listed.splitlines():
            package, path, root = line.split("\t")
            found.setdefault(path, {}).update(dict.fromkeys(legal_files(Path(package), Path(root)), Path(root)))
        return found

    def _collect_packages(self, licenses: Path, environ: Mapping[str, str]) -> list[dict[str, Any]]:
        described = []
        for library in self.c_toolchain.libraries if self.c_toolchain else ():
            package = find_package(library, environ)
            for text in package.texts:
                _copy(text, licenses / f"debian/{package.name}@{package.version}" / text.name)
            described.append({"package": package.name, "version": package.version, "licenses": list(package.licences)})
        return described


def _copy(source: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, destination)
    # The module cache is read-only, which would end up in the wheel.
    destination.chmod(0o644)
