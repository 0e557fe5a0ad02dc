"""The registries that a build would ask: where they are, by which way, and what they answer."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ocibuild_core.auth.calls import Call, CallTimeout
from ocibuild_core.registry.check import RegistryCheck, api_host
from ocibuild_core.registry.hosts import host_of, normalise
from ocibuild_core.registry.http import HttpClient, Unreachable

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
        plain_http: it speaks http.
        is_insecure: the user says that its certificate need not be trusted.
        ca_file: who signed its certificate, besides the system's authorities.
        mirrors: what is asked before it.
        proxy: what is in between.
    """

    registry: str
    plain_http: bool = False
    is_insecure: bool = False
    ca_file: Path | None = None
    mirrors: tuple[str, ...] = ()
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
    """

    endpoint: Endpoint
    status: int = 0
    problem: str = ""
    ahead: float | None = None


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
        self._tables = _registry_tables(tables)
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
        table = self._tables.get(registry, {})
        plain = table.get("http")
        is_plain = bool(plain) if plain is not None else _is_loopback(host_of(registry))
        authorities = table.get("ca") or [None]
        mirrors = table.get("mirrors") or ()
        return Endpoint(
            registry=registry,
            plain_http=is_plain,
            is_insecure=bool(table.get("insecure")),
            ca_file=Path(authorities[0]) if authorities[0] else None,
            mirrors=tuple(mirrors),
            proxy=_proxy_for(api_host(registry), "http" if is_plain else "https", self._env),
        )

    def _ping_all(self, endpoints: Iterable[Endpoint]) -> Iterable[Ping]:
        calls = [(endpoint, Call(lambda endpoint=endpoint: self._ping(endpoint))) for endpoint in endpoints]  # type: ignore[misc]
        deadline = time.monotonic() + 2 * SECONDS  # to connect, and to answer
        for endpoint, call in calls:
            try:
                yield call.result(max(0.0, deadline - time.monotonic()))
            except CallTimeout:
                yield Ping(endpoint=endpoint, problem=f"no answer within {2 * SECONDS:g} s")

    def _ping(self, endpoint: Endpoint) -> Ping:
        try:
            http = HttpClient(ca_file=endpoint.ca_file, timeout=SECONDS)
        except OSError as error:
            return Ping(endpoint=endpoint, problem=f"{endpoint.ca_file}: {error.strerror or error}")
        check = RegistryCheck(endpoint.registry, None, http=http, plain_http=endpoint.plain_http)
        asked = self._clock.now()
        try:
            response = check.ping()
        except Unreachable as error:
            return Ping(endpoint=endpoint, problem=str(error))
        half_way = asked + (self._clock.now() - asked) / 2
        said = _parse_date(response.headers.get("Date"))
        ahead = (half_way - said).total_seconds() if said else None
        return Ping(endpoint=endpoint, status=response.status, ahead=ahead)


def _registry_tables(tables: Mapping[str, object]) -> dict[str, Mapping[str, Any]]:
    found = tables.get("registry")
    by_key = found.items() if isinstance(found, dict) else ()
    return {normalise(key) or key: table for key, table in by_key if isinstance(table, dict)}


def _is_loopback(host: str) -> bool:
    """BuildKit takes a registry there for one without TLS (containerd, core/remotes/docker, `MatchLocalhost`)."""
    return host == "localhost" or host.startswith("127.") or host == "[::1]"


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
