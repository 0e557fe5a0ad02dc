from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.mapped_root import as_mapped_root


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mounts: as an ordinary user, runs where he is the root of a user namespace")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Wrap what mounts or traces, so that an ordinary user runs it, too."""
    if os.geteuid() != 0:
        items[:] = [_wrap(item) if item.get_closest_marker("mounts") else item for item in items]


def _wrap(item: pytest.Item) -> pytest.Item:
    assert item.parent is not None  # a test is in a module
    return InNamespace.from_parent(item.parent, name=item.name, original=item)


class InNamespace(pytest.Item):
    """A test that is run by another pytest, as root of a user namespace with mounts of its own."""

    def __init__(self, *, original: pytest.Item, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]  # pytest's own
        self._original = original
        self.own_markers = original.own_markers

    def runtest(self) -> None:
        """Run it to its end."""
        pytest_again = (sys.executable, "-m", "pytest", "-q", "--no-header", self._original.nodeid)
        command = as_mapped_root(*pytest_again)
        command[1:1] = ["--mount"]
        ended = subprocess.run(command, cwd=self.config.rootpath, capture_output=True, text=True, check=False)
        if ended.returncode:
            pytest.fail(ended.stdout + ended.stderr, pytrace=False)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Where the test itself is."""
        path, line, name = self._original.reportinfo()
        return path, line, f"{name} (in a namespace)"
