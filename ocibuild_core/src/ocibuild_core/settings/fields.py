"""What one row of the table of settings says.

Here and in the other modules that every start loads, records are named tuples: to define a frozen dataclass takes eight
times as long, and `dataclasses` itself longer than all of these modules.
"""

from __future__ import annotations

from enum import Enum

from ocibuild_core.records import NamedTuple


class Kind(Enum):
    """What a field's value is."""

    TEXT = "text"
    PATH = "path"
    BOOL = "bool"
    LIST = "list"
    ITEMS = "items"
    """Like LIST, but a text is one item, with all its commas."""
    OUTPUTS = "outputs"
    """Like LIST, but `key=value` belongs to the item before it."""
    PAIRS = "pairs"
    NAMED = "named"
    """PAIRS whose value is the name of the variable that holds it: for secrets, which nothing of ours repeats."""
    DURATION = "duration"
    SIZE = "size"
    CHOICE = "choice"
    ATTRIBUTES = "attributes"
    """TEXT that may be true or false, or `key=value` and more of them."""


LISTS = (Kind.LIST, Kind.ITEMS, Kind.OUTPUTS)
"""What is a list where a list can be written."""

REPEATED = (*LISTS, Kind.PAIRS)
"""What a flag may be given several times for."""


class Scope(Enum):
    """Who may set a field besides the command line and the environment."""

    BUILD = "build"
    """Also a request and an `ocibuild.yml` that lies beside the sources."""
    HOST = "host"
    """Not what comes with the sources: it decides what runs here and who logs in."""


class Field(NamedTuple):
    """One setting.

    Args:
        name: the attribute of `BuildSettings`; with `-` for `_` it is the YAML key.
        help: one line for `--help`.
        group: the heading in `--help`.
        flags: the command-line spellings, the long one first; none when it has no flag.
        env: the environment spellings; the first that is not empty wins.
        prefix: PAIRS alone: environment variables that begin so are one pair each.
        request: the key in the Concourse task's request; empty when it has none.
        metavar: what stands for the value in `--help`.
        is_name_enough: PAIRS alone: a flag's `NAME` means the value that the environment has for it.
        is_value_optional: PAIRS alone: a flag's `NAME` means an empty value.
        default: what holds when nobody sets it.
    """

    name: str
    help: str
    group: str
    kind: Kind = Kind.TEXT
    scope: Scope = Scope.BUILD
    flags: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    prefix: str = ""
    request: str = ""
    metavar: str = ""
    choices: tuple[str, ...] = ()
    default: object = None
    is_name_enough: bool = False
    is_value_optional: bool = False


def four_spellings(name: str) -> tuple[str, ...]:
    """`TARGETFILE`, `TARGET_FILE`, `target_file`, `targetfile`: those that the Concourse task's config loader tries.

    Its order is that of https://github.com/vrischmann/envconfig; a one-word name gives two spellings.
    """
    joined = name.replace("_", "")
    return tuple(dict.fromkeys((joined, name, name.lower(), joined.lower())))


def default_text(field: Field) -> str:
    """The default as one would write it; empty when nothing is said by it."""
    if field.default in (None, (), False):
        return ""
    if field.kind is Kind.SIZE and isinstance(field.default, int):
        return f"{field.default // 10**9}GB"
    return f"{field.default:g}s" if isinstance(field.default, float) else str(field.default)


SOURCE = "What to build"
INPUT = "What the build may use"
OUTPUT = "What comes out"
LOGIN = "Logins"
ENGINE = "Engine"
DISPLAY = "Display"
RARE = "Seldom needed"

GROUPS = (SOURCE, INPUT, OUTPUT, LOGIN, ENGINE, DISPLAY, RARE)
