"""The credential helper inside a build: passes its call to the running build and prints the answer.

This file is also written out as a program of its own and run by `python -I -S`, once for every registry, so it
imports what costs nothing: `_socket` is the C module under `socket`, which takes 10 ms to import. The engine's wheel
has the same as a compiled program (engine/go/credential-helper), which is used where the wheel is installed.
"""

import os
import sys
from _socket import AF_UNIX, SHUT_WR, SOCK_STREAM, socket

BROKER_ENV = "OCIBUILD_BROKER"

READS_STDIN = ("get", "store", "erase")
"""`list` does not: clients write it a word that means nothing, people nothing at all.

Source: https://github.com/docker/docker-credential-helpers, credentials/credentials.go, `List`.
"""

_MOST = 1024 * 1024
_PATIENCE = 120.0


def main() -> int:
    """Answer one call of the protocol; gives the exit status."""
    action = sys.argv[1] if len(sys.argv) == 2 else ""  # noqa: PLR2004  # the program and its one argument
    question = read_all(0) if action in READS_STDIN else b""
    try:
        status, output = _ask(os.environ.get(BROKER_ENV, ""), action, question)
    except OSError as error:
        status, output = 1, f"the build that gave this login cannot be reached ({error.strerror or error})\n".encode()
    write_all(1, output)
    return status


def read_all(descriptor: int) -> bytes:
    """What stands on a descriptor, up to 1 MB; nothing when it is closed."""
    content = b""
    try:
        while len(content) < _MOST and (part := os.read(descriptor, 65536)):
            content += part
    except OSError:
        pass  # a closed stdin: nothing was asked
    return content


def write_all(descriptor: int, content: bytes) -> None:
    """Write, however many pieces it takes."""
    try:
        while content:
            content = content[os.write(descriptor, content) :]
    except BrokenPipeError:
        pass  # who asked has gone


def _ask(path: str, action: str, question: bytes) -> tuple[int, bytes]:
    connection = socket(AF_UNIX, SOCK_STREAM)
    connection.settimeout(_PATIENCE)
    connection.connect(path)
    connection.sendall(action.encode(errors="replace") + b"\n" + question)
    connection.shutdown(SHUT_WR)
    answer = b""
    while part := connection.recv(65536):
        answer += part
    if not answer:
        raise OSError("it gave no answer")
    return int(answer[:1]), answer[1:]


if __name__ == "__main__":
    os._exit(main())  # taking the interpreter down in good order would take a sixth of the call
