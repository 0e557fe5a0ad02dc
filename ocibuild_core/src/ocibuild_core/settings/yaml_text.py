"""YAML that a person wrote: what it holds, or a UsageError that says where it is none and repeats nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


def parse_values(text: str, *, named: str) -> object:
    """A document's value, scalars as what they stand for. `named` is how messages call the text."""
    import yaml  # 20 ms that only YAML costs

    return _parsed(lambda: yaml.safe_load(text), named)


def parse_texts(text: str, *, named: str) -> object:
    """As `parse_values`, each scalar as it was written: `1.10` stays `1.10`, `yes` stays `yes`."""
    import yaml  # as above

    # BaseLoader resolves no tags: nothing can be constructed.
    return _parsed(lambda: yaml.load(text, Loader=yaml.BaseLoader), named)  # noqa: S506


def _parsed(load: Callable[[], object], named: str) -> object:
    import yaml

    try:
        return load()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UsageError(f"{named}{where}: not YAML") from None
    except RecursionError:
        raise UsageError(f"{named}: not YAML", why="it is nested too deep") from None
    except (ValueError, OverflowError, LookupError, AttributeError):
        # What PyYAML lets through of its constructors (yaml/constructor.py) and of escapes: `2026-13-45`, `!!bool x`.
        why = "it has a date, a number, a tag or an escape that stands for nothing"
        raise UsageError(f"{named}: not YAML", why=why, do="put the value in quotes") from None
