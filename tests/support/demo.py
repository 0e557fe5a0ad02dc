"""Programs of ocibuild in a home of their own, with made plugins whose providers behave as a variable says."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.helpers import HelperDirectory
from support.programs import PROGRAMS

HELPER = PROGRAMS / "docker-credential-ocibuild"
OCIBUILD = PROGRAMS / "ocibuild"

_PLUGIN = """
import datetime, os, subprocess, sys, time
from ocibuild_core.plugin import (
    AuthProvider, Credential, CredentialError, CredentialStore, Match, Option, OptionType, Secret, StoredCredential,
    hookimpl,
)

class Provider(AuthProvider, CredentialStore):
    name = "@name@"
    summary = "For tests."
    aliases = ("@name@-alias",)
    options = (
        Option(name="token", help="Token", type=OptionType.SECRET),
        Option(name="mode", help="How to behave", default=""),
        Option(name="count", help="A number", type=OptionType.INT),
        Option(name="life", help="Seconds that a credential lives", type=OptionType.DURATION),
    )
    def match(self, registry, options):
        return Match.SPECIFIC if registry.partition(":")[0].endswith("@name@.example") else Match.NO
    def get(self, request):
        mode, token = request.options.text("mode"), request.options.secret("token")
        life = request.options.seconds("life")
        if mode == "prints":
            print("to stdout")
            os.write(1, b"to descriptor 1\\n")
            subprocess.run(["echo", "from a child"], check=True)
        if mode == "hangs":
            time.sleep(600)
        if mode == "hangs in a pool":
            from concurrent.futures import ThreadPoolExecutor
            ThreadPoolExecutor().submit(time.sleep, 600).result()
        if mode == "asks":
            input("password: ")
        if mode == "warns":
            request.log.warning("the token is %s", token.reveal())
        if mode == "exits":
            sys.exit(0)
        if mode == "fails":
            raise CredentialError("the service is down", do="wait")
        if mode == "tells":
            raise CredentialError("bad token " + token.reveal())
        if mode == "raises":
            raise ValueError("bad token " + token.reveal())
        if mode == "malformed":
            return ("user", token.reveal())
        if mode == "expired":
            life = -60
        end = request.clock.now() + datetime.timedelta(seconds=life) if life else None
        return Credential(username="@name@-user", secret=token, expires_at=end) if token else None
    def store(self, request, credential):
        with open(os.environ["HOME"] + "/kept", "a") as file:
            file.write(request.registry + " " + credential.username + "\\n")
    def erase(self, request):
        os.unlink(os.environ["HOME"] + "/kept")
        return True
    def list(self, context):
        return [StoredCredential(registry="docker.io", username="me")]

@hookimpl
def ocibuild_auth_providers():
    return [Provider()]
"""


class Demo:
    """A home, a directory of credential helpers, and a plugin `demo`: its provider is made for `*.demo.example`.

    `site` is where its modules are. `seconds` is how long a program may run.

    Args:
        directory: a directory of the test's own, with a short path.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.seconds = 60.0
        self.home = directory / "home"
        self.home.mkdir(mode=0o700, parents=True)
        self.helpers = HelperDirectory(directory / "helpers")
        self.site = directory / "site"
        self.env = {
            "PATH": f"{self.helpers.directory}:/usr/bin:/bin",
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "PYTHONPATH": str(self.site),
            "TMPDIR": str(directory),
        }
        self.install("demo")

    def install(self, name: str, source: str = "") -> None:
        """Install a plugin; by default one provider of its name, told by `NAME_TOKEN`, `NAME_MODE`, `NAME_LIFE`."""
        info = self.site / f"{name}_plugin-1.0.dist-info"
        info.mkdir(parents=True)
        (self.site / f"{name}_plugin.py").write_text(source or _PLUGIN.replace("@name@", name))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-plugin\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[ocibuild]\n{name} = {name}_plugin\n")

    def module(self, name: str, source: str) -> None:
        """Put a module (`a/b`: within a package) where Python finds it before any installed one."""
        path = self.site / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)

    def run(self, *command: str | Path, question: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return subprocess.run(
            command,
            input=question,
            capture_output=True,
            text=True,
            env=self.env | env,
            cwd=self.home,
            check=False,
            timeout=self.seconds,
        )

    def helper(self, *arguments: str, question: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """The credential helper on its own."""
        return self.run(HELPER, *arguments, question=question, **env)

    def get(self, question: str, **env: str) -> dict[str, str]:
        """What the helper gives; fails the test when it gives nothing or talks."""
        ended = self.helper("get", question=question, **env)
        assert (ended.returncode, ended.stderr) == (0, ""), ended
        return json.loads(ended.stdout)  # type: ignore[no-any-return]

    def explain(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """`ocibuild auth explain`."""
        return self.run(OCIBUILD, "auth", "explain", *arguments, **env)

    def answers(self, *hosts: str, **env: str) -> list[dict[str, Any]]:
        """What `ocibuild auth explain --json` says; fails the test when a login failed."""
        ended = self.explain("--json", *hosts, **env)
        assert ended.returncode == 0, ended
        return json.loads(ended.stdout)  # type: ignore[no-any-return]

    def python(self, program: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """A program in Python."""
        return self.run(sys.executable, "-c", program, *arguments, **env)

    def settings(self, text: str) -> None:
        """The user's own file of settings."""
        path = self.home / ".config" / "ocibuild.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def docker_config(self, document: object, mode: int = 0o600) -> Path:
        """The user's docker config: JSON, or the text itself."""
        path = self.home / ".docker" / "config.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        path.chmod(mode)
        return path


def login(user: str, password: str) -> dict[str, str]:
    """An entry of a docker config."""
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}
