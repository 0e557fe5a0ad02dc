from __future__ import annotations

from pathlib import Path

import pytest
from ocibuild_core.errors import ExportError
from ocibuild_core.exporters.oci import _refuse_foreign


def test_a_directory_with_something_else_in_it_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ExportError, match="holds no OCI layout"):
        _refuse_foreign(tmp_path)


def test_an_older_layout_an_empty_directory_and_none_may_be_replaced(tmp_path: Path) -> None:
    _refuse_foreign(tmp_path)
    _refuse_foreign(tmp_path / "none")
    (tmp_path / "oci-layout").write_text("{}")
    _refuse_foreign(tmp_path)
