"""Our named tuples are what typing's are, but for what they cost."""

from __future__ import annotations

import pickle
import typing

import pytest
from ocibuild_core.records import NamedTuple


class Ours(NamedTuple):
    """A record."""

    name: str
    size: int = 1
    unknown: typing.Optional[Unknown] = None  # type: ignore[name-defined]  # noqa: F821, UP045

    def twice(self) -> int:
        """A method."""
        return 2 * self.size

    @classmethod
    def named(cls, name: str) -> Ours:
        """Another way to make one."""
        return cls(name)

    def __str__(self) -> str:
        return f"<{self.name}>"


def test_it_has_fields_defaults_and_methods() -> None:
    made = Ours.named("a")
    assert (made, made.twice(), str(made)) == (("a", 1, None), 2, "<a>")
    assert repr(made) == "Ours(name='a', size=1, unknown=None)"
    assert made._replace(size=3) == Ours(name="a", size=3)
    assert Ours._fields == ("name", "size", "unknown")
    assert (Ours.__name__, Ours.__module__, Ours.__doc__) == ("Ours", __name__, "A record.")


def test_it_cannot_be_changed_and_wants_what_has_no_default() -> None:
    with pytest.raises(AttributeError):
        Ours("a").name = "b"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Ours()  # type: ignore[call-arg]


def test_it_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(Ours("a", 2))) == Ours("a", 2)  # noqa: S301  # our own
