"""The logins of one build, put together: masking, resolver, broker, and the docker config that leads to it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from ocibuild_core.auth.broker import Broker
from ocibuild_core.auth.compose import compose
from ocibuild_core.auth.docker_config import load_user_config
from ocibuild_core.auth.protocol import Responder
from ocibuild_core.auth.redact import Redactor
from ocibuild_core.auth.setup import make_resolver
from ocibuild_core.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ocibuild_core.auth.docker_config import UserConfig
    from ocibuild_core.auth.login import LoginSettings
    from ocibuild_core.auth.resolver import Resolver
    from ocibuild_core.catalog import Catalog
    from ocibuild_core.options import OptionValues


class AuthSession(NamedTuple):
    """What a build needs of auth.

    Args:
        redactor: masks every secret that is known.
        resolver: who answers for which registry.
        child_env: what BuildKit's client must have in its environment.
        directory: private, gone when the session ends.
        proxy_args: build arguments that the user's docker config asks for (`proxies`), by name. What the user gives
            as a build argument himself counts more.
    """

    redactor: Redactor
    resolver: Resolver
    child_env: Mapping[str, str]
    directory: Path
    proxy_args: Mapping[str, str]


@contextmanager
def open_session(  # noqa: PLR0913  # all that decides who logs in, each from another part
    *,
    login: LoginSettings,
    catalog: Catalog,
    options: Mapping[str, OptionValues],
    env: Mapping[str, str],
    addr: str,
    outside: Sequence[Path],
) -> Iterator[AuthSession]:
    """Serve credentials until the block ends; nothing of it remains.

    Args:
        login: what the user said about logins.
        catalog: what is installed.
        options: the values of each provider's options, by its name.
        env: the user's environment.
        addr: the BuildKit that is used, empty for one of our own: a docker config may have proxies for it alone.
        outside: directories that nothing of ours may lie in (`compose`).

    Raises:
        OcibuildError: a provider that was named is not there, or the user's docker config is malformed.
    """
    config = load_user_config(env, timeout=login.timeout)
    resolver, redactor = make_session_resolver(login=login, catalog=catalog, options=options, env=env, config=config)
    with Broker(Responder(resolver.resolve)) as broker, compose(broker, env=env, outside=outside) as composed:
        yield AuthSession(
            redactor=redactor,
            resolver=resolver,
            child_env=composed.child_env,
            directory=composed.directory,
            proxy_args=config.proxies(addr),
        )


def make_session_resolver(
    *,
    login: LoginSettings,
    catalog: Catalog,
    options: Mapping[str, OptionValues],
    env: Mapping[str, str],
    config: UserConfig | None = None,
) -> tuple[Resolver, Redactor]:
    """The resolver of a process and the redactor that knows whatever secret it comes to know.

    Args and errors as of `open_session`; `config` is the user's docker config when it is loaded already.
    """
    redactor = Redactor()
    for values in options.values():
        redactor.add_options(values)
    resolver = make_resolver(
        login=login,
        catalog=catalog,
        options=options,
        config=config or load_user_config(env, timeout=login.timeout),
        env=env,
        clock=SystemClock(),
        learned=redactor.add_credential,
    )
    return resolver, redactor
