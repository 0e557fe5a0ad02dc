"""What a plugin can be told: options as data, and the values they got.

From one `Option` record the host derives the command-line flag, the environment variable, the keys in YAML and in the
Concourse request, the help and the reference page. A plugin never parses a setting itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ocibuild_core.records import Record
from ocibuild_core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_T = TypeVar("_T")

# As a text: `--help` has no need of pathlib, which takes longer to load than every option to define.
OptionValue: TypeAlias = "str | int | float | bool | Path | Secret | tuple[str, ...]"

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_ENV = re.compile(r"[A-Z][A-Z0-9_]*")


class OptionType(Enum):
    """How an option's text is read, and the Python type of its value."""

    TEXT = "text"
    """`str`, as it was written."""
    INT = "int"
    """`int`, decimal."""
    BOOL = "bool"
    """`bool`, spelled as Go's strconv.ParseBool takes it."""
    PATH = "path"
    """`pathlib.Path`, relative to the current directory; not required to exist."""
    DURATION = "duration"
    """`float` seconds; written `30`, `1.5s`, `250ms`, `2m`, `1h`."""
    LIST = "list"
    """`tuple[str, ...]`: split on commas, trimmed, empty items dropped; the flag may be repeated. A YAML mapping gives
    `key=value` items, one for each value of a list in it."""
    CHOICE = "choice"
    """`str`, one of `choices`, in any case."""
    SECRET = "secret"  # noqa: S105  # the name of a type
    """`Secret`. Takes no value on the command line: environment, `--…-file`, or YAML that names one of them. A plugin
    that reads the file itself has another option for it, of type PATH, named like this one with `-file` behind."""


class Option(Record):
    """One thing that a provider or an exporter can be told.

    Args:
        name: lower case, words joined by `-`; with the provider's name in front it is the flag (`--ecr-region`) and
            the environment variable (`ECR_REGION`).
        help: one line, sentence case, no full stop.
        type: how the text is read.
        choices: for `CHOICE` alone, at least one.
        default: the value when nobody sets it; None means unset.
        env: further environment variables, read after the derived one, in order (`REGION`).
    """

    name: str
    help: str
    type: OptionType = OptionType.TEXT
    choices: tuple[str, ...] = ()
    default: OptionValue | None = None
    env: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"option name {self.name!r}: use lower-case words joined by '-'")
        if not self.help.strip() or "\n" in self.help:
            raise ValueError(f"option {self.name!r}: help is one line of text")
        if (self.type is OptionType.CHOICE) != bool(self.choices):
            raise ValueError(f"option {self.name!r}: choices belong to type CHOICE, and it needs them")
        if self.type is OptionType.SECRET and self.default is not None:
            raise ValueError(f"option {self.name!r}: a secret has no default")
        bad = [name for name in self.env if not _ENV.fullmatch(name)]
        if bad:
            raise ValueError(f"option {self.name!r}: {bad[0]!r} is no environment variable name (A-Z, 0-9, _)")


class OptionValues(Mapping[str, "OptionValue | None"]):
    """The values of one provider's or exporter's options, by option name, with where each came from.

    Every declared option is present; one that nobody set has its default, or None. The typed getters raise `TypeError`
    when the option was declared with another type: a fault of the plugin, not of its user.

    Args:
        values: the value by option name.
        origins: the spelling that set it (`--ecr-region`, `REGION`, `ocibuild.yml: ecr.region`), for those that were
            set.
    """

    __slots__ = ("_origins", "_values")

    def __init__(self, values: Mapping[str, OptionValue | None], origins: Mapping[str, str] | None = None) -> None:
        self._values = dict(values)
        self._origins = dict(origins or {})

    def __getitem__(self, name: str) -> OptionValue | None:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"OptionValues({self._values!r})"

    def origin(self, name: str) -> str | None:
        """The spelling that set this option, or None when its default holds."""
        return self._origins.get(name)

    def text(self, name: str) -> str | None:
        """The value of a TEXT or CHOICE option."""
        return self._typed(name, str)

    def number(self, name: str) -> int | None:
        """The value of an INT option."""
        return self._typed(name, int)

    def flag(self, name: str) -> bool:
        """The value of a BOOL option; unset is False."""
        return bool(self._typed(name, bool))

    def path(self, name: str) -> Path | None:
        """The value of a PATH option."""
        from pathlib import Path  # noqa: PLC0415  # see `OptionValue`

        return self._typed(name, Path)

    def seconds(self, name: str) -> float | None:
        """The value of a DURATION option."""
        return self._typed(name, float)

    def texts(self, name: str) -> tuple[str, ...]:
        """The value of a LIST option; unset is empty."""
        return self._typed(name, tuple) or ()

    def secret(self, name: str) -> Secret | None:
        """The value of a SECRET option."""
        return self._typed(name, Secret)

    def _typed(self, name: str, kind: type[_T]) -> _T | None:
        value = self._values[name]
        if value is None or isinstance(value, kind):
            return value
        raise TypeError(f"option {name!r} holds {type(value).__name__}, not {kind.__name__}")
