"""As much of a terminal as BuildKit's display needs: text, colours, and a cursor that moves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

_TOKEN = re.compile(r"\x1b\[(?P<args>[?0-9;]*)(?P<command>[A-Za-z])|(?P<control>[\r\n\b])|(?P<text>[^\x1b\r\n\b]+)")
_TAB = 8


class Style(NamedTuple):
    """How a character looks: a colour by its number (30 to 37, 90 to 97; 0 is the terminal's own), and its weight."""

    colour: int = 0
    is_bold: bool = False
    is_faint: bool = False


_PLAIN = Style()


class Cell(NamedTuple):
    """One character."""

    character: str = " "
    style: Style = _PLAIN


@dataclass(slots=True, kw_only=True)
class Screen:
    """A screen that is as long as what was written on it.

    Args:
        columns: its width; what goes beyond begins a new line.
    """

    columns: int
    lines: list[list[Cell]] = field(default_factory=lambda: [[]])
    _row: int = 0
    _column: int = 0
    _style: Style = _PLAIN

    def write(self, text: str) -> None:
        """What a program writes to its terminal. Sequences that are not known here change nothing."""
        for token in _TOKEN.finditer(text.expandtabs(_TAB)):
            if token["command"]:
                self._obey(token["command"], token["args"])
            elif token["control"]:
                self._control(token["control"])
            else:
                for character in token["text"]:
                    self._put(character)

    def text(self) -> list[str]:
        """The lines without their looks."""
        return ["".join(cell.character for cell in line).rstrip() for line in self.lines]

    def _control(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\b":
            self._column = max(0, self._column - 1)
        else:
            self._go(self._row + 1)

    def _obey(self, command: str, args: str) -> None:
        numbers = [int(one or 0) for one in args.split(";")] if not args.startswith("?") else []
        count = max(1, numbers[0]) if numbers else 1
        if command == "A":
            self._row = max(0, self._row - count)
        elif command == "B":
            self._go(self._row + count)
        elif command == "C":
            self._column += count
        elif command == "D":
            self._column = max(0, self._column - count)
        elif command == "G":
            self._column = count - 1
        elif command == "K":
            del self.lines[self._row][self._column :]
        elif command == "J":
            del self.lines[self._row][self._column :]
            del self.lines[self._row + 1 :]
        elif command == "m":
            for number in numbers:
                self._style = _styled(self._style, number)

    def _go(self, row: int) -> None:
        self._row = row
        while len(self.lines) <= row:
            self.lines.append([])

    def _put(self, character: str) -> None:
        if self._column >= self.columns:
            self._go(self._row + 1)
            self._column = 0
        line = self.lines[self._row]
        line.extend(Cell() for _ in range(self._column + 1 - len(line)))
        line[self._column] = Cell(character, self._style)
        self._column += 1


def _styled(style: Style, number: int) -> Style:
    """ECMA-48, 8.3.117, with the bright colours that every terminal has."""
    if number == 0:
        return _PLAIN
    if number == 1:
        return style._replace(is_bold=True)
    if number == 2:  # noqa: PLR2004  # "faint" has no better name than its number in the standard
        return style._replace(is_faint=True)
    if number in {*range(30, 38), *range(90, 98)}:
        return style._replace(colour=number)
    return style._replace(colour=0) if number == 39 else style  # noqa: PLR2004  # the default colour
