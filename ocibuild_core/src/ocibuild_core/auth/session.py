"""The logins of one build, put together: masking, resolver, broker, and the docker config that leads to it."""

from __future__ import annotations

import re
from contextlib import closing, contextmanager
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from ocibuild_core.auth.broker import Broker
from ocibuild_core.auth.compose import compose
from ocibuild_core.auth.docker_config import load_user_config
from ocibuild_core.auth.redact import Redactor
from ocibuild_core.auth.setup import make_resolver
from ocibuild_core.clock import SystemClock
from ocibuild_core.errors import masked_errors
from ocibuild_core.late_logging import get_logger
from ocibuild_core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from ocibuild_core.auth.answers import Answer
    from ocibuild_core.auth.docker_config import UserConfig
    from ocibuild_core.auth.login import LoginSettings
    from ocibuild_core.auth.protocol import Reply
    from ocibuild_core.auth.resolver import Resolver
    from ocibuild_core.catalog import Catalog
    from ocibuild_core.errors import OcibuildError
    from ocibuild_core.options import OptionValues


_log = get_logger("ocibuild.auth")
_USER_INFO = r"(?:[^:/@]*://)?[^:/@]*:(.+)@"


class AuthSession:
    """What a build needs of auth.

    Attributes:
        redactor: masks every secret that is known.
        child_env: what BuildKit's client must have in its environment.
        directory: private, gone when the session ends.
        proxy_args: build arguments that the user's docker config asks for (`proxies`), by name. What the user gives
            as a build argument himself counts more.
    """

    def __init__(
        self,
        lookup: _Lookup,
        redactor: Redactor,
        *,
        child_env: Mapping[str, str],
        directory: Path,
        proxy_args: Mapping[str, str],
    ) -> None:
        self._lookup = lookup
        self.redactor = redactor
        self.child_env = child_env
        self.directory = directory
        self.proxy_args = proxy_args

    @property
    def resolver(self) -> Resolver:
        """Who answers for which registry."""
        return self._lookup.resolver()

    @property
    def failures(self) -> Mapping[str, OcibuildError]:
        """See `Resolver.failures`."""
        return self.resolver.failures if self._lookup.is_made else {}

    def require(self, registries: Collection[str], *, pushed: Collection[str]) -> Mapping[str, Answer]:
        """See `Resolver.require`."""
        if not registries and not pushed and not self._lookup.is_made:
            return {}
        return self.resolver.require(registries, pushed=pushed)


class _Lookup:
    """The resolver, made when a registry is first asked for: a build without one is spared all that belongs to it."""

    def __init__(self, make: Callable[[], Resolver]) -> None:
        self._make = make
        self._lock = Lock()
        self._made: Resolver | None = None

    @property
    def is_made(self) -> bool:
        return self._made is not None

    def resolver(self) -> Resolver:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def reply(self, action: str, question: bytes) -> Reply:
        """See `Responder.reply`."""
        from ocibuild_core.auth.protocol import Responder  # noqa: PLC0415  # see above

        return Responder(self.resolver().resolve).reply(action, question)


@contextmanager
def open_session(  # noqa: PLR0913  # all that decides who logs in, each from another part
    *,
    login: LoginSettings,
    catalog: Catalog,
    options: Mapping[str, OptionValues],
    env: Mapping[str, str],
    addr: str,
    outside: Sequence[Path],
    helper: Path | None = None,
) -> Iterator[AuthSession]:
    """Serve credentials until the block ends; nothing of it remains. Errors that leave the block are masked.

    Args:
        login: what the user said about logins.
        catalog: what is installed.
        options: the values of each provider's options, by its name.
        env: the user's environment.
        addr: the BuildKit that is used, empty for one of our own: a docker config may have proxies for it alone.
        outside: directories that nothing of ours may lie in (`compose`).
        helper: see there.

    Raises:
        OcibuildError: a provider that was named is not there, or the user's docker config is malformed.
    """
    config = load_user_config(env, timeout=login.timeout)
    redactor = _redactor(options)
    lookup = _Lookup(
        partial(_resolver, redactor=redactor, login=login, catalog=catalog, options=options, env=env, config=config)
    )
    with masked_errors(redactor.text), closing(config):
        if login.names() or _is_anything_set(options):
            lookup.resolver()  # what is wrong with it, and what was set in vain, is to be told
        proxy_args = config.proxies(addr)
        _learn_proxy_passwords(proxy_args, redactor)
        with Broker(lookup) as broker, compose(broker, env=env, outside=outside, helper=helper) as composed:
            yield AuthSession(
                lookup,
                redactor,
                child_env=composed.child_env,
                directory=composed.directory,
                proxy_args=proxy_args,
            )


def make_session_resolver(
    *,
    login: LoginSettings,
    catalog: Catalog,
    options: Mapping[str, OptionValues],
    env: Mapping[str, str],
) -> tuple[Resolver, Redactor]:
    """The resolver of a process and the redactor that knows whatever secret it comes to know.

    Args and errors as of `open_session`.
    """
    redactor = _redactor(options)
    config = load_user_config(env, timeout=login.timeout)
    resolver = _resolver(redactor=redactor, login=login, catalog=catalog, options=options, env=env, config=config)
    return resolver, redactor


def _redactor(options: Mapping[str, OptionValues]) -> Redactor:
    redactor = Redactor()
    redactor.add_options(*options.values())
    return redactor


def _learn_proxy_passwords(proxy_args: Mapping[str, str], redactor: Redactor) -> None:
    """Mask the passwords in proxies' addresses, and tell what becomes of them."""
    found = {name: match[1] for name, value in proxy_args.items() if (match := re.match(_USER_INFO, value))}
    if not found:
        return
    from urllib.parse import unquote  # noqa: PLC0415  # few have a proxy with a password

    for text in found.values():
        redactor.add(Secret(text))
        redactor.add(Secret(unquote(text)))
    _log.warning(
        "the docker config has a password in its proxies (%s): as a build argument it stands in the arguments of "
        "BuildKit's client, where every user of this machine can read it during the build\n"
        "  do     use a proxy that asks for none, or build where nobody else is",
        ", ".join(name for name in found if name.isupper()),
    )


def _is_anything_set(options: Mapping[str, OptionValues]) -> bool:
    return any(values.origin(name) is not None for values in options.values() for name in values)


def _resolver(  # noqa: PLR0913  # see `open_session`
    *,
    redactor: Redactor,
    login: LoginSettings,
    catalog: Catalog,
    options: Mapping[str, OptionValues],
    env: Mapping[str, str],
    config: UserConfig,
) -> Resolver:
    return make_resolver(
        login=login,
        catalog=catalog,
        options=options,
        config=config,
        env=env,
        clock=SystemClock(),
        learned=redactor.add_credential,
    )
