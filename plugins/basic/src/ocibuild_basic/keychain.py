"""The system keyring, with an index of what `ocibuild` put there: a keyring cannot tell what it holds.

The keyring itself is driven by `keyring_child.py` in a process of its own, which is killed at the deadline.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocibuild_core.plugin import CredentialError, CredentialsUnavailable, Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from subprocess import Popen
    from typing import IO

_CHILD = Path(__file__).with_name("keyring_child.py")
_INSTEAD = "set PASS=user:password with LOGIN=PASS, or BASIC_USER and BASIC_PASSWORD"
_DOCKER_HUB_SERVICES = ("docker.io", "https://index.docker.io/v1/")


class NoBackend(CredentialsUnavailable):
    """This machine has no keyring, or it is switched off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the keyring holds for a registry.

    Args:
        users: everybody that it holds a password of.
        secret: the password, when that is one user alone.
        backend: the class of the back end that has it.
        is_plaintext: the back end keeps passwords readable for whoever can read its file.
    """

    users: tuple[str, ...]
    secret: Secret | None
    backend: str
    is_plaintext: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Keychain:
    """The system keyring, where a registry is the service under which its users are kept, and the index to it.

    Args:
        env: what the back end finds in its environment.
        seconds: how long one call may take.
    """

    env: Mapping[str, str]
    seconds: float

    def users(self, registry: str) -> tuple[str, ...]:
        """The users whom `keep` has stored for this registry."""
        return tuple(user for host, user in self.entries() if host == registry)

    def entries(self) -> tuple[tuple[str, str], ...]:
        """Registry and user of all that `keep` has stored."""
        return self._index().entries()

    def find(self, registry: str, users: Iterable[str]) -> Stored:
        """Who of `users` is stored for the registry; without `users`, whoever the back end can name."""
        answer = self._ask("find", registry, services=_services(registry), users=tuple(users))
        secret = answer.get("secret")
        return Stored(
            users=tuple(answer["users"]),
            secret=None if secret is None else Secret(secret),
            backend=answer["backend"],
            is_plaintext=answer["plaintext"],
        )

    def keep(self, registry: str, user: str, secret: Secret) -> str:
        """Store the password and read it back; returns the back end.

        The index comes first: an entry without a password is found out, a password without an entry would stay for
        ever.
        """
        _check_text(registry, secret)
        index, is_new = self._index(), user not in self.users(registry)
        index.add(registry, user)
        try:
            answer = self._ask("keep", registry, services=(registry,), users=(user,), secret=secret.reveal())
        except CredentialError:
            if is_new:
                index.remove(registry, (user,))
            raise
        return str(answer["backend"])

    def forget(self, registry: str, users: Iterable[str]) -> tuple[str, ...]:
        """Delete the passwords of these users and their entries; returns those who had either."""
        asked = set(users)
        if not asked:
            return ()
        known = asked.intersection(self.users(registry))
        answer = self._ask("forget", registry, services=_services(registry), users=sorted(asked))
        self._index().remove(registry, asked)
        return tuple(sorted(known.union(answer["users"])))

    def probe(self, registry: str) -> None:
        """Raise what `keep` would raise for want of a back end that may be written to."""
        self._ask("probe", registry, services=(registry,), users=())

    def _index(self) -> Index:
        return Index(path=_index_path(self.env), seconds=self.seconds)

    def _ask(self, action: str, registry: str, **request: object) -> dict[str, Any]:
        text = json.dumps({"path": sys.path, "seconds": self.seconds, "action": action, **request})
        output, errors = self._run(text, registry)
        try:
            answer = json.loads(output)
        except ValueError:
            last = (errors.strip().splitlines() or ["it wrote no answer and no error"])[-1]
            answer = {"problem": "failed", "why": last}
        if "problem" not in answer:
            return dict(answer)
        why = str(answer["why"])
        secret = str(request.get("secret", ""))
        raise _error(answer, registry, why.replace(secret, "********") if secret else why, self.env)

    def _run(self, request: str, registry: str) -> tuple[str, str]:
        """The child's answer and its stderr."""
        from signal import SIGKILL  # noqa: PLC0415  # with subprocess, 9 ms that only a question needs
        from subprocess import TimeoutExpired  # noqa: PLC0415

        # In memory, and no pipe: a daemon that the back end starts would hold a pipe open beyond the child's end.
        errors = os.fdopen(os.memfd_create("keyring-stderr"), "w+b")
        with errors, _start(self.env, errors) as child:
            try:
                output, _ = child.communicate(request.encode("ascii"), timeout=self.seconds)
            except TimeoutExpired:
                raise _timed_out(registry, self.seconds) from None
            finally:
                if child.poll() is None:
                    os.killpg(child.pid, SIGKILL)
            errors.seek(0)
            return output.decode("ascii", "replace"), errors.read().decode(errors="replace")


def _services(registry: str) -> tuple[str, ...]:
    """Under what the registry's passwords may be; the first is where they are kept."""
    # Docker's own key for Docker Hub is what people have typed who put it there by hand.
    return _DOCKER_HUB_SERVICES if registry == _DOCKER_HUB_SERVICES[0] else (registry,)


def _start(env: Mapping[str, str], errors: IO[bytes]) -> Popen[bytes]:
    """The child, in a session of its own: no terminal to prompt on, and one process group to kill."""
    from subprocess import PIPE, Popen  # noqa: PLC0415  # see above

    command = [sys.executable or "python3", "-I", str(_CHILD)]
    # An empty variable is an unset one, as everywhere; keyring would look for a module without a name.
    given = {name: value for name, value in env.items() if value or name != "PYTHON_KEYRING_BACKEND"}
    try:
        return Popen(command, stdin=PIPE, stdout=PIPE, stderr=errors, env=given, start_new_session=True)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the environment holds a NUL character"
        raise CredentialError(
            f"cannot start {command[0]} to ask the keyring", why=reason or type(error).__name__, do=_INSTEAD
        ) from None


def _check_text(registry: str, secret: Secret) -> None:
    try:
        secret.reveal().encode()
    except UnicodeEncodeError:
        raise CredentialError(
            f"the login for {registry} was not stored",
            why="the password holds bytes that are no UTF-8, which a keyring cannot keep",
            do="give it with BASIC_USER and BASIC_PASSWORD",
        ) from None


def _timed_out(registry: str, seconds: float) -> CredentialError:
    return CredentialError(
        f"the keyring gave no answer for {registry} within {seconds:.3g} s",
        why="it may be locked and wait for somebody to unlock it",
        do=f"unlock it, allow more time (--basic-keyring-timeout, BASIC_KEYRING_TIMEOUT), or {_INSTEAD}",
    )


def _error(answer: Mapping[str, Any], registry: str, why: str, env: Mapping[str, str]) -> CredentialError:
    """What the child reported, for people."""
    backend = str(answer.get("backend") or "the back end")
    match answer["problem"]:
        case "none":
            return NoBackend(f"no keyring back end for {registry}", why=why, do=_INSTEAD)
        case "setup":
            chosen = env.get("PYTHON_KEYRING_BACKEND")
            remedy = f"correct or unset PYTHON_KEYRING_BACKEND={chosen}" if chosen else "correct keyring's settings"
            return CredentialError(f"cannot load the keyring for {registry}", why=why, do=f"{remedy}, or {_INSTEAD}")
        case "locked":
            return CredentialError(f"the keyring is locked: {registry}", why=why, do=f"unlock it, or {_INSTEAD}")
        case "plaintext":
            return CredentialError(
                f"the login for {registry} was not stored",
                why=f"{backend} would keep it readable on the disk",
                do="install a keyring that encrypts (gnome-keyring, KWallet)",
            )
        case _:
            return CredentialError(f"the keyring failed for {registry}", why=f"{backend}: {why}", do=_INSTEAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Which users of which registries were stored, in a file without secrets.

    Args:
        path: the file, or None when the environment names no place for it.
        seconds: how long to wait for another process that writes it.
    """

    path: Path | None
    seconds: float

    def entries(self) -> tuple[tuple[str, str], ...]:
        """Registry and user of every entry, sorted."""
        if self.path is None:
            return ()
        try:
            document = json.loads(self.path.read_text("utf-8"))
            return tuple(sorted({(_text(entry["registry"]), _text(entry["user"])) for entry in document["logins"]}))
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            raise _unreadable(self.path, error.strerror or type(error).__name__) from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _unreadable(self.path, "it is not the list of logins that was written there") from None

    def add(self, registry: str, user: str) -> None:
        """Add the entry; one that is there stays."""
        with self._locked() as path:
            _write(path, {*self.entries(), (registry, user)})

    def remove(self, registry: str, users: Iterable[str]) -> None:
        """Remove the entries of these users."""
        gone = {(registry, user) for user in users}
        if not gone & set(self.entries()):
            return
        with self._locked() as path:
            _write(path, set(self.entries()) - gone)

    @contextmanager
    def _locked(self) -> Iterator[Path]:
        """The file's path, while no other process writes it."""
        if self.path is None:
            raise CredentialError(
                "no place for the list of logins", why="HOME is not set", do="set HOME or XDG_DATA_HOME"
            )
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unwritable(self.path, error) from None
        try:
            until = time.monotonic() + self.seconds
            while not _try_lock(lock):
                if time.monotonic() > until:
                    raise CredentialError(
                        f"{self.path} is locked", why="another process has been writing it for too long", do="try again"
                    )
                time.sleep(0.02)
            yield self.path
        finally:
            os.close(lock)


def _index_path(env: Mapping[str, str]) -> Path | None:
    """`ocibuild/basic-logins.json` in the user's data directory.

    Source: XDG Base Directory Specification; a relative path counts as unset there.
    """
    data, home = env.get("XDG_DATA_HOME", ""), env.get("HOME", "")
    if data.startswith("/"):
        base = Path(data)
    elif home.startswith("/"):
        base = Path(home, ".local", "share")
    else:
        return None
    return base / "ocibuild" / "basic-logins.json"


def _try_lock(lock: int) -> bool:
    import fcntl  # noqa: PLC0415  # only who writes needs it

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, entries: Iterable[tuple[str, str]]) -> None:
    """Replace the file in one step."""
    logins = [{"registry": registry, "user": user} for registry, user in sorted(entries)]
    # The lock is held, so one fixed name is enough; what a killed process left there is overwritten.
    draft = path.with_suffix(".new")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            json.dump({"logins": logins}, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _unreadable(path: Path, why: str) -> CredentialError:
    return CredentialError(
        f"cannot read the list of logins {path}",
        why=why,
        do="move it away and log in again; the passwords themselves are in the keyring",
    )


def _unwritable(path: Path, error: OSError) -> CredentialError:
    return CredentialError(
        f"cannot write the list of logins {path}",
        why=error.strerror or type(error).__name__,
        do="make the directory writable, or set XDG_DATA_HOME to one that is",
    )
