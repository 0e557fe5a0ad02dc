"""A value that never shows itself: passwords, tokens, keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from typing import SupportsIndex

MASK = "********"
MAX_SECRET_BYTES = 64 * 1024
"""The longest secret that is handed on; ECR passwords and key files stay far below."""


class Secret:
    """A secret text, masked wherever it is printed and refused wherever it would be stored.

    `repr`, `str` and `format` give a mask of fixed length; `json`, `pickle`, `copy` and `dataclasses.asdict` raise
    `TypeError`. `reveal()` is the one way to the value, so that `grep reveal` finds every place that handles it.

        >>> password = Secret("hunter2")
        >>> f"{password} {password!r}"
        "******** Secret('********')"
        >>> password.reveal()
        'hunter2'

    A secret is true when it is not empty. Two are equal when their values are.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            # Says the type alone: the value may be the secret in another dress (bytes, a mapping).
            raise TypeError(f"a Secret holds a str, not {type(value).__name__}")
        self._value = value

    def reveal(self) -> str:
        """The value itself. Hand it on at once; keep no copy."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return self._value == other._value if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a Secret is never copied or stored; call reveal() where it is used")

    def __deepcopy__(self, memo: object) -> NoReturn:
        self.__reduce_ex__(0)
