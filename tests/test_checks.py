from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ocibuild_core.checks import check_settings
from ocibuild_core.errors import UsageError
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import Environment

if TYPE_CHECKING:
    from pathlib import Path


def refusal(**env: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        check_settings(resolve([Environment(env)]), {})
    return caught.value


def test_a_containerfile_in_place_of_the_dockerfile_is_proposed(tmp_path: Path) -> None:
    (tmp_path / "Containerfile").touch()
    told = refusal(CONTEXT=str(tmp_path))
    assert told.summary == f"there is no {tmp_path}/Dockerfile"
    assert told.do == f"name the one that is there: -f {tmp_path}/Containerfile"
    assert "Containerfile" not in str(refusal(CONTEXT=str(tmp_path), DOCKERFILE=f"{tmp_path}/other"))


@pytest.mark.parametrize("context", ["", "https://r.example/x.git"])
def test_a_directory_in_place_of_the_dockerfile_is_said(context: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").mkdir()
    told = refusal(CONTEXT=context or str(tmp_path), DOCKERFILE=f"{tmp_path}/Dockerfile", BUILDKIT_HOST="tcp://b:1")
    assert told.summary == f"{tmp_path}/Dockerfile is a directory where the Dockerfile is expected"
