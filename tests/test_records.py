"""Our named tuples are what typing's are, our records what dataclasses are, but for what they cost."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
import typing
from typing import Any

import pytest
from ocibuild_core.records import NamedTuple, Record


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
    wrong: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {}),
        ((), {"size": 1}),
        (("a",), {"name": "b"}),
        (("a",), {"other": 1}),
        (("a", 1, None, 2), {}),
    ]
    for given, named in wrong:
        with pytest.raises(TypeError, match="Ours takes name, size, unknown"):
            Ours(*given, **named)


def test_it_can_be_copied_and_pickled() -> None:
    made = Ours("a", 2)
    assert (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))) == (made, made, made)  # noqa: S301  # our own
    match made:
        case Ours("a", size, None):
            assert size == 2


class Base(Record):
    """Another kind of record."""

    _UNSHOWN = ("env",)

    name: str
    env: dict[str, str] | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("no name")


class Derived(Base):
    """With a field that has no default, behind one that has."""

    size: int


MADE = Derived(name="a", size=1, env={"TOKEN": "hunter2"})


def test_a_record_has_the_fields_of_its_bases_and_defaults() -> None:
    assert (MADE.name, MADE.size, Derived(name="b", size=2).env) == ("a", 1, None)
    assert repr(MADE) == "Derived(name='a', size=1)"
    assert Derived(name="b", size=1) == Derived(size=1, name="b") != Base(name="b")
    assert hash(Derived(name="b", size=1)) == hash(Derived(name="b", size=1))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "a"}, "Derived needs 'size'"),
        ({"name": "a", "size": 1, "other": 1}, "Derived has no 'other'"),
    ],
)
def test_a_record_takes_its_fields_by_name_and_no_others(given: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        Derived(**given)
    with pytest.raises(TypeError):
        Derived("a", 1)  # type: ignore[call-arg, arg-type]
    with pytest.raises(ValueError, match="no name"):
        Derived(name="", size=1)


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="frozen"):
        MADE.size = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match="frozen"):
        del MADE.size
    with pytest.raises(AttributeError):
        MADE.other = 2  # type: ignore[attr-defined]


def test_dataclasses_take_a_record_as_one_of_theirs() -> None:
    assert dataclasses.is_dataclass(MADE)
    assert [field.name for field in dataclasses.fields(Derived)] == ["name", "env", "size"]
    assert dataclasses.replace(MADE, size=2) == Derived(name="a", size=2, env=MADE.env)
    assert dataclasses.asdict(MADE) == {"name": "a", "size": 1, "env": {"TOKEN": "hunter2"}}
    with pytest.raises(ValueError, match="no name"):
        dataclasses.replace(MADE, name="")


def test_a_record_can_be_copied_and_pickled() -> None:
    copies = copy.copy(MADE), copy.deepcopy(MADE), pickle.loads(pickle.dumps(MADE))  # noqa: S301  # our own
    assert copies == (MADE, MADE, MADE)


def test_defining_a_record_loads_no_dataclasses() -> None:
    code = "import ocibuild_core.export_records, ocibuild_core.credentials, sys; print('dataclasses' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
