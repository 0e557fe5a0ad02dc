"""User and password as people write them: `user:password`, and a map of many registries.

Everything here is a function of its arguments, but for the file that an entry of the map names.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ocibuild_core.plugin import (
    Credential,
    CredentialError,
    CredentialsUnavailable,
    RegistryAddress,
    Secret,
    UsageError,
    parse_registry,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from yaml import Event

MAX_SECRET_BYTES = 64 * 1024
JSON_KEY_USER = "_json_key"
"""The user whose password is a whole file, with its line ends.

Source: https://cloud.google.com/artifact-registry/docs/docker/authentication#json-key
"""


def split_pass(text: Secret, origin: str) -> tuple[str, Secret]:
    """User and password of `user:password`; the first colon parts them, as in HTTP's Basic scheme (RFC 7617)."""
    user, colon, password = text.reveal().partition(":")
    if not colon:
        raise CredentialError(
            f"{origin} must be user:password",
            why="it holds no colon; the value is not shown",
            do="put the user name and a colon in front of the password",
        )
    return user, Secret(password)


def without_line_end(text: Secret) -> Secret:
    r"""The text without one `\n` or `\r\n` at its end, which a YAML block or an editor has put there."""
    value = text.reveal()
    return Secret(value[: -2 if value.endswith("\r\n") else -1]) if value.endswith("\n") else text


def is_quoted(text: Secret) -> bool:
    """Whether it stands in quotation marks, which a shell or YAML has left there."""
    value = without_line_end(text).reveal()
    return len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"


def credential(user: str, password: Secret, *, registry: str, origin: str) -> Credential:
    """The credential, or an error that names the setting at fault and never its value.

    An empty password is refused here: BuildKit's client would take the entry as anonymous without a word.
    """
    fault = _fault_of_user(user) or _fault_of_password(password.reveal())
    if fault:
        raise _unusable(registry, origin, fault)
    return Credential(username=user, secret=password, detail=f"user {user} from {origin}")


def written_credential(user: str, password: Secret, *, registry: str, origin: str) -> Credential:
    """As `credential`, for a password that was written by hand: without the line end that stands after it.

    One in its middle is a mistake, except in a key file.
    """
    password = without_line_end(password)
    if user != JSON_KEY_USER and not {"\n", "\r"}.isdisjoint(password.reveal()):
        fault = f"the password holds a line end; only the user {JSON_KEY_USER} has a password of several lines"
        raise _unusable(registry, origin, fault)
    return credential(user, password, registry=registry, origin=origin)


def _unusable(registry: str, origin: str, fault: str) -> CredentialError:
    return CredentialError(
        f"{origin}: cannot log in to {registry}", why=fault, do="correct the value, which is not shown here"
    )


def _fault_of_user(user: str) -> str:
    if not user:
        return "the user name is empty"
    if any(char.isspace() or not (char.isprintable() or "\udc80" <= char <= "\udcff") for char in user):
        return "the user name holds white space or a control character"
    if ":" in user:
        return "the user name holds a colon, which ends it in HTTP's Basic scheme"
    return ""


def _fault_of_password(password: str) -> str:
    if not password:
        return "the password is empty"
    try:
        size = len(password.encode(errors="surrogateescape"))
    except UnicodeEncodeError:
        return "the password holds half of a surrogate pair, which UTF-8 cannot express"
    if size > MAX_SECRET_BYTES:
        return f"the password is longer than {MAX_SECRET_BYTES // 1024} KiB"
    return ""


class Value(NamedTuple):
    """A text of the map, or the name of the place that holds it."""

    text: Secret | None = None
    env: str = ""
    file: str = ""

    def read(self, env: Mapping[str, str], *, where: str) -> Secret:
        """The text, without one line end at its end when it comes from elsewhere."""
        if self.text is not None:
            return self.text
        if self.env:
            return self._from_env(env, where)
        return self._from_file(where)

    def _from_env(self, env: Mapping[str, str], where: str) -> Secret:
        text = env.get(self.env, "")
        if not text:
            raise CredentialsUnavailable(
                f"{where}: the environment variable {self.env} is not set", do=f"set {self.env}"
            )
        return without_line_end(Secret(text))

    def _from_file(self, where: str) -> Secret:
        # One byte above the limit, and a line end: enough to see that it is too long.
        try:
            with Path(self.file).open("rb") as stream:
                content = stream.read(MAX_SECRET_BYTES + 3)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no path"
            raise CredentialError(
                f"{where}: cannot read {self.file!r}",
                why=reason or type(error).__name__,
                do="name a readable file",
            ) from None
        return without_line_end(Secret(content.decode(errors="surrogateescape")))


class Entry(NamedTuple):
    """What the map holds for one registry.

    Args:
        user: the user's name.
        password: the password; None when the keyring has it.
        path: what stood behind the registry's host, and does not count.
    """

    user: Value
    password: Value | None = None
    path: str = ""


@lru_cache(maxsize=4)
def read_map(text: Secret, origin: str) -> Mapping[str, Entry]:
    """The entries by registry, out of YAML or JSON.

        registry.example.com: alice:password
        ghcr.io: {user: bob, password: {env: GHCR_TOKEN}}
        quay.io: {user: org+robot, password: {file: /run/secrets/quay}}
        docker.io: {user: carol}

    Raises:
        UsageError: it is no such map. The message says where, and quotes nothing that may be a secret.
    """
    entries: dict[str, Entry] = {}
    document = _parse(text.reveal(), origin)
    if not isinstance(document, _Map):
        raise _map_error(origin, "it is not a map of registries")
    for number, (key, node) in enumerate(document.pairs, start=1):
        place = _place(key, number, origin)
        if place.registry in entries:
            raise _map_error(origin, f"it names {place.registry} twice; paths do not part them")
        entries[place.registry] = _entry(node, place.registry, origin)._replace(path=place.path)
    return MappingProxyType(entries)


def _place(key: str, number: int, origin: str) -> RegistryAddress:
    try:
        return parse_registry(key, what=origin)
    except UsageError:
        # The key is not quoted, nor the error's own text: a map that went wrong may have a password there.
        raise _map_error(origin, f"the key of entry {number} is no registry's host") from None


_SHAPES = "write HOST: user:password, or HOST: {user: NAME, password: …} with a text, {env: NAME} or {file: PATH}"


def _map_error(origin: str, why: str) -> UsageError:
    return UsageError(f"{origin} cannot be used", why=why, do=_SHAPES)


def _entry(node: object, registry: str, origin: str) -> Entry:
    if isinstance(node, str):
        user, password = split_pass(Secret(node), f"{origin}, {registry}")
        return Entry(user=Value(text=Secret(user)), password=Value(text=password))
    if not isinstance(node, _Map):
        raise _map_error(origin, f"{registry} has neither user:password nor a map")
    fields = node.fields(("user", "password"), f"{origin}, {registry}")
    if "user" not in fields:
        raise _map_error(origin, f"{registry} has no user")
    values = {name: _value(value, f"{registry}, {name}", origin) for name, value in fields.items()}
    return Entry(user=values["user"], password=values.get("password"))


def _value(node: object, where: str, origin: str) -> Value:
    if isinstance(node, str):
        return Value(text=Secret(node))
    fields = node.fields(("env", "file"), f"{origin}, {where}") if isinstance(node, _Map) else {}
    if len(fields) != 1 or not all(isinstance(name, str) and name for name in fields.values()):
        raise _map_error(origin, f"{where} is neither a text nor one of {{env: NAME}} and {{file: PATH}}")
    return Value(**{place: str(name) for place, name in fields.items()})  # type: ignore[arg-type]  # env, file: str


class _Map(NamedTuple):
    """A mapping as it was written: pairs, so that a key that stands twice is seen."""

    pairs: tuple[tuple[str, object], ...]

    def fields(self, names: tuple[str, ...], where: str) -> dict[str, object]:
        """The pairs by key, when every key is one of `names` and none stands twice."""
        found: dict[str, object] = {}
        for key, value in self.pairs:
            # A wrong key is not quoted: a password that is not in quotes can look like one.
            if key not in names or key in found:
                raise _map_error(where, f"it takes {' and '.join(names)}, each once, and nothing else")
            found[key] = value
        return found


def _parse(text: str, origin: str) -> object:
    """Mappings as `_Map`, scalars as the text that was written (`012` stays `012`)."""
    if text.lstrip().startswith("{"):
        import json  # noqa: PLC0415  # only a map needs it

        try:
            return json.loads(text, object_pairs_hook=lambda pairs: _Map(tuple(pairs)), parse_int=str, parse_float=str)
        except (ValueError, RecursionError):
            pass  # it may be YAML in braces, and YAML's reader says where a fault is
    return _parse_yaml(text, origin)


def _parse_yaml(text: str, origin: str) -> object:
    """Reads events, not nodes: what is nested too deep is refused where it begins, so a hostile text costs nothing."""
    import yaml  # 20 ms that only a map needs

    try:
        return _document(yaml.parse(text, Loader=yaml.BaseLoader))
    except _Misplaced as found:
        raise _map_error(origin, f"{found} stands where a text or a map belongs{_at(found.mark)}") from None
    except yaml.YAMLError as error:
        raise _map_error(origin, f"it is neither YAML nor JSON{_at(getattr(error, 'problem_mark', None))}") from None
    except (ValueError, OverflowError):  # PyYAML's, of an escape beyond Unicode and of a version that is no number
        raise _map_error(origin, "it is neither YAML nor JSON: an escape or a directive stands for nothing") from None


class _Misplaced(Exception):  # noqa: N818  # it becomes a message right above
    def __init__(self, what: str, mark: object) -> None:
        super().__init__(what)
        self.mark = mark


def _at(mark: object) -> str:
    """Where a mark of yaml stands, which has two unrelated classes for it; an error may come without one."""
    line, column = getattr(mark, "line", None), getattr(mark, "column", None)
    return "" if line is None or column is None else f": line {line + 1}, column {column + 1}"


def _document(events: Iterator[Event]) -> object:
    import yaml

    next(events)  # the stream's start
    if not isinstance(next(events), yaml.DocumentStartEvent):
        return None
    node = _node(next(events), events, 2)
    next(events)  # the document's end
    if not isinstance(after := next(events), yaml.StreamEndEvent):
        raise _Misplaced("a second document", after.start_mark)
    return node


def _node(event: Event, events: Iterator[Event], depth: int) -> object:
    import yaml

    if isinstance(event, yaml.ScalarEvent):
        return str(event.value)
    if not isinstance(event, yaml.MappingStartEvent) or depth < 0:
        raise _Misplaced("a list, an alias or a nested map", event.start_mark)
    pairs: list[tuple[str, object]] = []
    while not isinstance(key := next(events), yaml.MappingEndEvent):
        if not isinstance(key, yaml.ScalarEvent):
            raise _Misplaced("a list, an alias or a nested map", key.start_mark)
        pairs.append((str(key.value), _node(next(events), events, depth - 1)))
    return _Map(tuple(pairs))
