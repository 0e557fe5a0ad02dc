from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from ocibuild_core.errors import ExportError
from ocibuild_core.exporters.archive import config_digest, manifest_digest
from ocibuild_core.exporters.files import write_text


def archive(path: Path, **files: object) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            raw = json.dumps(content).encode()
            info = tarfile.TarInfo(name.replace("__", "."))
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    return path


def test_the_manifest_names_the_configuration_by_its_digest(tmp_path: Path) -> None:
    made = archive(tmp_path / "a.tar", manifest__json=[{"Config": "blobs/sha256/abc"}])
    assert config_digest(made) == "sha256:abc"


@pytest.mark.parametrize("manifest", [[], {}, [{}], [{"Config": "abc.json"}], [{"Config": "blobs/sha256/"}], "x"])
def test_another_form_is_an_error_that_names_the_file(tmp_path: Path, manifest: object) -> None:
    with pytest.raises(ExportError, match=r"digest from a\.tar"):
        config_digest(archive(tmp_path / "a.tar", manifest__json=manifest))


def test_what_is_no_archive_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_text("no archive")
    with pytest.raises(ExportError, match=r"digest from a\.tar"):
        config_digest(tmp_path / "a.tar")


def test_the_index_names_the_manifest(tmp_path: Path) -> None:
    made = archive(tmp_path / "a.tar", index__json={"manifests": [{"digest": "sha256:abc"}, {"digest": "sha256:def"}]})
    assert manifest_digest(made) == "sha256:abc"


@pytest.mark.parametrize(
    "index", [{}, {"manifests": []}, {"manifests": [{"digest": 1}]}, {"manifests": [{"digest": "x"}]}]
)
def test_another_index_is_an_error_that_names_the_file(tmp_path: Path, index: object) -> None:
    with pytest.raises(ExportError, match=r"digest from a\.tar"):
        manifest_digest(archive(tmp_path / "a.tar", index__json=index))


def test_a_file_that_cannot_be_written_is_an_export_error(tmp_path: Path) -> None:
    (tmp_path / "digest").symlink_to("/dev/full")
    with pytest.raises(ExportError, match="cannot write digest") as caught:
        write_text(tmp_path / "digest", "sha256:abc")
    assert caught.value.why == "No space left on device"
