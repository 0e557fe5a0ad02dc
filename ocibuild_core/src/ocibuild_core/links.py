"""Addresses of the project, as its metadata has them. Loaded for an error message alone."""

from __future__ import annotations

from importlib import metadata

from ocibuild_core import HOST_DISTRIBUTION


def documentation(page: str) -> str:
    """The address of a page of the site."""
    return f"{project_url('Documentation')}{page}.html"


def project_url(label: str) -> str:
    """An address of the project, as its metadata has it; empty where there is none."""
    try:
        rows = metadata.metadata(HOST_DISTRIBUTION).get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        rows = []
    return next((url for name, _, url in (row.partition(", ") for row in rows) if name == label), "")
