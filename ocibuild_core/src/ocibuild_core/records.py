"""Named tuples that cost little to define.

`typing.NamedTuple` compiles each annotation that is text, 20 µs a field: of some 250 fields that a start defines, five
milliseconds. To a type checker these are `typing.NamedTuple` itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple  # noqa: PLC0414  # handed on
else:
    from collections import namedtuple

    class _Definition(type):
        """Makes a named tuple of a class: its annotations are the fields, its values their defaults."""

        def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, namespace)
            fields = namespace.get("__annotations__", {})
            defaults = [namespace[field] for field in fields if field in namespace]
            made = namedtuple(name, fields, defaults=defaults, module=namespace["__module__"])  # noqa: PYI024  # see above
            for key, value in namespace.items():
                if key not in fields:
                    setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_Definition):
        """See the module."""
