"""YAML that a person wrote: what it holds, or a UsageError that says where it is none and repeats nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocibuild_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


def parse_values(text: str, *, named: str) -> object:
    """A document's value, scalars as what they stand for, but numbers as they were written.

    A build argument `1.10` is a version, and an account `012345678901` begins with a zero. `named` is how messages call
    the text.
    """
    import yaml  # 20 ms that only YAML costs

    class Loader(yaml.SafeLoader):
        """Leaves to each setting what a number in it means; takes no key twice, of which the last would count."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  # theirs
            found: set[str] = set()
            for key in (key for key, _ in node.value if isinstance(key.value, str)):
                if key.value in found:
                    why = "of two that are the same the first would not count"
                    where = f"line {key.start_mark.line + 1}"
                    raise UsageError(f"{named}, {where}: a key that is there already", why=why, do="leave one out")
                found.add(key.value)
            return super().construct_mapping(node, deep=deep)

    def as_written(construct: Callable[[yaml.SafeLoader, yaml.ScalarNode], object]) -> Callable[..., str]:
        def read(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
            construct(loader, node)  # raises for what is no number
            return str(node.value)

        return read

    Loader.add_constructor("tag:yaml.org,2002:int", as_written(yaml.SafeLoader.construct_yaml_int))
    Loader.add_constructor("tag:yaml.org,2002:float", as_written(yaml.SafeLoader.construct_yaml_float))
    return _parsed(lambda: yaml.load(text, Loader=Loader), named)  # noqa: S506  # it is a SafeLoader


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
