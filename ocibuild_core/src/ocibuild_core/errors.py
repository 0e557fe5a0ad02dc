"""Everything that can go wrong, as one family; each class is one exit code.

OcibuildError
├── UsageError               2  a setting, an argument or a file of settings
├── PluginError              4  a plugin: unknown, missing, broken
├── CredentialError          3  a login: wrong, refused, expired
│   └── CredentialsUnavailable  a login: nothing here to log in with
├── EngineError              5  BuildKit itself: not found, not started, died
├── BuildError               1  the Dockerfile's build
├── ExportError              6  what was built could not be written or sent
└── Failures                    several of the above; the earliest stage decides the code

Not of the family is `Interrupted`: nothing went wrong then.
"""

from __future__ import annotations

from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import ClassVar

# The order in which a run passes its stages, as exit codes: the first that failed is the one reported.
_STAGES = (2, 4, 3, 5, 1, 6)


class OcibuildError(Exception):
    """A failure that a person can act on.

    Args:
        summary: what failed and for which registry, file or plugin; one line, no full stop.
        why: the cause, when the summary does not hold it already.
        tried: what was looked for, in order.
        do: what the reader can do about it.

    No argument may hold a secret's value. `str()` gives the lines to print:

        >>> print(CredentialError("no credentials for r.example", tried=["env", "file"], do="set PASS=user:password"))
        no credentials for r.example
          tried  env, file
          do     set PASS=user:password
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, summary: str, *, why: str = "", tried: Sequence[str] = (), do: str = "") -> None:
        super().__init__(summary)
        self.summary = summary
        self.why = why
        self.tried = tuple(tried)
        self.do = do

    def __str__(self) -> str:
        rows = (("why", self.why), ("tried", ", ".join(self.tried)), ("do", self.do))
        return "\n".join([self.summary, *(_row(name, text) for name, text in rows if text)])


class UsageError(OcibuildError):
    """A setting is missing, malformed or in conflict with another. Nothing was started."""

    exit_code = 2


class PluginError(OcibuildError):
    """A plugin is unknown, not installed, broken or in conflict with another."""

    exit_code = 4


class CredentialError(OcibuildError):
    """A login went wrong: refused, expired, malformed, out of reach."""

    exit_code = 3


class CredentialsUnavailable(CredentialError):  # noqa: N818  # a state, not a fault
    """A provider is responsible for the registry but finds nothing to log in with.

    `summary` says so; `tried` lists where it looked.
    """


class EngineError(OcibuildError):
    """BuildKit could not be found, started, reached, or it died."""

    exit_code = 5


class BuildError(OcibuildError):
    """The build of the Dockerfile failed. BuildKit's own output has said where."""

    exit_code = 1


class ExportError(OcibuildError):
    """What was built could not be written, unpacked or sent. Earlier outputs are as they were."""

    exit_code = 6


class Failures(OcibuildError):  # noqa: N818  # several errors
    """Several failures of one run, all printed; the earliest stage gives the exit code.

    Those with one cause and one remedy share the lines that say it: a hundred registries of an identity that may not
    log in are a hundred lines and one remedy.
    """

    def __init__(self, errors: Sequence[OcibuildError]) -> None:
        if not errors:
            raise ValueError("Failures needs at least one error")
        self.errors = tuple(sorted(errors, key=lambda error: _STAGES.index(error.exit_code)))
        super().__init__(self.errors[0].summary)
        self.exit_code = first_stage(error.exit_code for error in errors)  # type: ignore[misc]  # a class constant everywhere else

    def __str__(self) -> str:
        by_rows: dict[object, list[OcibuildError]] = {}
        for error in self.errors:
            rows = (error.why, error.tried, error.do)
            # Without a cause and a remedy of its own, or with failures inside, an error stands alone.
            by_rows.setdefault(rows if any(rows) else id(error), []).append(error)
        return "\n".join("\n".join([*(one.summary for one in same[:-1]), str(same[-1])]) for same in by_rows.values())


class Interrupted(BaseException):
    """A signal asked us to end. Raised where the main thread stands, so that everything is cleaned up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


USERS_WISH = (KeyboardInterrupt, Interrupted)
"""What ends a run because its user wants that, whoever's code it is raised in: no plugin's fault."""


def first_stage(codes: Iterable[int]) -> int:
    """The exit code of the earliest stage among those of several failures; 0 for none."""
    return min((code for code in codes if code), key=_STAGES.index, default=0)


def raise_all(errors: Sequence[OcibuildError]) -> None:
    """Raise the one error as it is, several as `Failures`, none not at all."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise Failures(errors)


@contextmanager
def masked_errors(masked: Callable[[str], str]) -> Iterator[None]:
    """Mask the secrets in errors that leave the block: they quote other programs, which know no secret as one."""
    try:
        yield
    except OcibuildError as error:
        _mask(error, masked)
        raise


def _mask(error: OcibuildError, masked: Callable[[str], str]) -> None:
    """In place, so that traceback and cause stay."""
    for inner in error.errors if isinstance(error, Failures) else ():
        _mask(inner, masked)
    error.summary, error.why, error.do = masked(error.summary), masked(error.why), masked(error.do)
    error.tried = tuple(map(masked, error.tried))
    error.args = (error.summary,)


def _row(name: str, text: str) -> str:
    first, *more = text.splitlines()
    return "\n".join([f"  {name:<5}  {first}", *(f"         {line}" for line in more)])
