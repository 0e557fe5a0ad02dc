"""Write docs/environment.md and docs/exit-codes.md from the code; `--check` compares."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from generated import write_or_check
from ocibuild_basic.provider import BasicProvider
from ocibuild_core.exporters import ocibuild_exporters
from ocibuild_core.settings.table import FIELDS
from ocibuild_core.spellings import Owner, spelt
from ocibuild_ecr import ocibuild_auth_providers as ecr_providers
from ocibuild_gcr import ocibuild_auth_providers as gcr_providers

from ocibuild_core import child_environment as children
from ocibuild_core import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocibuild_core.plugin import AuthProvider

DOCS = Path(__file__).parents[1] / "docs"
_NOTE = "Written by `scripts/environment_reference.py` from the code; change the code, not this page."

# What is read beside settings and options: whose meaning it has, and what for.
AMBIENT: dict[str, str] = {
    "PATH": "where `buildkitd`, `buildctl`, `git`, credential helpers and the like are looked for",
    "HOME": "the user's files: docker config, `~/.config/ocibuild.yml`, the engine's state",
    "XDG_CONFIG_HOME": "instead of `~/.config`",
    "XDG_STATE_HOME": "instead of `~/.local/state`, for the engine's state",
    "XDG_DATA_HOME": "instead of `~/.local/share`, for the list of logins in the keyring",
    "XDG_RUNTIME_DIR": "where sockets and private directories lie",
    "TMPDIR": "the same, where there is no other place, and for what is large and passes",
    "DOCKER_CONFIG": "the directory of the docker config that is read",
    "DOCKER_AUTH_CONFIG": "a docker config as text; it counts before the file",
    "REGISTRY_AUTH_FILE": "podman's file of logins; read after the docker config",
    "LD_LIBRARY_PATH": "handed on to the credential helper, whose Python may need it",
    "COLUMNS": "the width of `--help`",
    "HTTPS_PROXY": "like `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`: for BuildKit, logins and checks; lower case as well",
    "SSL_CERT_FILE": "further certificate authorities; `SSL_CERT_DIR` likewise",
    "SSH_AUTH_SOCK": "the agent for `--ssh default`",
    "ACTIONS_RUNTIME_TOKEN": "with `ACTIONS_RESULTS_URL` or `ACTIONS_CACHE_URL`: the cache of GitHub Actions is there",
    "NO_COLOR": "with `TERM`, `BUILDKIT_COLORS` and `BUILDKIT_TTY_LOG_LINES`: how BuildKit shows its progress",
}
_CODES = (
    (1, "the build itself", "a step of the Dockerfile failed, or an image or file that it names is missing"),
    (2, "usage or settings", "an argument, a variable or a file of settings makes no sense; nothing was started"),
    (3, "a login", "missing, wrong, expired or refused; the error names plugin, registry and remedy"),
    (4, "a plugin", "unknown, not installed, broken, or in conflict with another one"),
    (5, "the engine", "BuildKit was not found, did not start, cannot be reached, or died"),
    (6, "writing what was built", "a disk is full, a directory cannot be written to, `docker load` failed"),
)


def pages() -> dict[str, str]:
    """Name and text of each page."""
    return {"environment.md": "\n".join(_environment()) + "\n", "exit-codes.md": "\n".join(_exit_codes()) + "\n"}


def _environment() -> Iterator[str]:
    yield from ("# Environment", "")
    yield "Every variable that means something here. An empty one counts as unset. An argument wins over its variable."
    yield from ("", "## Settings", "", "| variable | meaning |", "|---|---|")
    for field in FIELDS:
        names = [*(f"`{name}`" for name in field.env), *([f"`{field.prefix}…`"] if field.prefix else [])]
        if names:
            yield f"| {', '.join(names)} | {_cell(field.help)} |"
    yield from ("", "How each is written, and its other spellings: [params](params.md).")
    yield from ("", "## Outputs", "", "Options of an output, where `--output NAME,key=value` does not say them.", "")
    yield from ("| variable | option | meaning |", "|---|---|---|")
    for exporter in ocibuild_exporters():
        for option, spellings in spelt(Owner.of_exporter(exporter)):
            name = f"`{exporter.name},{option.name}=`"
            yield f"| {_names(spellings.variables())} | {name} | {_cell(option.help)} |"
    for title, provider in _providers():
        yield from ("", f"## {title}", "", "| variable | meaning |", "|---|---|")
        yield from _options(provider)
    yield from ("", "## What belongs to others", "", "| variable | meaning |", "|---|---|")
    yield from (f"| `{name}` | {meaning} |" for name, meaning in AMBIENT.items())
    yield from ("", "The clouds' own variables (`AWS_…`, `GOOGLE_…`) are in the pages of their plugins.")
    yield from ("", "## What each program gets", "")
    yield "By name, and nothing else. `X_*` stands for all that begin so."
    yield from ("", "| program | variables |", "|---|---|")
    yield from (f"| {program} | {_names(names)} |" for program, names in _children())
    yield from (
        "",
        "A program that you choose yourself (a credential helper of your docker config, the `docker` behind a",
    )
    yield f"`docker-container://` address) gets your environment without {_names(children.WITHHELD)}."
    yield from ("", _NOTE)


def _providers() -> Iterable[tuple[str, AuthProvider]]:
    (ecr,), (gcr,) = ecr_providers(), gcr_providers()
    return (("Login with `basic`", BasicProvider()), ("Login with `ecr`", ecr), ("Login with `gcr`", gcr))


def _options(provider: AuthProvider) -> Iterator[str]:
    for option, spellings in spelt(Owner.of_provider(provider)):
        yield f"| {_names(spellings.variables())} | {_cell(option.help)} |"


def _children() -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "`buildctl`", children.CLIENT
    yield from ((f"`buildctl`, with a cache of type `{kind}`", names) for kind, names in children.CACHES.items())
    yield "`buildkitd`, `rootlesskit`", children.DAEMON
    yield from (
        (f"`buildkitd`, with a cache of type `{kind}`", names) for kind, names in children.DAEMON_CACHES.items()
    )


def _exit_codes() -> Iterator[str]:
    known = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}
    if known != {code for code, *_ in _CODES}:
        raise SystemExit(f"the exit codes of the errors are {sorted(known)}: tell of each in {__file__}")
    yield from ("# Exit codes", "", "| code | what failed | which means |", "|---|---|---|")
    yield "| 0 | nothing | outputs and pushes are complete |"
    yield from (f"| {code} | {what} | {meaning} |" for code, what, meaning in _CODES)
    yield "| 128+n | signal n | the run was broken off: 130 for Ctrl-C, 143 for `kill` |"
    order = ", ".join(str(code) for code in _by_stage(known))
    yield from ("", f"Of several failures all are printed, and the earliest stage decides: {order}. All programs keep")
    yield "to this table but the credential helper, whose protocol knows one code: 1."
    yield from ("", _NOTE)


def _by_stage(codes: set[int]) -> Iterator[int]:
    while codes:
        first = errors.first_stage(codes)
        yield first
        codes = codes - {first}


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names if not name.islower())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(write_or_check(DOCS, pages()))
