"""From what the user said to the values of a provider's or an exporter's options, each with its origin."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO

from ocibuild_core.errors import OcibuildError, UsageError, raise_all
from ocibuild_core.option_text import parse_document, parse_list, parse_text, refuse_wrong_type
from ocibuild_core.options import OptionType, OptionValues
from ocibuild_core.records import NamedTuple
from ocibuild_core.secret import MAX_SECRET_BYTES, Secret
from ocibuild_core.spellings import spell, spelt

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from ocibuild_core.options import Option, OptionValue
    from ocibuild_core.spellings import Owner, OwnerKind, Spellings

STDIN = "-"
REQUEST = "request"
_LONGEST_SHOWN = 60


class Document(NamedTuple):
    """A parsed file of settings.

    Args:
        name: how messages call it (`ocibuild.yml`).
        values: its top level; the sections `auth` and `exporters` are read.
    """

    name: str
    values: Mapping[str, object]


class StdinOnce:
    """Standard input as the file of one secret: whoever comes second is told so.

    Args:
        stream: the bytes; `sys.stdin.buffer`.
        taken_by: who else reads it already (the request, a Dockerfile); empty when nobody does.
    """

    def __init__(self, stream: BinaryIO, taken_by: str = "") -> None:
        self._stream = stream
        self._taken_by = taken_by

    def read(self, asked_by: str, limit: int) -> bytes:
        """At most `limit` bytes, for the spelling that asked; raises `UsageError` the second time."""
        return self.take(asked_by).read(limit)

    def take(self, asked_by: str) -> BinaryIO:
        """The stream itself, for the spelling that asked; raises `UsageError` the second time."""
        if self._taken_by:
            raise UsageError(f"{asked_by}: stdin is already read by {self._taken_by}", do="put one of them in a file")
        self._taken_by = asked_by
        return self._stream


class OptionSources(NamedTuple):
    """Everything that a user said about options, wherever he said it; the first of the four that has a value wins.

    Args:
        cli: what was given on the command line, by `Spellings.cli`, `cli_off` or `cli_file`, in order.
        request: the `config` of the request on stdin; keys in any case.
        env: the environment; an empty variable counts as unset.
        yaml: files of settings, highest precedence first.
        stdin: where `--…-file -` reads from; None refuses it.
    """

    cli: Mapping[str, Sequence[str]] = MappingProxyType({})
    request: Mapping[str, object] = MappingProxyType({})
    env: Mapping[str, str] = MappingProxyType({})
    yaml: Sequence[Document] = ()
    stdin: StdinOnce | None = None


class _Given(NamedTuple):
    """One thing that the user said: the spelling, and how to get the value."""

    origin: str
    read: Callable[[], OptionValue]


def collect_options(owner: Owner, sources: OptionSources) -> OptionValues:
    """The values of all options of `owner`.

    Raises `UsageError`, naming the spelling that the user used: a value is malformed, a file cannot be read, a key
    is unknown. Several are reported together.
    """
    values: dict[str, OptionValue | None] = {}
    origins: dict[str, str] = {}
    errors: list[OcibuildError] = list(unknown_options(owner, sources))
    for option in owner.options:
        try:
            values[option.name], origin = collect_option(owner, option, sources)
        except UsageError as error:
            errors.append(error)
            continue
        if origin:
            origins[option.name] = origin
    raise_all(errors)
    return OptionValues(values, origins)


def collect_option(owner: Owner, option: Option, sources: OptionSources) -> tuple[OptionValue | None, str]:
    """The value of one option and the spelling that set it, empty for the default. Raises `UsageError`."""
    given = next(_given(option, spell(owner, option), sources), None)
    return (given.read(), given.origin) if given else (option.default, "")


def exporter_attributes(owner: Owner, attributes: Sequence[tuple[str, str]]) -> Mapping[str, Sequence[str]]:
    """What `--output NAME,key=value,…` says, as `OptionSources.cli` takes it; raises `UsageError` on an unknown key."""
    by_key = {
        spelling.rpartition(",")[2]: spelling
        for option in owner.options
        for spelling in (spell(owner, option).cli, spell(owner, option).cli_file)
        if spelling
    }
    given: dict[str, list[str]] = {}
    for key, value in attributes:
        if key not in by_key:
            raise _unknown_key(f"--output {owner.name}", key, list(by_key))
        given.setdefault(by_key[key], []).append(value)
    return given


def _given(option: Option, spellings: Spellings, sources: OptionSources) -> Iterator[_Given]:
    """What was said about one option, highest precedence first."""
    yield from _on_command_line(option, spellings, sources)
    yield from _in_request(option, spellings, sources)
    yield from _in_environment(option, spellings, sources)
    yield from _in_yaml(option, spellings, sources)


def _on_command_line(option: Option, spellings: Spellings, sources: OptionSources) -> Iterator[_Given]:
    texts = _said(sources, spellings.cli)
    if texts and option.type is OptionType.LIST:
        yield _Given(origin=spellings.cli, read=lambda: parse_list(texts))
    elif texts:
        yield _text(option, spellings.cli, texts[-1])
    if _said(sources, spellings.cli_off):
        yield _Given(origin=spellings.cli_off, read=lambda: False)
    files = _said(sources, spellings.cli_file)
    if files:
        yield _file(spellings.cli_file, files[-1], sources)


def _said(sources: OptionSources, spelling: str) -> list[str]:
    return [text for text in sources.cli.get(spelling, ()) if text] if spelling else []


def _in_environment(option: Option, spellings: Spellings, sources: OptionSources) -> Iterator[_Given]:
    for name in spellings.env:
        if text := sources.env.get(name):
            yield _text(option, name, text)
    if spellings.env_file and (file := sources.env.get(spellings.env_file)):
        yield _file(spellings.env_file, file, sources)


def _in_request(option: Option, spellings: Spellings, sources: OptionSources) -> Iterator[_Given]:
    for key, value in _requested(spellings, sources):
        origin = f"{REQUEST}: {key}"
        if wrong := _wrong_type(option, key, value):
            yield _Given(origin=origin, read=partial(_raise, wrong))
        elif key in spellings.json:
            yield _document(option, origin, value)
        else:
            yield _file(origin, str(value), sources)


def wrong_types(owner: Owner, sources: OptionSources) -> Iterator[UsageError]:
    """One error for each value in the request that is not of its option's type."""
    for option, spellings in spelt(owner):
        for key, value in _requested(spellings, sources):
            if wrong := _wrong_type(option, key, value):
                yield wrong


def _requested(spellings: Spellings, sources: OptionSources) -> Iterator[tuple[str, object]]:
    """What the request has of an option: key, in lower case, and value."""
    lowered = {key.lower(): value for key, value in sources.request.items()}
    keys = (*spellings.json, spellings.env_file.lower())
    return ((key, lowered[key]) for key in keys if not _is_empty(lowered.get(key)))


def _wrong_type(option: Option, key: str, value: object) -> UsageError | None:
    try:
        refuse_wrong_type(option, value)
    except ValueError as error:
        return UsageError(f"{REQUEST}: {key}: {error}")
    return None


def _raise(error: UsageError) -> OptionValue:
    raise error


def _in_yaml(option: Option, spellings: Spellings, sources: OptionSources) -> Iterator[_Given]:
    for document in sources.yaml:
        value: object = document.values
        for key in spellings.yaml:
            value = value.get(key) if isinstance(value, dict) else None
        if _is_empty(value):
            continue
        origin = f"{document.name}: {'.'.join(spellings.yaml)}"
        if option.type is OptionType.SECRET:
            yield _referred(origin, value, sources)
        else:
            yield _document(option, origin, value)


def _is_empty(value: object) -> bool:
    return value is None or value == ""


def _text(option: Option, origin: str, text: str) -> _Given:
    def read() -> OptionValue:
        try:
            return parse_text(option, text)
        except ValueError as error:
            raise UsageError(f"{origin}={_shown(text)}: {error}") from None

    return _Given(origin=origin, read=read)


def _document(option: Option, origin: str, value: object) -> _Given:
    def read() -> OptionValue:
        try:
            return parse_document(option, value)
        except ValueError as error:
            shown = f"={_shown(value)}" if isinstance(value, str) else ""
            raise UsageError(f"{origin}{shown}: {error}") from None

    return _Given(origin=origin, read=read)


def _file(origin: str, name: str, sources: OptionSources) -> _Given:
    return _Given(origin=origin, read=lambda: _secret_from_file(origin, name, sources))


def _referred(origin: str, value: object, sources: OptionSources) -> _Given:
    return _Given(origin=origin, read=lambda: _reference(origin, value, sources))


def _reference(origin: str, value: object, sources: OptionSources) -> OptionValue:
    """A secret in a file of settings is named, not written: `{env: NAME}` or `{file: PATH}`."""
    if isinstance(value, dict) and len(value) == 1:
        ((kind, name),) = value.items()
        if kind == "file" and isinstance(name, str) and name:
            return _secret_from_file(origin, name, sources)
        if kind == "env" and isinstance(name, str) and name:
            return _secret_from_variable(origin, name, sources)
    raise UsageError(
        f"{origin}: a secret is not written into a file of settings",
        do="name where it is: {env: NAME} or {file: PATH}",
    )


def _secret_from_variable(origin: str, name: str, sources: OptionSources) -> Secret:
    if not sources.env.get(name):
        raise UsageError(f"{origin}: the environment variable {name} is not set")
    return Secret(sources.env[name])


def _secret_from_file(origin: str, name: str, sources: OptionSources) -> Secret:
    content = _read_stdin(origin, sources) if name == STDIN else _read_file(origin, name)
    # One line break at the end belongs to the file: editors and `echo` leave it.
    secret = content.removesuffix(b"\r\n") if content.endswith(b"\r\n") else content.removesuffix(b"\n")
    called = "stdin" if name == STDIN else name
    if not secret:
        raise UsageError(f"{origin}: {called} is empty")
    if len(secret) > MAX_SECRET_BYTES:
        raise UsageError(f"{origin}: {called} holds more than {MAX_SECRET_BYTES} bytes", do="name the right file")
    return Secret(secret.decode("utf-8", "surrogateescape"))


def _read_stdin(origin: str, sources: OptionSources) -> bytes:
    if sources.stdin is None:
        raise UsageError(f"{origin}: stdin cannot be read here", do="name a file")
    return sources.stdin.read(origin, MAX_SECRET_BYTES + 3)


def _read_file(origin: str, name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return file.read(MAX_SECRET_BYTES + 3)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not a path"
        # Not what was given as its name: that may be the secret itself, given in the wrong place.
        raise UsageError(f"{origin}: the file cannot be read", why=reason, do="give the path of a file") from None


def misspelt_owners(kind: OwnerKind, known: Collection[str], sources: OptionSources) -> Iterator[UsageError]:
    """One error for each name in a section of a file that is nearly one of the `known`; others may not be installed."""
    for document in sources.yaml:
        section = document.values.get(kind.value)
        for name in map(str, section if isinstance(section, dict) else ()):
            from ocibuild_core.suggest import near_name  # noqa: PLC0415  # only where a file has such a section

            if name not in known and (meant := near_name(name, known)):
                summary = f"{document.name}: {kind.value}.{name}: there is no {kind.name.lower()} {name!r}"
                yield UsageError(summary, do=f"did you mean {meant!r}? If not, take it out")


def unknown_options(owner: Owner, sources: OptionSources) -> Iterator[UsageError]:
    """One error for each option in the owner's section of a file that it does not have."""
    known = [option.name for option in owner.options]
    section = owner.kind.value
    for document in sources.yaml:
        chosen = document.values.get(section)
        mine = chosen.get(owner.name) if isinstance(chosen, dict) else None
        if mine is not None and not isinstance(mine, dict):
            yield UsageError(f"{document.name}: {section}.{owner.name}: a mapping of options is expected")
            continue
        for key in (key for key in mine or () if key not in known):
            yield _unknown_key(f"{document.name}: {section}.{owner.name}", str(key), known)


def _unknown_key(where: str, key: str, known: Sequence[str]) -> UsageError:
    from ocibuild_core.suggest import nearest  # noqa: PLC0415  # only for a message

    return UsageError(f"{where}: unknown option {key!r}{nearest(key, known)}", do=f"use {', '.join(known) or 'none'}")


def _shown(value: str) -> str:
    return repr(value) if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]!r}…"
