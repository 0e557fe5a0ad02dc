"""What every provider and every exporter says about itself."""

from __future__ import annotations

import re

from ocibuild_core.plugin import AuthProvider, Exporter, Option

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)


def check_record(record: object, kind: type) -> None:
    """Fail unless `record` is an instance of `kind` with a valid name, summary, aliases and options."""
    assert isinstance(record, kind), f"{type(record).__name__} is no {kind.__name__}"
    assert isinstance(record, AuthProvider | Exporter)
    assert isinstance(record.name, str)
    assert _NAME.fullmatch(record.name), f"name {record.name!r}: use lower-case words joined by '-'"
    assert isinstance(record.summary, str)
    assert record.summary.strip(), "summary is empty: one line for listings"
    assert record.summary.isprintable(), "summary is one line of text"
    assert isinstance(record.options, tuple), "options is a tuple"
    assert all(isinstance(option, Option) for option in record.options), "options holds Option records"
    names = [option.name for option in record.options]
    assert len(names) == len(set(names)), "two options have one name"
    if isinstance(record, AuthProvider):
        _check_aliases(record)


def _check_aliases(provider: AuthProvider) -> None:
    assert isinstance(provider.aliases, tuple), "aliases is a tuple"
    for alias in provider.aliases:
        assert isinstance(alias, str)
        assert _NAME.fullmatch(alias), f"alias {alias!r}: use lower-case words joined by '-'"
        assert alias != provider.name, f"alias {alias!r} is the name itself"
