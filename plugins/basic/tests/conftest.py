"""Questions to the provider, and keyrings for it to ask."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_basic.provider import BasicProvider

sys.path.insert(0, str(Path(__file__).parent / "support"))

from basic_support import Asker, SecretService, write_back_end  # found there
from basic_support.secret_service import start_secret_service  # found there

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def provider() -> BasicProvider:
    return BasicProvider()


@pytest.fixture
def ask(tmp_path: Path) -> Asker:
    """Questions from a user with a home of his own and nothing else: no keyring can be found there."""
    home = tmp_path / "home"
    home.mkdir()
    return Asker(env={"HOME": str(home), "PATH": os.environ["PATH"]})


@pytest.fixture
def use_back_end(ask: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes the class `Keyring` of a source text the keyring's back end; a base class `FileKeyring` is at hand."""

    def use(source: str) -> None:
        folder = tmp_path / "back_end"
        folder.mkdir()
        monkeypatch.syspath_prepend(folder)
        ask.env["PYTHON_KEYRING_BACKEND"] = write_back_end(folder, source)

    return use


@pytest.fixture
def secret_service(ask: Asker, tmp_path: Path) -> Iterator[SecretService]:
    """A real Secret Service; the environment of `ask` leads to it."""
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    with start_secret_service(ask.env, runtime) as service:
        yield service
