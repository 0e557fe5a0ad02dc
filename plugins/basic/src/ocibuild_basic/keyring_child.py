"""Talks to the system keyring, in a process of its own: `python keyring_child.py`, one request on stdin.

A keyring may ask for a password, hang, print, or never come back. Here it has no terminal, no stdin, no stdout, and can
be killed at the deadline together with all that it started.

The request and the answer are one JSON object each. Request: `path` (the parent's `sys.path`), `seconds` (the time
limit), `action` (`find`, `keep`, `forget`, `probe`), `services`, `users` (empty: whoever is stored), and `secret` for
`keep`. Answer: `backend` and `plaintext` for the back end that was used, `users` for whom something is stored, `secret`
when that is one user alone, or `problem` (`none`, `setup`, `locked`, `plaintext`, `failed`) with `why`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyring.backend import KeyringBackend
    from keyring.backends import SecretService

    Answer = dict[str, Any]

# In seconds, before each further attempt; the parent's time limit counts over all.
_PAUSES = (0.1, 0.2, 0.4, 0.8)


class _Problem(Exception):  # noqa: N818  # it is told as an answer
    def __init__(self, problem: str, why: str = "", backend: str = "") -> None:
        super().__init__(why)
        self.answer: Answer = {"problem": problem, "why": why, "backend": backend}


def main() -> None:
    """Answer the one request on stdin and end at once, whatever the back end has left running."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # a back end that prints must not spoil the answer
    request = json.load(sys.stdin)
    signal.setitimer(signal.ITIMER_REAL, request["seconds"] + 1)  # the parent may die before it can kill this process
    sys.path[:] = request["path"]
    try:
        answer = _patient_answer(request)
    except _Problem as problem:
        answer = problem.answer
    except Exception as error:  # noqa: BLE001  # a back end is anybody's code; the parent reports what it did
        answer = {"problem": _class_of(error), "why": f"{type(error).__name__}: {error}"}
    json.dump(answer, answers)
    answers.flush()
    os._exit(0)


def _patient_answer(request: Answer) -> Answer:
    """The answer, asked for again while the Secret Service does not know an item that it has just named itself.

    gnome-keyring does this now and then while others write to it. A question, a password that is stored once more and
    one that is deleted once more come to the same.
    """
    for pause in _PAUSES:
        try:
            return _answer(request)
        except Exception as error:
            if not _is_of_vanished_item(error):
                raise
        time.sleep(pause)
    return _answer(request)


def _is_of_vanished_item(error: Exception) -> bool:
    exceptions = sys.modules.get("secretstorage.exceptions")  # absent where no back end talks to a Secret Service
    return exceptions is not None and isinstance(error, exceptions.ItemNotFoundException)


def _answer(request: Answer) -> Answer:
    backends = _backends()
    services, users = request["services"], request["users"]
    if request["action"] == "find":
        return _find(backends, services, users)
    if request["action"] == "forget":
        return _forget(backends, services, users)
    backend = _writable(backends)
    if request["action"] == "keep":
        return _keep(backend, services[0], users[0], request["secret"])
    return _told(backend)


def _backends() -> list[KeyringBackend]:
    """The back ends in their order; what keyring chains is taken apart, to know which of them answers."""
    try:
        import keyring
        from keyring.backends import chainer, fail, null

        chosen = keyring.get_keyring()
    except Exception as error:  # noqa: BLE001  # an import, a priority, a constructor: anything of anybody
        raise _Problem("setup", f"{type(error).__name__}: {error}") from None
    chained = list(chosen.backends) if isinstance(chosen, chainer.ChainerBackend) else [chosen]
    usable = [backend for backend in chained if not isinstance(backend, (fail.Keyring, null.Keyring))]
    if not usable:
        raise _Problem("none", backend=_name(chosen))
    return usable


def _writable(backends: list[KeyringBackend]) -> KeyringBackend:
    for backend in backends:
        if not _is_plaintext(backend):
            return backend
    raise _Problem("plaintext", backend=_name(backends[0]))


def _find(backends: list[KeyringBackend], services: list[str], users: list[str]) -> Answer:
    for backend in backends:
        for service in services:
            stored = dict(_stored(backend, service, users))
            if stored:
                secret = next(iter(stored.values())) if len(stored) == 1 else None
                return {**_told(backend), "users": sorted(stored), "secret": secret}
    return {**_told(backends[0]), "users": []}


def _stored(backend: KeyringBackend, service: str, users: list[str]) -> Iterator[tuple[str, str]]:
    from keyring.backends import SecretService

    if not users and isinstance(backend, SecretService.Keyring):
        users = _listed(backend, service)
    elif not users:
        found = backend.get_credential(service, None)  # all that can be asked without a name: one user at most
        users = [found.username] if found else []
    for user in users:
        secret = backend.get_password(service, user)
        if secret is not None:
            yield user, secret


def _listed(backend: SecretService.Keyring, service: str) -> list[str]:
    """Everybody who is stored for the service: `get_credential` would pick any one of them."""
    names = backend.schemes[backend.scheme]
    collection = backend.get_preferred_collection()  # type: ignore[no-untyped-call]
    try:
        items = list(collection.search_items({names["service"]: service}))
        users = {item.get_attributes().get(names["username"]) for item in items}
    finally:
        collection.connection.close()
    return sorted(user for user in users if user)


def _keep(backend: KeyringBackend, service: str, user: str, secret: str) -> Answer:
    backend.set_password(service, user, secret)
    if backend.get_password(service, user) != secret:
        raise _Problem("failed", "it did not keep what it was given", _name(backend))
    return _told(backend)


def _forget(backends: list[KeyringBackend], services: list[str], users: list[str]) -> Answer:
    forgotten = {
        user
        for backend in backends
        for service in services
        for user in users
        if backend.get_password(service, user) is not None and _delete(backend, service, user)
    }
    return {**_told(backends[0]), "users": sorted(forgotten)}


def _delete(backend: KeyringBackend, service: str, user: str) -> bool:
    backend.delete_password(service, user)
    return True


def _told(backend: KeyringBackend) -> Answer:
    return {"backend": _name(backend), "plaintext": _is_plaintext(backend)}


def _name(backend: KeyringBackend) -> str:
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


def _is_plaintext(backend: KeyringBackend) -> bool:
    """Whether it, or what it is derived from, is one that only encodes what it keeps, as in keyrings.alt."""
    return any("plaintext" in kind.__name__.lower() for kind in type(backend).__mro__)


def _class_of(error: Exception) -> str:
    from keyring.errors import KeyringLocked, NoKeyringError

    if isinstance(error, NoKeyringError):
        return "none"
    return "locked" if isinstance(error, KeyringLocked) else "failed"


if __name__ == "__main__":
    main()
