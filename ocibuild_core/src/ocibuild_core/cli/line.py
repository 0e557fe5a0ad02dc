"""What a command line of `build` says. A plain one is understood here, without click and without loading a plugin."""

from __future__ import annotations

from types import MappingProxyType

from ocibuild_core.records import NamedTuple
from ocibuild_core.settings.fields import REPEATED, Field, Kind
from ocibuild_core.settings.table import FIELDS
from ocibuild_core.settings.values import parse_bool
from ocibuild_core.terminal import NORMAL, QUIET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_VERBOSE = ("--verbose", "-v")
_QUIET = ("--quiet", "-q")
_PRINT, _JSON = "--print", "--json"
COMPLETION = "_BUILD_COMPLETE"
"""With this variable click completes a command line for the shell in place of running it."""


class Line(NamedTuple):
    """A command line.

    Args:
        values: the fields of the table that were given, by name.
        options: what was said about options of plugins, by spelling (`OptionSources.cli`).
        talk: how much we say (`Talk`).
        explain: nothing is to be built: `text` or `json` prints who logs in where in that form.
        show: nothing either: the same for settings and command.
    """

    values: Mapping[str, object]
    options: Mapping[str, Sequence[str]] = MappingProxyType({})
    talk: int = NORMAL
    explain: str = ""
    show: str = ""


def read_plain_line(argv: Sequence[str], env: Mapping[str, str]) -> Line | None:
    """The command line, as click understands it; None when it is not plain.

    Plain are the flags of the table, each with its value behind it or a `=` (`--target x`, `--target=x`, `-f x`), those
    about talk, those that print in place of building, and one argument. Everything else is left to click: what may be a
    plugin's flag, a request for help, a mistake.
    """
    if COMPLETION in env:
        return None
    by_flag = {flag: field for field in FIELDS for flag in field.flags}
    values: dict[str, object] = {}
    talk = dict.fromkeys((*_VERBOSE, *_QUIET, _PRINT, _JSON), 0)
    words = list(reversed(argv))
    while words:
        word = words.pop()
        if word in talk:
            talk[word] += 1
        elif not word.startswith("-"):
            if "context" in values:
                return None
            values["context"] = word
        elif not _take_flag(word, words, by_flag, values):
            return None
    if talk[_JSON] and not talk[_PRINT]:
        return None
    is_quiet = any(talk[word] for word in _QUIET)
    return Line(
        values,
        talk=QUIET if is_quiet else NORMAL + sum(talk[word] for word in _VERBOSE),
        show=("json" if talk[_JSON] else "text") if talk[_PRINT] else "",
    )


def flag_value(text: str) -> bool | None:
    """What `--pull=TEXT` says, as in docker; None when that is nothing."""
    try:
        return parse_bool(text)
    except ValueError:
        return None


def _take_flag(word: str, words: list[str], by_flag: Mapping[str, Field], values: dict[str, object]) -> bool:
    """Take a flag, and its value from `words` if it stands there; False when they are not plain."""
    flag, equals, value = word.partition("=")
    field = by_flag.get(flag)
    if field and field.kind is Kind.BOOL:
        values[field.name] = said = flag_value(value) if equals else True
        return said is not None
    if (field is None and flag != "--config") or (equals and not flag.startswith("--")):
        return False
    if not equals:
        value = words.pop() if words else "-"
        if value.startswith("-"):
            return False
    if field:
        before = values.get(field.name)
        repeated = (*before, value) if isinstance(before, tuple) else (value,)
        values[field.name] = repeated if field.kind in REPEATED else value
    return True
