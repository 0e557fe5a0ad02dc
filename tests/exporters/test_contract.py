"""The built-in exporters keep the contract that everybody's keep."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from ocibuild_core.exporters.digest import DigestExporter, ManifestDigestExporter
from ocibuild_core.exporters.docker import DockerExporter
from ocibuild_core.exporters.image import ImageExporter
from ocibuild_core.exporters.metadata import MetadataExporter
from ocibuild_core.exporters.oci import OciExporter
from ocibuild_core.exporters.registry import RegistryExporter
from ocibuild_core.exporters.rootfs import RootfsExporter
from ocibuild_core.exporters.trees import LocalExporter, TarExporter
from ocibuild_testkit.contracts import ExporterContract


class TestDocker(ExporterContract):
    @pytest.fixture
    def exporter(self) -> DockerExporter:
        return DockerExporter()


class TestDigest(ExporterContract):
    @pytest.fixture
    def exporter(self) -> DigestExporter:
        return DigestExporter()


class TestDigestOfAnOciArchive(TestDigest):
    output_oci = True


class TestManifestDigest(ExporterContract):
    @pytest.fixture
    def exporter(self) -> ManifestDigestExporter:
        return ManifestDigestExporter()


class TestOci(ExporterContract):
    output_oci = True

    @pytest.fixture
    def exporter(self) -> OciExporter:
        return OciExporter()


class TestMetadata(ExporterContract):
    @pytest.fixture
    def exporter(self) -> MetadataExporter:
        return MetadataExporter()


class TestRootfs(ExporterContract):
    @pytest.fixture
    def exporter(self) -> RootfsExporter:
        return RootfsExporter()


class TestRootfsOfAnOciArchive(TestRootfs):
    output_oci = True


class TestTar(ExporterContract):
    @pytest.fixture
    def exporter(self) -> TarExporter:
        return TarExporter()

    @pytest.fixture
    def options(self, tmp_path: Path) -> Mapping[str, Path]:
        return {"dest": tmp_path / "tree.tar"}


class TestLocal(ExporterContract):
    @pytest.fixture
    def exporter(self) -> LocalExporter:
        return LocalExporter()

    @pytest.fixture
    def options(self, tmp_path: Path) -> Mapping[str, Path]:
        return {"dest": tmp_path / "tree"}


class TestImage(ExporterContract):
    @pytest.fixture
    def exporter(self) -> ImageExporter:
        return ImageExporter()


class TestRegistry(ExporterContract):
    @pytest.fixture
    def exporter(self) -> RegistryExporter:
        return RegistryExporter()

    @pytest.fixture
    def options(self) -> Mapping[str, tuple[str, ...]]:
        return {"name": ("r.example/team/app:1", "s.example/app")}
