"""Names, proxies, registries and clocks, from what the network says."""

from __future__ import annotations

import os
import re
import socket
from functools import partial
from typing import TYPE_CHECKING

from ocibuild_core.auth.calls import CallTimeout, side_by_side
from ocibuild_core.doctor.checks import failure, fine, warning
from ocibuild_core.doctor.network import SECONDS
from ocibuild_core.failures import TRUST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocibuild_core.auth.calls import Call
    from ocibuild_core.diagnostics import Finding
    from ocibuild_core.doctor.network import Endpoint, Ping, Proxy
    from ocibuild_core.doctor.scene import Scene

_TOLERATED_SKEW = 300
"""Seconds; AWS and Google refuse what is signed further away."""
_NOTEWORTHY_SKEW = 30
_ANSWERS = {200: "anybody", 401: "whoever logs in"}
_OF_TLS = 400
"""What Go's servers answer to plain HTTP where they speak TLS."""
_NONE = "no registry is named: name hosts, or a Dockerfile with --file"


def look_at_names(scene: Scene) -> Iterator[Finding]:
    """Whether each host has an address: the registry's, or its proxy's, which then looks up the registry's."""
    hosts: dict[str, str] = {}
    needed: set[str] = set()
    for endpoint in scene.network.endpoints():
        host = endpoint.proxy.host if endpoint.proxy else endpoint.host
        if host and not _is_address(host):
            hosts.setdefault(host, "the proxy" if endpoint.proxy else "the registry")
            if _is_needed(endpoint, scene):
                needed.add(host)
    if not hosts:
        yield fine("nothing to look up" if scene.network.endpoints() else _NONE)
        return
    calls = side_by_side(partial(_look_up, host) for host in hosts)
    unknown = {host: problem for host, call in zip(hosts, calls, strict=True) if (problem := _result(call))}
    for host, problem in unknown.items():
        do = "correct the name, look at the servers in /etc/resolv.conf, or put it into /etc/hosts"
        make = failure if host in needed else warning
        yield make(f"{hosts[host]} {host} has no address", why=problem, do=do)
    known = [host for host in hosts if host not in unknown]
    if known:
        yield fine(f"known: {', '.join(known)}")


def look_at_proxies(scene: Scene) -> Iterator[Finding]:
    """Whether each proxy takes connections."""
    proxies = scene.network.proxies()
    if not proxies:
        yield fine("none is set")
        return
    calls = side_by_side(partial(_connect, proxy) for proxy in proxies)
    for proxy, call in zip(proxies, calls, strict=True):
        problem = _result(call)
        if problem:
            do = f"correct or unset {proxy.variable}, or name the registries in NO_PROXY"
            yield failure(f"{proxy.address or 'the proxy'} ({proxy.variable}) cannot be reached", why=problem, do=do)
        else:
            yield fine(f"{proxy.address} ({proxy.variable}) takes connections")


def look_at_registries(scene: Scene) -> Iterator[Finding]:
    """Whether each registry answers."""
    pings = scene.network.pings()
    if not pings:
        yield fine(_NONE)
    for ping in pings:
        yield _answer(ping, scene)


def look_at_clock(scene: Scene) -> Iterator[Finding]:
    """This machine's time against the registries'."""
    told = [(ping.ahead, ping.endpoint.registry) for ping in scene.network.pings() if ping.ahead is not None]
    if not told:
        yield fine("not compared: no registry told its time")
        return
    ahead, registry = max(told, key=lambda each: abs(each[0]))
    seconds = abs(ahead)
    direction = "ahead of" if ahead > 0 else "behind"
    if seconds <= _NOTEWORTHY_SKEW:
        yield fine(f"right to the second, by {registry}" if seconds < 1 else f"{seconds:.0f} s {direction} {registry}")
        return
    text = f"{_duration(seconds)} {direction} {registry}"
    do = "set this machine's clock (chrony, systemd-timesyncd)"
    if seconds <= _TOLERATED_SKEW:
        yield warning(text, do=do)
        return
    yield failure(text, why="clouds refuse signatures and tokens that are minutes away, TLS certificates days", do=do)


def _answer(ping: Ping, scene: Scene) -> Finding:
    endpoint = ping.endpoint
    through = f" through the proxy {endpoint.proxy.address}".rstrip() if endpoint.proxy else ""
    if ping.status in _ANSWERS:
        return fine(f"{endpoint.registry} answers {_ANSWERS[ping.status]}{_trust(ping)}{through}")
    if ping.status:
        what = f"{endpoint.registry} answers with HTTP status {ping.status}{through}"
        do = "look whether that is a registry, and whether it or a proxy is in trouble"
        if ping.is_plain_http and ping.status == _OF_TLS:
            do = f"if it speaks TLS, {TRUST.format(host=endpoint.registry)}"
        return failure(what, do=do)
    is_distrusted = "certificate is not trusted" in ping.problem
    what = f"{endpoint.registry} cannot be reached{through}"
    do = _remedy_for_trust(ping, scene) if is_distrusted else _remedy(ping)
    make = failure if _is_needed(endpoint, scene) else warning
    return make(what, why=ping.problem, do=do)


def _is_needed(endpoint: Endpoint, scene: Scene) -> bool:
    """Whether a build has to reach it from here.

    A mirror serves what the registry cannot; an engine elsewhere has a network of its own.
    """
    return not (endpoint.way.mirrors or scene.settings.addr)


def _trust(ping: Ping) -> str:
    if ping.is_plain_http:
        return " over plain http"
    return ", its certificate unchecked" if ping.endpoint.way.is_insecure else ""


def _remedy_for_trust(ping: Ping, scene: Scene) -> str:
    if re.search("expired|not yet valid", ping.problem):
        return "compare this machine's clock with the certificate; renew the certificate if the clock is right"
    if "not valid for" in ping.problem:
        return "call the registry by a name that its certificate holds; no authority makes it good for this one"
    for variable, is_there in (("SSL_CERT_FILE", os.path.isfile), ("SSL_CERT_DIR", os.path.isdir)):
        path = scene.env.get(variable, "")
        if path and not is_there(path):
            return f"{variable} names {path}, which is not there: correct or unset it"
    return f"name its authority: --registry-ca {ping.endpoint.registry}=FILE"


def _remedy(ping: Ping) -> str:
    registry = ping.endpoint.registry
    if "WRONG_VERSION_NUMBER" in ping.problem or "wrong version number" in ping.problem:
        return f"if it speaks no TLS: --registry-http {registry}"
    if ping.endpoint.proxy:
        return f"look at {ping.endpoint.proxy.variable}; if the registry is not behind it, name it in NO_PROXY"
    return "check the name, the network, and whether a proxy is needed (HTTPS_PROXY)"


def _look_up(host: str) -> str:
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""


def _connect(proxy: Proxy) -> str:
    if not proxy.address:
        return "its value is no URL"
    try:
        socket.create_connection((proxy.host, proxy.port), timeout=SECONDS).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _result(call: Call[str]) -> str:
    """The problem that a call gave, empty for none."""
    try:
        return call.result(SECONDS)
    except CallTimeout:
        return f"no answer within {SECONDS:g} s"


def _is_address(host: str) -> bool:
    return ":" in host or bool(re.fullmatch(r"[0-9.]+", host))


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
