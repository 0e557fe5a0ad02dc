"""The plugin as the host sees it: found by its entry point, light, and within its contract."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import ocibuild_gcr
from fake_google.asking import Asker, option_values
from ocibuild_gcr import GoogleProvider


def test_the_entry_point_names_the_module() -> None:
    (found,) = (point for point in entry_points(group="ocibuild") if point.name == "gcr")
    assert found.load() is ocibuild_gcr
    assert found.dist is not None
    assert found.dist.name == "ocibuild-gcr"


def test_the_hook_returns_one_provider() -> None:
    (provider,) = ocibuild_gcr.ocibuild_auth_providers()
    assert provider.name == "gcr"


def test_nothing_heavy_is_imported_until_somebody_logs_in() -> None:
    script = """
import sys
import ocibuild_gcr

(provider,) = ocibuild_gcr.ocibuild_auth_providers()
provider.match("gcr.io", None)
heavy = ("google", "requests", "urllib3", "cryptography", "ssl", "http.client", "email", "subprocess")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_option_is_in_the_readme() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    for option in GoogleProvider.options:
        assert f"`GCR_{option.name.upper().replace('-', '_')}`" in readme, option.name


def test_no_secret_is_in_a_repr(ask: Asker) -> None:
    options = option_values(ask.provider, {"access_token": "ya29.s3cret-part", "key_json": "s3cret-part"})
    assert "s3cret-part" not in repr(options)
    assert "s3cret-part" not in repr(ask.provider)
