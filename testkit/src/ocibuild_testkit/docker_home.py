"""A home directory with a docker config in it, as a user of docker has it."""

from __future__ import annotations

import base64
import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# A credential helper of the user's own. The protocol and its words are docker's
# (github.com/docker/docker-credential-helpers, credentials/).
_HELPER = """\
#!{python} -IS
import json, sys
path = {store!r}
with open(path) as file:
    kept = json.load(file)
verb, given = sys.argv[1], sys.stdin.read().strip()
with open({calls!r}, "a") as log:
    log.write(json.dumps([verb, json.loads(given)["ServerURL"] if verb == "store" else given]) + "\\n")
if verb == "get":
    if given not in kept:
        print("credentials not found in native keychain")
        sys.exit(1)
    username, secret = kept[given]
    print(json.dumps({{"ServerURL": given, "Username": username, "Secret": secret}}))
elif verb == "list":
    print(json.dumps({{url: username for url, (username, _) in kept.items()}}))
elif verb in ("store", "erase"):
    if verb == "store":
        new = json.loads(given)
        kept[new["ServerURL"]] = [new["Username"], new["Secret"]]
    else:
        kept.pop(given, None)
    with open(path, "w") as file:
        json.dump(kept, file)
else:
    print("Unknown action: " + verb)
    sys.exit(1)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HelperCall:
    """One call of a credential helper.

    Args:
        verb: `get`, `store`, `erase`, `list`.
        server: what it was called for.
    """

    verb: str
    server: str


class DockerHome:
    """A HOME that holds `.docker/config.json`, and a directory for credential helpers.

        home.auth("r.example", "alice", password)
        home.helper("mine", {"s.example": ("bob", other)}, answers_for=("s.example",))
        subprocess.run(["docker", "pull", "r.example/app"], env=home.env())

    Each method writes the file at once and returns the home. What is in there are secrets, in plain text.

    Args:
        path: the home directory; made when it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bin = path / "bin"
        self.config_directory = path / ".docker"
        self.config_file = self.config_directory / "config.json"
        for directory in (path, self.bin, self.config_directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def config(self) -> dict[str, Any]:
        """What the config file holds now."""
        return dict(json.loads(self.config_file.read_text())) if self.config_file.exists() else {}

    def set(self, key: str, value: object) -> Self:
        """Put `value` under a top-level key of the config (`credsStore`, `proxies`, …)."""
        return self.write(json.dumps({**self.config, key: value}, indent=1))

    def write(self, text: str) -> Self:
        """Make the config file exactly this, however broken."""
        self.config_file.touch(mode=0o600)
        self.config_file.write_text(text)
        return self

    def auth(self, registry: str, username: str, password: str) -> Self:
        """Add what `docker login` writes when there is no credential store."""
        encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
        return self._add("auths", registry, {"auth": encoded})

    def identity_token(self, registry: str, token: str) -> Self:
        """Add an identity token, as `docker login` keeps it for registries that hand one out."""
        encoded = base64.b64encode(b"00000000-0000-0000-0000-000000000000:").decode()
        return self._add("auths", registry, {"auth": encoded, "identitytoken": token})

    def helper(
        self,
        name: str,
        credentials: Mapping[str, tuple[str, str]],
        *,
        answers_for: tuple[str, ...] = (),
        is_store: bool = False,
    ) -> Self:
        """Add a working credential helper `docker-credential-NAME`.

        Args:
            name: its name.
            credentials: user and password by server, exactly as it will be asked.
            answers_for: registries for which the config names it (`credHelpers`).
            is_store: the config names it for all others (`credsStore`).
        """
        store = self.path / f"{name}.json"
        store.touch(mode=0o600)
        store.write_text(json.dumps(credentials))
        self.script(name, _HELPER.format(python=sys.executable, store=str(store), calls=str(self._calls(name))))
        for registry in answers_for:
            self._add("credHelpers", registry, name)
        return self.set("credsStore", name) if is_store else self

    def script(self, name: str, text: str) -> Self:
        """Add a credential helper that is this program, with its `#!` line."""
        path = self.bin / f"docker-credential-{name}"
        path.write_text(text)
        path.chmod(0o700)
        return self

    def calls(self, name: str) -> tuple[HelperCall, ...]:
        """What the helper was asked so far, in order."""
        log = self._calls(name)
        lines = log.read_text().splitlines() if log.exists() else []
        return tuple(HelperCall(verb=verb, server=server) for verb, server in map(json.loads, lines))

    def env(self, path: str | None = None) -> dict[str, str]:
        """HOME and PATH with which programs find the config and the helpers.

        Args:
            path: what follows the helpers on PATH; None is this process's PATH.
        """
        return {"HOME": str(self.path), "PATH": f"{self.bin}:{os.environ.get('PATH', '') if path is None else path}"}

    def _add(self, key: str, name: str, value: object) -> Self:
        return self.set(key, {**self.config.get(key, {}), name: value})

    def _calls(self, name: str) -> Path:
        return self.path / f"{name}.calls"
