"""Back ends of keyring, for what no real one does on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# It keeps everything in a file of the home directory, where a test sees what was written.
_BASE = """
import json, os, pathlib, subprocess, sys, time
from keyring.backend import KeyringBackend
from keyring.credentials import SimpleCredential
from keyring.errors import KeyringLocked, PasswordDeleteError

class FileKeyring(KeyringBackend):
    priority = 1

    @property
    def path(self):
        return pathlib.Path(os.environ["HOME"], "passwords.json")

    def load(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def get_password(self, service, username):
        return self.load().get(f"{service} {username}")

    def set_password(self, service, username, password):
        self.path.write_text(json.dumps({**self.load(), f"{service} {username}": password}))

    def delete_password(self, service, username):
        kept = self.load()
        if kept.pop(f"{service} {username}", None) is None:
            raise PasswordDeleteError("not there")
        self.path.write_text(json.dumps(kept))

"""


def write_back_end(folder: Path, source: str) -> str:
    """Write a module whose class `Keyring` is the back end; returns its name for PYTHON_KEYRING_BACKEND."""
    (folder / "of_the_tests.py").write_text(_BASE + source)
    return "of_the_tests.Keyring"
