r"""Words of a Dockerfile as BuildKit reads them: variables and quotes in them, and the flags before them.

Source: moby/buildkit, frontend/dockerfile/shell/lex.go and frontend/dockerfile/parser/split_command.go. The escape is
taken for `\`, whatever the file's directive says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = r"\d+|[@*#?\-$!]|\w*"
_FLAG = r"--((?:[^\s\"'\\]|\\.|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')*)\s*"
_QUOTED = r"\\(.)|\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'"
_LONGEST = 1000
"""Characters of a value that a pattern is held against. No reference of an image is longer."""


def split_flags(text: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """The flags that an instruction begins with, as names and values without quotes, and the rest."""
    if not text.startswith("--"):
        return (), text
    flags, position = [], 0
    while found := re.compile(_FLAG).match(text, position):
        name, _, value = re.sub(_QUOTED, _unquoted, found[1]).partition("=")
        position = found.end()
        if not name:
            break  # `--` ends them
        flags.append((name, value))
    return tuple(flags), text[position:]


def _unquoted(found: re.Match[str]) -> str:
    return found[1] or re.sub(r"\\(.)", r"\1", found[2] or found[3] or "")


def expand(text: str, variables: Mapping[str, str]) -> str | None:
    """A word without its quotes, and with the values of its variables; one that is not set is empty, as in a shell.

    None when the text is malformed, asks for an unset variable (`${NAME:?}`), or is more than is worth to know.
    """
    try:
        return _Word(text, variables).until("")
    except (_UnknownError, RecursionError):
        return None


class _UnknownError(Exception):
    pass


class _Word:
    """A text that is read once, from its beginning."""

    def __init__(self, text: str, variables: Mapping[str, str]) -> None:
        self._text = text
        self._at = 0
        self._variables = variables

    def until(self, stop: str, escape: str = "") -> str:
        """What comes before `stop`, expanded; `escape` stays before what was escaped. Empty `stop`: to the end."""
        found: list[str] = []
        while char := self._next():
            if char == stop:
                return "".join(found)
            if char == "\\":
                found.append(escape + self._next())
            elif char == "'":
                found.append(self._single_quoted())
            elif char == '"':
                found.append(self._double_quoted(escape))
            else:
                found.append(self._dollar() if char == "$" else char)
        if stop:
            raise _UnknownError
        return "".join(found)

    def _next(self) -> str:
        char = self._text[self._at : self._at + 1]
        self._at += 1
        return char

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._at)
        if end < 0:
            raise _UnknownError
        quoted, self._at = self._text[self._at : end], end + 1
        return quoted

    def _double_quoted(self, escape: str) -> str:
        found = []
        while (char := self._next()) != '"':
            if not char:
                raise _UnknownError
            if char == "\\":
                following = self._text[self._at : self._at + 1]
                found.append(escape + self._next() if following in ('"', "$", "\\") else char)
            else:
                found.append(self._dollar() if char == "$" else char)
        return "".join(found)

    def _dollar(self) -> str:
        if self._text[self._at : self._at + 1] != "{":
            name = self._name()
            return self._variables.get(name, "") if name else "$"
        self._at += 1
        name = self._name()
        value = self._variables.get(name)
        operator = self._next() if name else ""
        if operator == ":":
            value = value or None
            operator += self._next()
        if operator == "}":
            return value or ""
        if operator in ("-", ":-", "+", ":+", "?", ":?"):
            return _chosen(operator[-1], value, self.until("}"))
        if operator in ("#", "%"):
            return _trimmed(operator, value or "", self.until("}", "\\"))
        if operator == "/":
            return self._replaced(value or "")
        raise _UnknownError

    def _name(self) -> str:
        found = re.compile(_NAME).match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found[0] if found else ""

    def _replaced(self, value: str) -> str:
        count = 1
        if self._text[self._at : self._at + 1] == "/":
            self._at, count = self._at + 1, 0
        pattern = _regex(self.until("/", "\\"), value, star=".*")
        replacement = self.until("}", "\\")
        return pattern.sub(lambda _: replacement, value, count=count)


def _chosen(operator: str, value: str | None, word: str) -> str:
    if operator == "-":
        return word if value is None else value
    if operator == "+":
        return "" if value is None else word
    if value is None:
        raise _UnknownError
    return value


def _trimmed(operator: str, value: str, pattern: str) -> str:
    """Without what the pattern matches at the beginning (`#`) or the end (`%`); doubled, as much as it can."""
    star = ".*?"
    if pattern.startswith(operator):
        pattern, star = pattern[1:], ".*"
    if operator == "#":
        return _regex(pattern, value, star=star, begin="^").sub("", value, count=1)
    # Backwards, for the shortest match at the end.
    pattern = "".join(reversed(re.findall(r"\\.|.", pattern)))
    return _regex(pattern, value[::-1], star=star, begin="^").sub("", value[::-1], count=1)[::-1]


def _regex(pattern: str, value: str, *, star: str, begin: str = "") -> re.Pattern[str]:
    """A shell's pattern. With several stars it could take for ever, so such ones are not known."""
    if pattern.count("*") > 1 or len(value) > _LONGEST:
        raise _UnknownError
    tokens = re.findall(r"\\.|.", pattern)
    return re.compile(begin + "".join({"*": star, "?": "."}.get(each, re.escape(each[-1])) for each in tokens))
