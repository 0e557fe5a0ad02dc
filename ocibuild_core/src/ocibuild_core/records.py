"""Named tuples and dataclasses that cost little to define.

`typing.NamedTuple` compiles each annotation that is text, 20 µs a field, and a constructor for each class, 70 µs: of
some 75 classes with 350 fields that a build defines, twelve milliseconds. The price is that an instance takes 2 µs to
make where theirs takes 0.5; what is made by the thousand is one of theirs. `dataclasses` compiles methods for each
class, up to a millisecond, and loads `inspect`, another seven. To a type checker these are `typing.NamedTuple` itself,
and a frozen dataclass.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import Field
    from typing import Any, ClassVar, NoReturn, Self, dataclass_transform
    from typing import NamedTuple as NamedTuple  # noqa: PLC0414  # handed on

    @dataclass_transform(frozen_default=True, kw_only_default=True)
    class Record:
        """See below."""

        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

else:
    from operator import itemgetter

    class _Tuple(tuple):
        """What all named tuples have in common."""

        __slots__ = ()
        _fields = ()
        _defaults = {}  # noqa: RUF012  # of a class, and read alone

        def __new__(cls, *given: object, **named: object) -> Self:
            if named or len(given) != len(cls._fields):
                left = cls._fields[len(given) :]
                values = cls._defaults | named
                if len(given) > len(cls._fields) or not values.keys() >= set(left) >= named.keys():
                    raise TypeError(f"{cls.__name__} takes {', '.join(cls._fields)}")
                given = (*given, *map(values.__getitem__, left))
            return tuple.__new__(cls, given)

        def __getnewargs__(self) -> tuple[object, ...]:
            return tuple(self)

        def __repr__(self) -> str:
            shown = (f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))
            return f"{type(self).__name__}({', '.join(shown)})"

        def _replace(self, **named: object) -> Self:
            return type(self)(**self._asdict() | named)

        def _asdict(self) -> dict[str, object]:
            return dict(zip(self._fields, self, strict=True))

    class _Definition(type):
        """Makes a named tuple of a class: its annotations are the fields, its values their defaults."""

        def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, namespace)
            fields = tuple(namespace.get("__annotations__", ()))
            defaults = {field: namespace.pop(field) for field in fields if field in namespace}
            places = {field: property(itemgetter(place)) for place, field in enumerate(fields)}
            own = {"__slots__": (), "__match_args__": fields, "_fields": fields, "_defaults": defaults}
            return type(name, (_Tuple,), {**places, **own, **namespace})

    class NamedTuple(metaclass=_Definition):
        """See the module."""

    class _Fields:
        """What `dataclasses` asks a class for, so that its functions take a record: made when one of them is used."""

        def __get__(self, record: object, kind: type) -> dict[str, Any]:
            from dataclasses import field, make_dataclass  # noqa: PLC0415  # see the module

            fields = [
                (name, object, field() if default is _REQUIRED else field(default_factory=lambda value=default: value))
                for name, default in kind._defaults.items()  # noqa: SLF001  # of records alone
            ]
            return make_dataclass(kind.__name__, fields, kw_only=True).__dataclass_fields__

    _REQUIRED = object()

    class _RecordType(type):
        """Makes a slotted class: its annotations are the fields, its values their defaults; a base's come first."""

        def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
            own = namespace.get("__annotations__", {})
            defaults = {field: namespace.pop(field, _REQUIRED) for field in own}
            made = super().__new__(cls, name, bases, {"__slots__": tuple(own), **namespace})
            made._defaults = {**getattr(made, "_defaults", {}), **defaults}
            return made

    class Record(metaclass=_RecordType):
        """A frozen, slotted, keyword-only dataclass; `dataclasses.replace`, `fields` and `asdict` take it as one.

        A subclass names in `_UNSHOWN` the fields that stay out of its `repr`.
        """

        __dataclass_fields__ = _Fields()
        _UNSHOWN = ()

        def __init__(self, **given: object) -> None:
            for name, default in self._defaults.items():
                value = given.pop(name, default)
                if value is _REQUIRED:
                    raise TypeError(f"{type(self).__name__} needs {name!r}")
                object.__setattr__(self, name, value)
            if given:
                raise TypeError(f"{type(self).__name__} has no {next(iter(given))!r}")
            self.__post_init__()

        def __post_init__(self) -> None:
            """Where a subclass refuses values."""

        def _values(self) -> tuple[object, ...]:
            return tuple(getattr(self, name) for name in self._defaults)

        def __eq__(self, other: object) -> bool:
            return self._values() == other._values() if type(other) is type(self) else NotImplemented

        def __hash__(self) -> int:
            return hash(self._values())

        def __repr__(self) -> str:
            shown = (name for name in self._defaults if name not in self._UNSHOWN)
            return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

        def __setattr__(self, name: str, value: object) -> NoReturn:
            raise AttributeError(f"{type(self).__name__} is frozen: {name!r} cannot be set")

        def __delattr__(self, name: str) -> NoReturn:
            raise AttributeError(f"{type(self).__name__} is frozen: {name!r} cannot be deleted")

        def __reduce__(self) -> tuple[object, ...]:
            return _restored, (type(self), dict(zip(self._defaults, self._values(), strict=True)))

    def _restored(kind: type, values: dict[str, object]) -> object:
        """A copy, for `copy` and `pickle`."""
        return kind(**values)
