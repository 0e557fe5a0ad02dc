"""The credential helper on its own, for every client that speaks the protocol: resolves by itself."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING

from ocibuild_core.auth import client
from ocibuild_core.auth.config_files import PROGRAM
from ocibuild_core.auth.protocol import Responder, one_line, refusal
from ocibuild_core.core_dumps import forbid_core_dumps
from ocibuild_core.errors import OcibuildError
from ocibuild_core.streams import keep_stdout, open_missing_streams
from ocibuild_core.terminal import without_controls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

    from ocibuild_core.auth.protocol import Reply
    from ocibuild_core.auth.redact import Redactor
    from ocibuild_core.auth.resolver import Resolver

_RESOLVES = (*client.READS_STDIN, "list")


def main(arguments: Sequence[str], env: Mapping[str, str]) -> int:
    """Answer one call; gives the exit status."""
    action = arguments[0] if len(arguments) == 1 else ""
    forbid_core_dumps()
    open_missing_streams()
    question = client.read_all(0) if action in client.READS_STDIN else b""
    keep_stdout()
    stdout, sys.stdout = sys.stdout, sys.stderr  # nothing but the answer is a result here
    reply, is_hung = _reply(action, question, env)
    client.write_all(stdout.fileno(), reply.output)
    if is_hung:
        # A plugin's own threads would keep the interpreter from ending.
        sys.stderr.flush()
        os._exit(reply.status)
    return reply.status


def _reply(action: str, question: bytes, env: Mapping[str, str]) -> tuple[Reply, bool]:
    lacks_question = action in client.READS_STDIN and not question.strip()
    if action not in _RESOLVES or lacks_question:
        return Responder(_nothing).reply(action, question), False
    from ocibuild_core.auth.redact import Redactor  # noqa: PLC0415  # `version` needs nothing of it

    redactor = Redactor()
    resolver: Resolver | None = None
    try:
        resolver, responder = _set_up(env, redactor)
        reply = responder.reply(action, question)
    except OcibuildError as error:
        reply = refusal(one_line(error))
    except Exception as error:  # noqa: BLE001  # the protocol: every failure is a line on stdout
        # Not its text, which may hold a secret.
        reply = refusal(f"ocibuild failed by a fault of its own: {type(error).__name__}{_place(error)}")
    if reply.status:
        reply = reply._replace(output=redactor.bytes(reply.output))
    return reply, bool(resolver and resolver.hung)


def _set_up(env: Mapping[str, str], redactor: Redactor) -> tuple[Resolver, Responder]:
    from ocibuild_core.auth.ambient import read_ambient  # noqa: PLC0415  # see above
    from ocibuild_core.auth.docker_config import load_user_config  # noqa: PLC0415
    from ocibuild_core.auth.keeping import keeper_for  # noqa: PLC0415
    from ocibuild_core.auth.resolver import Resolver  # noqa: PLC0415
    from ocibuild_core.auth.setup import load_providers, make_rules  # noqa: PLC0415
    from ocibuild_core.clock import SystemClock  # noqa: PLC0415

    _talk_to_stderr(redactor)
    ambient = read_ambient(env)
    catalog, options = load_providers(ambient)
    redactor.add_options(*options.values())
    clock = SystemClock()
    # Without the user's helpers: his config most likely names this very program, or one that would ask it.
    config = load_user_config(env, timeout=ambient.login.timeout).without_helpers()
    rules = make_rules(login=ambient.login, catalog=catalog, options=options, config=config, env=env, clock=clock)
    keeper = catalog.provider(ambient.keeper).provider.name if ambient.keeper else ""
    resolver = Resolver(rules, clock=clock, learned=redactor.add_credential)
    return resolver, Responder(resolver.resolve, keeper=keeper_for(keeper, rules.providers))


def _place(error: BaseException) -> str:
    last = error.__traceback__
    while last and last.tb_next:
        last = last.tb_next
    return f" in {last.tb_frame.f_code.co_filename}, line {last.tb_lineno}" if last else ""


def _nothing(registry: str) -> NoReturn:
    raise AssertionError(registry)


def _talk_to_stderr(redactor: Redactor) -> None:
    """Warnings on stderr, masked: clients show it to their user."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"{PROGRAM}: {without_controls(redactor.text(record.getMessage()))}\n")

    logger = logging.getLogger("ocibuild")
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    logger.handlers = [Handler()]
