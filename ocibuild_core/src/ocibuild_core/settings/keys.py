"""The keys of a file of settings: what there may be at its top level, and a message for what may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.errors import UsageError
from ocibuild_core.settings.fields import Kind
from ocibuild_core.settings.table import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocibuild_core.settings.documents import SettingsFile
    from ocibuild_core.settings.fields import Field

SECTIONS = {
    "registries": "Auth provider of each registry, by host pattern.",
    "credential-store": "Auth provider that `ocibuild login` writes to.",
    "plugins": "Which plugins may be loaded: `allow` and `block`.",
    "auth": "Options of auth providers, by the provider's name.",
    "exporters": "Options of exporters, by the exporter's name.",
}
"""Keys besides those of the table."""


def yaml_fields() -> Iterator[tuple[str, Field]]:
    """Each field that a file may set, with its key. The text of a secret is not written into a file."""
    return ((field.name.replace("_", "-"), field) for field in FIELDS if field.kind is not Kind.NAMED)


def unknown_keys(file: SettingsFile) -> list[UsageError]:
    """One error for each key that nothing reads."""
    known = {key for key, _ in yaml_fields()} | SECTIONS.keys()
    unknown = [str(key) for key in file.values if key not in known]
    if not unknown:
        return []
    from ocibuild_core.links import documentation  # noqa: PLC0415  # only for a message
    from ocibuild_core.suggest import did_you_mean, near_name  # noqa: PLC0415

    by_flag = {flag.removeprefix("--"): key for key, field in yaml_fields() for flag in field.flags}
    errors = []
    for key in unknown:
        meant = by_flag.get(key) or near_name(key, sorted(known))
        do = f"see {documentation('params')} for all keys"
        errors.append(UsageError(f"{file.name}: unknown key {key!r}{did_you_mean(meant)}", do=do))
    return errors
