"""The system's keyring: none, locked, with several users, readable by all."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bad_input.case import OTHER, Case, case
from basic_support import write_back_end
from basic_support.secret_service import start_secret_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from basic_support import SecretService

BLAME = "plugin 'basic' (ocibuild-basic"


@contextmanager
def keyring_daemon(given: Case) -> Iterator[SecretService]:
    """gnome-keyring, which the programs find."""
    runtime = given.sandbox / "run"
    runtime.mkdir(mode=0o700)
    with start_secret_service(given.demo.env, runtime) as service:
        yield service


def plaintext_back_end(given: Case) -> str:
    """A back end that keeps passwords readable on the disk, by its name."""
    source = "class PlaintextKeyring(FileKeyring):\n    priority = 0.5\n\nclass Keyring(PlaintextKeyring): pass\n"
    return write_back_end(given.demo.site, source)


@case("keyring: no backend")
def _(given: Case) -> None:
    given.fails(3, BLAME, f"no keyring back end for {OTHER}", "PASS=user:password", "BASIC_", host=OTHER, LOGIN="basic")
    assert given.answer(OTHER) == "anonymous"


@case("keyring prompts / locked")
def _(given: Case) -> None:
    with keyring_daemon(given) as service:
        service.run(f"import keyring; keyring.set_password({OTHER!r}, 'alice', {given.token!r})")
        service.lock()
        given.fails(3, BLAME, f"the keyring is locked: {OTHER}", host=OTHER, LOGIN="basic")
        service.leave_prompts_unanswered()
        limit = {"LOGIN": "basic", "BASIC_KEYRING_TIMEOUT": "1s"}
        given.fails(3, BLAME, "gave no answer", "within 1 s", "--basic-keyring-timeout", host=OTHER, **limit)
    explained = given.program("build", "--help").stdout.partition("--basic-keyring-timeout")[2]
    assert "default 10s" in " ".join(explained.split()).partition("--")[0]


@case("keyring has several users for one host")
def _(given: Case) -> None:
    with keyring_daemon(given) as service:
        for user in ("alice", "bob"):
            service.run(f"import keyring; keyring.set_password({OTHER!r}, {user!r}, {given.token!r})")
        says = (f"several users for {OTHER}", "alice, bob", "--basic-user")
        given.fails(3, BLAME, *says, host=OTHER, LOGIN="basic")
        assert given.answer(OTHER, LOGIN="basic", BASIC_USER="bob") == "bob"


@case("keyrings.alt plaintext")
def _(given: Case) -> None:
    path = given.demo.home / "passwords.json"
    path.write_text(json.dumps({f"{OTHER} alice": given.token}))
    env = {"PYTHON_KEYRING_BACKEND": plaintext_back_end(given), "LOGIN": "basic", "BASIC_USER": "alice"}
    assert given.answer(OTHER, says=f"the password of alice for {OTHER} readable on the disk", **env) == "alice"
    before = path.read_bytes()
    login = json.dumps({"ServerURL": OTHER, "Username": "bob", "Secret": given.token})
    stored = given.demo.helper("store", question=login, OCIBUILD_CREDENTIAL_STORE="basic", **env)
    assert (stored.returncode, "readable on the disk" in stored.stdout) == (1, True), stored
    assert path.read_bytes() == before
