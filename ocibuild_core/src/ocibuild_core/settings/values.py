"""How a setting's text is read. Pure; every function raises ValueError with the reason alone."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    _Items = Callable[[dict[Any, object] | Sequence[object]], tuple[str, ...]]

TOO_LARGE = 2**63
"""BuildKit counts bytes in 63 bits."""
LAYOUT_SCHEME = "oci-layout://"
"""What a named context begins with that is a directory of images, as in docker buildx."""

_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_SIZE = r"(?ai)(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?"
_DURATION = r"(?a)(\d+(?:\.\d+)?)(ms|s|m|h)?"
_LONGEST_HOURS = 7 * 24
"""What every way to wait takes: the kernel's poll(2) counts milliseconds in 31 bits."""
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}

_KINDS = {
    "NoneType": "null",
    "bool": "a boolean",
    "int": "a number",
    "float": "a number",
    "str": "a text",
    "dict": "a mapping",
    "list": "a list",
}


def parse_bool(text: str) -> bool:
    """The spellings of Go's strconv.ParseBool and no others (https://pkg.go.dev/strconv#ParseBool)."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("not a boolean: use true or false")


def parse_duration(text: str) -> float:
    """Seconds, from `30`, `1.5s`, `250ms`, `2m` or `1h`; a week at most."""
    found = re.fullmatch(_DURATION, text.strip())
    if not found:
        raise ValueError("not a duration: use 30s, 500ms, 2m or 1h")
    seconds = float(found[1]) * _SECONDS[found[2]]
    if seconds > _LONGEST_HOURS * _SECONDS["h"]:
        raise ValueError(f"too long: {_LONGEST_HOURS}h at most")
    return seconds


def parse_size(text: str) -> int:
    """Bytes, from `1000`, `512MB`, `10GB` (powers of 1000) or `2GiB` (of 1024)."""
    found = re.fullmatch(_SIZE, text.strip())
    if not found:
        raise ValueError("not a size: use 512MB, 10GB or 2GiB")
    base = 1024 if found[3] else 1000
    size = float(found[1]) * base ** " kmgt".index(found[2].lower() or " ")
    if size >= TOO_LARGE:
        raise ValueError("too large: less than 9223372TB is expected")
    return int(size)


def show_size(count: int) -> str:
    """Bytes as people read them.

    >>> show_size(1500), show_size(4_200_000)
    ('1 kB', '4.2 MB')
    """
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count // 1000} kB"


def split_list(text: str) -> tuple[str, ...]:
    """Items between commas, untrimmed, empty ones kept; `{…}` protects the commas inside.

    The rule of https://github.com/vrischmann/envconfig, which reads the lists of the Concourse task. A text may also be
    a JSON array (`json_items`).
    """
    whole = json_items(text)
    if whole is not None:
        return whole
    items = [""]
    protected = False
    for char in text:
        protected = (protected or char == "{") and char != "}"
        if char == "," and not protected:
            items.append("")
        else:
            items[-1] += char
    return tuple(items)


def json_items(text: str, brackets: str = "[", items: _Items | None = None) -> tuple[str, ...] | None:
    """The items of a JSON array, or with brackets `[{` also those of an object; None for any other text.

    So Concourse hands over a list or a mapping in a task's `params`
    (https://github.com/concourse/concourse/blob/master/atc/task.go, `TaskEnv`).
    """
    if not text.lstrip().startswith(tuple(brackets)):
        return None
    import json  # noqa: PLC0415  # rare, and not on the way to `--help`

    try:
        return (items or items_of)(json.loads(text, parse_int=str, parse_float=str))
    except (ValueError, RecursionError):
        return None


def items_of(value: dict[Any, object] | Sequence[object]) -> tuple[str, ...]:
    """The items of a list, or `key=value` of a mapping; what is nested in them becomes JSON, None an empty text."""
    if isinstance(value, dict):
        return tuple(f"{key}={_item(item)}" for key, item in value.items())
    return tuple(map(_item, value))


def kind_of(value: object) -> str:
    """What a value of JSON or YAML is, in words of its writer and not of Python."""
    name = type(value).__name__
    return _KINDS.get(name, f"a {name}")


def scalar_text(value: object) -> str:
    """The text of a scalar, as one would write it in the environment."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError(f"{kind_of(value)} where a text is expected: put it in quotes")


def _item(value: object) -> str:
    if isinstance(value, dict | list | tuple):
        import json  # noqa: PLC0415  # rare, and not on the way to `--help`

        return json.dumps(value)
    return "" if value is None else scalar_text(value)


def split_mapping(text: str) -> tuple[str, ...]:
    """As `split_list`, where items may be `key=value`: of a JSON object they are."""
    whole = json_items(text, "[{")
    return split_list(text) if whole is None else whole


def split_outputs(text: str) -> tuple[str, ...]:
    """As `split_list`, but `key=value` belongs to the item before it; braces around an item go.

    >>> split_outputs("registry,name=r.example/a:1,digest")
    ('registry,name=r.example/a:1', 'digest')
    """
    whole = json_items(text)
    if whole is not None:
        return whole
    items: list[str] = []
    for item in split_list(text):
        if items and "=" in item and not item.startswith(("{", "type=")):
            items[-1] += f",{item}"
        else:
            items.append(item[1:-1] if item.startswith("{") and item.endswith("}") else item)
    return tuple(items)


def split_pair(text: str) -> tuple[str, str]:
    """`key=value` at the first `=`; the value may hold more of them and may be empty.

    The message of a failure repeats nothing of the text: a build argument may be a secret.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError("an item without '='")
    if not key:
        raise ValueError("an item with nothing before its '='")
    return key, value


def split_go_path(path: str) -> tuple[str, str]:
    """Directory and base name as Go's `filepath.Dir` and `filepath.Base` take them.

    >>> split_go_path("a/b/")
    ('a/b', 'b')
    >>> split_go_path("Dockerfile")
    ('.', 'Dockerfile')
    """
    directory = _clean(path[: path.rfind("/") + 1])
    stripped = path.rstrip("/")
    base = stripped[stripped.rfind("/") + 1 :] if stripped else ("/" if path else ".")
    return directory, base


def _clean(path: str) -> str:
    """Go's `filepath.Clean` (https://pkg.go.dev/path/filepath#Clean)."""
    rooted = path.startswith("/")
    kept: list[str] = []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part == ".." and kept and kept[-1] != "..":
            kept.pop()
        elif part != ".." or not rooted:
            kept.append(part)
    return ("/" if rooted else "") + "/".join(kept) or "."
