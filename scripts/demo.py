"""The main job, for real: a base image from a registry with a password and TLS, one RUN step, an image on disk.

Everything lives in a temporary directory and on loopback, and is gone when this ends.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shlex
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from ocibuild_testkit.registry import Authority, PasswordAuth, RegistryServer, busybox_files

USER = "alice"
DOCKERFILE = """\
FROM {base}
RUN echo "built on $(uname -m) as $(id -un 2>/dev/null || id -u)" > /hello.txt
CMD ["cat", "/hello.txt"]
"""


def main() -> int:
    """Run the demo; 0 when it showed what it is to show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wrong-password", action="store_true", help="show how a refused login looks")
    wrong = parser.parse_args().wrong_password
    password = secrets.token_urlsafe(12)
    with (
        tempfile.TemporaryDirectory(prefix="ocibuild-demo-") as directory,
        RegistryServer(auth=PasswordAuth({USER: password}), tls=Authority("demo authority")) as registry,
    ):
        registry.push_image("team/base:1", files=busybox_files())
        work = Path(directory)
        (work / "image").mkdir()
        (work / "Dockerfile").write_text(DOCKERFILE.format(base=registry.reference("team/base:1")))
        title(
            f"A registry with TLS and a password is up at {registry.address}; the Dockerfile builds on an image in it"
        )
        print(indent((work / "Dockerfile").read_text()))
        title("Build it, logged in by the plugin 'basic'")
        given = secrets.token_urlsafe(12) if wrong else password
        code = run_build(work, registry, given)
        return show_refusal(work, code) if wrong else show_image(work, code)


def run_build(work: Path, registry: RegistryServer, password: str) -> int:
    """`build --login basic` as a person would type it; the password is in the environment alone."""
    command = ["build", "--login", "basic", "--registry-ca", f"{registry.address}={registry.ca_file}", "."]
    print(f"  $ PASS={USER}:… REG_URL=https://{registry.address} {shlex.join(command)}\n", flush=True)
    env = {**os.environ, "PASS": f"{USER}:{password}", "REG_URL": f"https://{registry.address}"}
    return subprocess.run(command, cwd=work, env=env, check=False).returncode


def show_image(work: Path, code: int) -> int:
    """What was built, read back from the archive."""
    if code != 0:
        print(f"\nThe build failed with exit code {code}; the lines above say why.", file=sys.stderr)
        return code
    archive, digest = work / "image" / "image.tar", (work / "image" / "digest").read_text()
    with tarfile.open(archive) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))[0]  # type: ignore[arg-type]
        with tarfile.open(fileobj=tar.extractfile(manifest["Layers"][-1])) as layer:
            hello = layer.extractfile("hello.txt").read().decode().strip()  # type: ignore[union-attr]
    title("What came out")
    print(f"  image/image.tar   {archive.stat().st_size:,} bytes, {len(manifest['Layers'])} layers")
    print(f"  image/digest      {digest}")
    print(f"  its /hello.txt    {hello}")
    print()
    print("BuildKit came from a wheel, started for this build alone, pulled from a private registry and is gone again.")
    print("The password was in no file, no argument and no log; `make demo-wrong-password` shows a refused login.")
    print("Next: `build .` in a directory of yours with a Dockerfile (source .venv/bin/activate), then `build --help`.")
    return 0


def show_refusal(work: Path, code: int) -> int:
    """A refused login ends with exit code 3 and touches no output."""
    left = sorted(path.name for path in (work / "image").iterdir())
    title("How it ended")
    print(f"  exit code   {code} (3 is a login: missing, wrong or refused)")
    print(f"  in image/   {', '.join(left) or 'nothing: no output was touched'}")
    return 0 if (code, left) == (3, []) else 1


def title(text: str) -> None:
    """A heading."""
    print(f"\n== {text}\n", flush=True)


def indent(text: str) -> str:
    """Two spaces before each line."""
    return "".join(f"  {line}\n" for line in text.splitlines())


if __name__ == "__main__":
    sys.exit(main())
