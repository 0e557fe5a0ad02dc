"""What each child process gets of the user's environment: by name, and nothing else.

The rows are data, so that this page is also the answer to "does BuildKit see my variable?". Every function is pure: a
mapping goes in, a new one comes out.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path


def _both_cases(*names: str) -> tuple[str, ...]:
    return tuple(spelling for name in names for spelling in (name, name.lower()))


# Each row is a group of variables that belong together; `X_*` stands for all that begin so.
PROGRAMS = ("PATH",)
HOME = ("HOME",)
LOCALE = ("LANG", "LANGUAGE", "LC_*")
PROXIES = _both_cases("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "FTP_PROXY")
AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
SSH_AGENT = ("SSH_AUTH_SOCK",)
# How BuildKit shows its progress (util/progress/progressui/init.go): a person's taste, no secret.
DISPLAY = ("TERM", "NO_COLOR", "BUILDKIT_COLORS", "BUILDKIT_TTY_LOG_LINES")
# How much of a step's output the daemon hands on (util/progress/logs/logs.go).
STEP_LOGS = ("BUILDKIT_STEP_LOG_MAX_SIZE", "BUILDKIT_STEP_LOG_MAX_SPEED")
# Go's own: how it collects garbage, how many processors it uses (https://pkg.go.dev/runtime#hdr-Environment_Variables).
GO_RUNTIME = ("GOGC", "GOMEMLIMIT", "GOMAXPROCS")
GITHUB_CACHE = ("ACTIONS_*",)
AWS = ("AWS_*",)
AZURE = ("AZURE_*", "BUILDKIT_AZURE_*")

CLIENT = (*PROGRAMS, *HOME, *LOCALE, *PROXIES, *AUTHORITIES, *SSH_AGENT, *DISPLAY, *GO_RUNTIME)
"""`buildctl`, whatever it builds."""
DAEMON = (*PROGRAMS, *PROXIES, *AUTHORITIES, *STEP_LOGS, *GO_RUNTIME)
"""`buildkitd` and, for an ordinary user, `rootlesskit` around it."""
CACHES = {"gha": GITHUB_CACHE, "s3": AWS}
"""What a cache of that type needs besides (cmd/buildctl/build/util.go, cache/remotecache/s3/s3.go)."""
DAEMON_CACHES = {"s3": AWS, "azblob": AZURE}
"""The same for the daemon: it is the daemon that speaks to S3 and Azure, with the credentials that its environment has
(cache/remotecache/azblob/utils.go)."""

# Percent of what is in use that may be garbage before it is collected, where the user says nothing. Go's 100 has both
# programs collect half a dozen times while they start, a sixth of what a small build takes of the processors.
_DAEMON_GARBAGE = {"GOGC": "200"}
_CLIENT_GARBAGE = {"GOGC": "400"}

WITHHELD = ("PASS", "DOCKER_AUTH_CONFIG", "BUILDKIT_SECRETTEXT_*")
"""What not even a program of the user's own choice gets: it is ours to read, and nobody else's."""


def for_buildctl(
    user: Mapping[str, str], *, secret_names: Collection[str] = (), cache_types: Iterable[str] = ()
) -> dict[str, str]:
    """What `buildctl` gets.

    Args:
        user: the user's environment.
        secret_names: variables that the build was told to use as secrets (`--secret id=…,env=NAME`).
        cache_types: the types of the caches that the build imports or exports.
    """
    picked = _pick(user, (*CLIENT, *_of_caches(CACHES, cache_types), *secret_names))
    picked.pop("PASS", None)
    return _CLIENT_GARBAGE | picked


def for_buildkitd(
    user: Mapping[str, str], *, programs: Path, runtime: Path, temporary: Path, cache_types: Iterable[str] = ()
) -> dict[str, str]:
    """What the daemon gets, and `rootlesskit` around it.

    Its XDG_RUNTIME_DIR is ours, because runc keeps its containers there; a missing, foreign or read-only one of the
    user's does no harm. Its USER is anybody but root, who would look for them elsewhere, in a user namespace, too
    (main.go in opencontainers/runc). There BuildKit takes the defaults of its flags from XDG_CONFIG_HOME then, which is
    ours as well, and not from the configuration of another BuildKit in /etc (`isRootlessConfig` in cmd/buildkitd).

    Args:
        user: the user's environment.
        programs: the directory of runc and the other programs; first on its PATH.
        runtime: a private directory for sockets and containers.
        temporary: a private directory for the rest.
        cache_types: the types of the caches that the build imports or exports.
    """
    picked = _pick(user, (*DAEMON, *_of_caches(DAEMON_CACHES, cache_types)))
    return {
        **_DAEMON_GARBAGE,
        **picked,
        "PATH": search_path(picked.get("PATH", ""), first=programs),
        "USER": "ocibuild",
        "XDG_RUNTIME_DIR": str(runtime),
        "XDG_CONFIG_HOME": str(runtime),
        "TMPDIR": str(temporary),
    }


def for_user_program(user: Mapping[str, str], *, secret_names: Collection[str] = ()) -> dict[str, str]:
    """What a program gets that the user chose: a credential helper of his docker config, `docker` behind an address.

    It is his environment, his own DOCKER_CONFIG included, without what is ours to read.

    Args:
        user: the user's environment.
        secret_names: further variables to keep back.
    """
    withheld = _pick(user, (*WITHHELD, *secret_names))
    return {name: value for name, value in user.items() if name not in withheld}


def search_path(path: str, *, first: Path) -> str:
    """A PATH that begins with `first`; the system's own directories follow, for a daemon finds `newuidmap` or `git`."""
    system = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
    entries = [str(first), *(entry for entry in path.split(":") if entry.startswith("/")), *system]
    return ":".join(dict.fromkeys(entries))


def _of_caches(table: Mapping[str, tuple[str, ...]], types: Iterable[str]) -> tuple[str, ...]:
    return tuple(row for name in types for row in table.get(name, ()))


def _pick(user: Mapping[str, str], rows: Iterable[str]) -> dict[str, str]:
    wanted = frozenset(rows)
    prefixes = tuple(row[:-1] for row in wanted if row.endswith("*"))
    return {name: value for name, value in user.items() if name in wanted or (prefixes and name.startswith(prefixes))}
