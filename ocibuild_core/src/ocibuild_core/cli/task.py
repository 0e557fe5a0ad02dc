"""`ocibuild task`: one build from a request on stdin, as Concourse's build task takes it.

The request is `{"response_path": "…", "config": {…}}` (https://github.com/concourse/oci-build-task); `config` has the
keys of the table of settings and, besides, those of the auth providers' options.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from ocibuild_core.errors import ExportError, UsageError
from ocibuild_core.loader import load_plugins
from ocibuild_core.places import closed, is_directory, working_directory
from ocibuild_core.records import NamedTuple
from ocibuild_core.selection import select_plugins
from ocibuild_core.settings.reserved import reserved_spellings
from ocibuild_core.settings.sources import last_in_any_case, refuse_unpassable
from ocibuild_core.settings.table import FIELDS
from ocibuild_core.settings.values import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocibuild_core.catalog import Catalog

_NAME = "request"
_LARGEST = 16 * 1024 * 1024
_PIECE = 65536
_NOTHING = object()
_LOGIN_FIELDS = frozenset({"login", "login_timeout"})
# What a run may leave behind for later steps; the order is that of Concourse's own task.
_OUTPUTS = ("image", "cache")


class Request(NamedTuple):
    """What stdin said.

    Args:
        response_path: the file that is written when all is well.
        config: what to build.
    """

    response_path: Path
    config: Mapping[str, object]


_HELP = """\
Build what a request on stdin says, as a Concourse task does.

The request is JSON: the file that is written when all is well, and the params of the build.

\b
  {"response_path": "response.json",
   "config": {"context": "src", "target": "app", "login": "ecr"}}
"""


@click.command("task", help=_HELP)
def task() -> None:
    """Read the request, build, answer."""
    working_directory()
    request = read_request(sys.stdin.buffer)
    env = dict(os.environ)
    catalog = load_plugins(select_plugins(env=env, no_plugin=(), files=()), reserved=reserved_spellings())
    catalog.check_allowed()
    _build(request, env, catalog)
    try:
        request.response_path.write_text(json.dumps({"outputs": _OUTPUTS}, separators=(",", ":")) + "\n")
    except OSError as error:
        raise ExportError(f"cannot write the response {request.response_path}", why=error.strerror or "") from None


def read_request(stream: BinaryIO) -> Request:
    """The first JSON value of `stream`; what follows it is not waited for. Raises UsageError."""
    content = b""
    value = _NOTHING
    while value is _NOTHING and (piece := stream.read1(_PIECE)):  # type: ignore[attr-defined]  # buffered
        content += piece
        if len(content) > _LARGEST:
            raise UsageError(f"the {_NAME} on stdin is larger than 16 MiB")
        if len(piece) < _PIECE:  # all that there is by now
            value = _first_value(content)
    if value is _NOTHING and (value := _first_value(content)) is _NOTHING:
        # Without the text: it may hold a password.
        do = 'pipe {"response_path": "…", "config": {…}} in'
        raise UsageError(f"the {_NAME} on stdin is no JSON", do=do)
    if not isinstance(value, dict):
        raise UsageError(f"the {_NAME} on stdin is {kind_of(value)} where an object is expected")
    response_path = _member(value, "response_path", str, "a text")
    refuse_unpassable(response_path, f"{_NAME}: response_path")
    if not response_path:
        raise UsageError(f"{_NAME}: response_path is missing", do="name the file that is written at the end")
    _refuse_unwritable(Path(response_path))
    return Request(response_path=Path(response_path), config=_member(value, "config", dict, "an object") or {})


def _refuse_unwritable(path: Path) -> None:
    parent = path.absolute().parent
    if not is_directory(parent):
        raise UsageError(f"{_NAME}: response_path: there is no directory {parent}", why=closed(parent))
    why = _unwritable(path)
    if why:
        raise UsageError(f"{_NAME}: response_path: cannot write {path}", why=why, do="name a file")


def _unwritable(path: Path) -> str:
    """Why no file can be written there, found by trying; empty when one can."""
    from ocibuild_core.destinations import special_kind  # noqa: PLC0415  # `--help` has no need of it

    kind = special_kind(path)
    if kind:
        return f"it is a {kind}"
    try:
        is_there = path.exists()
        path.open("ab").close()
        if not is_there:
            path.resolve().unlink()
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def _first_value(content: bytes) -> Any:  # noqa: ANN401  # JSON
    """What the content begins with; `_NOTHING` while that is not whole, or no JSON."""
    text = content.decode(errors="surrogateescape").lstrip()
    try:
        value, end = json.JSONDecoder().raw_decode(text)
        text[:end].encode()  # in what follows there may be anything
    except (ValueError, RecursionError):
        return _NOTHING
    return value


def request_environment(
    config: Mapping[str, object], env: Mapping[str, str], login_keys: frozenset[str]
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What counts of the environment: for settings, and for the options of providers.

    What is built comes from the request alone. Logins come from the environment when the request says nothing of them;
    the engine's place and the like, for which a request has no keys, come from there always.

    Args:
        config: of the request.
        env: the user's environment.
        login_keys: the keys of providers' options, in lower case.
    """
    said = {key.lower() for key, value in config.items() if value not in (None, "")}
    has_logins = bool(said & (login_keys | _LOGIN_FIELDS))
    of_host = {
        name
        for field in FIELDS
        for name in field.env
        if (not field.request and not field.prefix) or (field.name in _LOGIN_FIELDS and not has_logins)
    }
    return {name: value for name, value in env.items() if name in of_host}, {} if has_logins else env


def _member(value: Mapping[str, Any], key: str, kind: type, wanted: str) -> Any:  # noqa: ANN401  # checked here
    """The value of a key in any case, None without one."""
    found = last_in_any_case(value, key)
    if found is not None and not isinstance(found, kind):
        raise UsageError(f"{_NAME}: {key}: {kind_of(found)} where {wanted} is expected")
    return found


def _build(request: Request, env: Mapping[str, str], catalog: Catalog) -> None:
    from ocibuild_core.cli.line import Line  # noqa: PLC0415  # `--help` has no need of these
    from ocibuild_core.cli.run import run_build  # noqa: PLC0415
    from ocibuild_core.cli.settle import Settled  # noqa: PLC0415
    from ocibuild_core.cli.start import Start  # noqa: PLC0415
    from ocibuild_core.engine import launch  # noqa: PLC0415
    from ocibuild_core.option_sources import OptionSources, StdinOnce  # noqa: PLC0415
    from ocibuild_core.settings.resolve import resolve  # noqa: PLC0415
    from ocibuild_core.settings.sources import Document, Environment  # noqa: PLC0415
    from ocibuild_core.spellings import Owner, spelt  # noqa: PLC0415

    owners = [Owner.of_provider(loaded.provider) for loaded in catalog.providers]
    login_keys = frozenset(key for owner in owners for _, spellings in spelt(owner) for key in spellings.json)
    for_settings, for_options = request_environment(request.config, env, login_keys)
    settings = resolve([Document(request.config, _NAME, is_request=True), Environment(for_settings)])
    stdin = StdinOnce(sys.stdin.buffer, taken_by=f"the {_NAME}")
    run_build(
        Start(argv=(), env=env, files=()),
        Line({}),
        Settled(settings=settings, env=env, warnings=()),
        catalog,
        launch=launch,
        sources=OptionSources(request=request.config, env=for_options, stdin=stdin),
        response=request.response_path,
    )
