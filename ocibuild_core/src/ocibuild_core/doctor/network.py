"""The registries that a build would ask: where they are, by which way, and what they answer."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ocibuild_core.auth.calls import Call, CallTimeout
from ocibuild_core.records import NamedTuple
from ocibuild_core.registry.hosts import api_host, host_of
from ocibuild_core.registry.http import Unreachable
from ocibuild_core.registry.ways import Way, Ways, open_check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from ocibuild_core.clock import Clock

SECONDS = 5.0
"""For one answer of a network."""


class Proxy(NamedTuple):
    """A proxy that the environment names.

    Args:
        variable: the variable.
        address: `host:port`, without user and password; empty when the value is malformed.
        host: its host.
        port: its port.
    """

    variable: str
    address: str
    host: str = ""
    port: int = 0


class Endpoint(NamedTuple):
    """A registry, and how it is reached.

    Args:
        registry: its one name.
        way: how it is spoken to.
        proxy: what is in between.
    """

    registry: str
    way: Way = Way()
    proxy: Proxy | None = None

    @property
    def host(self) -> str:
        """The name or address that is connected to, unless a proxy is."""
        return host_of(api_host(self.registry)).strip("[]")


class Ping(NamedTuple):
    """What a registry answered.

    Args:
        endpoint: the registry.
        status: the HTTP status; 0 when there was no answer.
        problem: why there was none.
        ahead: seconds that this machine's clock is ahead of the registry's; None when it did not say.
        is_plain_http: it was asked without TLS.
    """

    endpoint: Endpoint
    status: int = 0
    problem: str = ""
    ahead: float | None = None
    is_plain_http: bool = False


class Network:
    """Looks when it is first asked, once, whoever asks from whichever thread.

    Args:
        names: gives the registries; may take its time.
        tables: what the engine is told about registries (`daemon_config`).
        env: the user's environment.
        clock: where time comes from.
    """

    def __init__(
        self,
        names: Callable[[], Sequence[str]],
        *,
        tables: Mapping[str, object],
        env: Mapping[str, str],
        clock: Clock,
    ) -> None:
        self._names = names
        self._ways = Ways(tables)
        self._env = env
        self._clock = clock
        self._lock = threading.RLock()
        self._endpoints: tuple[Endpoint, ...] | None = None
        self._pings: tuple[Ping, ...] | None = None

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The registries."""
        with self._lock:
            if self._endpoints is None:
                self._endpoints = tuple(self._endpoint(name) for name in self._names())
            return self._endpoints

    def pings(self) -> tuple[Ping, ...]:
        """What each of them answers, asked side by side."""
        with self._lock:
            if self._pings is None:
                self._pings = tuple(self._ping_all(self.endpoints()))
            return self._pings

    def proxies(self) -> tuple[Proxy, ...]:
        """What the environment names, each address once."""
        found = (_proxy(self._env, scheme) for scheme in ("https", "http"))
        return tuple({proxy.address or proxy.variable: proxy for proxy in found if proxy}.values())

    def _endpoint(self, registry: str) -> Endpoint:
        way = self._ways.to(registry)
        scheme = "http" if way.plain_http else "https"
        return Endpoint(registry=registry, way=way, proxy=_proxy_for(api_host(registry), scheme, self._env))

    def _ping_all(self, endpoints: Iterable[Endpoint]) -> Iterable[Ping]:
        calls = [(endpoint, Call(lambda endpoint=endpoint: self._ping(endpoint))) for endpoint in endpoints]  # type: ignore[misc]
        deadline = time.monotonic() + 2 * SECONDS  # to connect, and to answer
        for endpoint, call in calls:
            try:
                yield call.result(max(0.0, deadline - time.monotonic()))
            except CallTimeout:
                yield Ping(endpoint=endpoint, problem=f"no answer within {2 * SECONDS:g} s")

    def _ping(self, endpoint: Endpoint) -> Ping:
        check = open_check(endpoint.registry, None, endpoint.way, seconds=SECONDS)
        asked = self._clock.now()
        try:
            response = check.ping()
        except Unreachable as error:
            return Ping(endpoint=endpoint, problem=str(error))
        half_way = asked + (self._clock.now() - asked) / 2
        said = _parse_date(response.headers.get("Date"))
        ahead = (half_way - said).total_seconds() if said else None
        return Ping(endpoint=endpoint, status=response.status, ahead=ahead, is_plain_http=check.is_plain_http)


def _proxy_for(host: str, scheme: str, env: Mapping[str, str]) -> Proxy | None:
    """The proxy that stands between us and a host, as urllib finds it, which is what asks."""
    from urllib.request import proxy_bypass  # noqa: PLC0415  # 20 ms that only a doctor spends

    return None if proxy_bypass(host) else _proxy(env, scheme)


def _proxy(env: Mapping[str, str], scheme: str) -> Proxy | None:
    # A CGI script's HTTP_PROXY is a header of its client (https://httpoxy.org); Python and Go pass over it.
    names = [f"{scheme}_proxy", f"{scheme}_proxy".upper()]
    variable = next((name for name in names if env.get(name)), "")
    if not variable or (variable == "HTTP_PROXY" and "REQUEST_METHOD" in env):
        return None
    value = env[variable]
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        host, port = "", 0
    return Proxy(variable=variable, address=f"{host}:{port}" if host else "", host=host, port=port)


def _parse_date(text: object) -> datetime | None:
    """The time in a Date header (RFC 9110, section 6.6.1)."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  # see above

    try:
        found = parsedate_to_datetime(str(text or ""))
    except ValueError:
        return None
    return found if found.tzinfo else None
