"""Google's HTTP calls: within the request's deadline, through the user's proxies, with the user's CA bundle.

google-auth takes any callable as its transport (`google.auth.transport.Request`). This one answers to the request's
environment and deadline; the library's own reads the process's environment and waits up to 120 s for each answer.
"""

from __future__ import annotations

import logging
import os
import random
import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from google.auth.transport import Response
    from ocibuild_core.plugin import Clock

METADATA_ADDRESS = "169.254.169.254"
"""Source: https://cloud.google.com/compute/docs/metadata/querying-metadata."""

# The last is AWS's, for federation from there: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html.
_METADATA_HOSTS = frozenset({METADATA_ADDRESS, "metadata.google.internal", "metadata", "fd20:ce::254", "fd00:ec2::254"})
_METADATA_VARIABLES = ("GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP")

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")

# What the next try may mend: too many requests, or a server that has to come back.
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_PAUSES = (0.25, 0.75, 1.5)

_REASON = re.compile(r"(?:\[Errno -?\d+\]|\[SSL: \w+\]|Tunnel connection failed:) (?P<reason>[^\[\]()'\"\\]+)")

_TALKERS = ("google", "requests", "urllib3")


class NoAnswerError(Exception):
    """A call got no usable answer. google-auth does not know this class, so it does not try again on its own.

    Args:
        host: who was asked.
        why: what happened; one line, no secret.
        do: what the reader can do.
    """

    def __init__(self, host: str, why: str, do: str = "") -> None:
        super().__init__(f"{host}: {why}")
        self.host = host
        self.why = why
        self.do = do


class Transport:
    """A callable that google-auth sends its requests with. One for each login; close it afterwards.

    A call that is refused, reset or answered with "busy" is tried four times in all, with growing pauses; one that
    timed out is not tried again. Redirects are not followed: they could carry a token to another host.

    Attributes:
        session: google-auth mounts client certificates here when its settings ask for them.
        skew: how far this machine's clock was ahead of the last answer's `Date`; None before an answer.
        last_answer: who answered last, and with which status, for people.
    """

    def __init__(self, *, env: Mapping[str, str], clock: Clock, deadline: float) -> None:
        import requests  # noqa: PLC0415  # loads only when somebody logs in
        from google.auth.transport.requests import Request

        self._env = env
        self._clock = clock
        self._deadline = deadline
        self.session = requests.Session()
        # Otherwise a password in ~/.netrc replaces the token in the header, and os.environ decides on proxies.
        self.session.trust_env = False
        self._send = Request(self.session)
        self.skew: timedelta | None = None
        self.last_answer = ""

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **more: Any,  # noqa: ANN401  # whatever google-auth hands to requests
    ) -> Response:
        """One HTTP call. Raises `NoAnswerError`, never an error of requests or of google-auth's transport."""
        host = urlsplit(url).hostname or url
        for pause in (*_PAUSES, None):
            try:
                response = self._once(host, url, timeout, method=method, body=body, headers=headers, **more)
            except ConnectionError as error:
                why = str(error)
            else:
                if response.status not in _BUSY:
                    return response
                why = f"HTTP status {response.status}"
            if pause is None or not self._pause(pause):
                raise NoAnswerError(host, why, "try again later" if why.startswith("HTTP") else _REACH)
        raise AssertionError("the last pause is None")

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    def _once(self, host: str, url: str, timeout: float | None, **call: Any) -> Response:  # noqa: ANN401  # as above
        from google.auth.exceptions import TransportError

        left = self._deadline - self._clock.monotonic()
        if left <= 0:
            raise NoAnswerError(host, "no time was left to ask it", _SLOW)
        call |= {
            "timeout": min(timeout or left, left),
            "proxies": proxies(url, self._env),
            "verify": ca_bundle(self._env, host),
            "allow_redirects": False,
        }
        try:
            response: Response = self._send(url, **call)
        except TransportError as error:
            raise _unreached(host, error) from None
        self._note_skew(response.headers.get("date"))
        self.last_answer = f"{host} answered {response.status}"
        return response

    def _pause(self, seconds: float) -> bool:
        """Wait a little; False when the deadline comes first."""
        seconds *= random.uniform(0.8, 1.2)  # noqa: S311  # spreads the tries of many builds, guards nothing
        if self._clock.monotonic() + seconds >= self._deadline:
            return False
        time.sleep(seconds)
        return True

    def _note_skew(self, date: str | None) -> None:
        try:
            said = parsedate_to_datetime(date or "")
        except ValueError:
            return
        if said.tzinfo is not None:
            self.skew = self._clock.now() - said


_SLOW = "raise --login-timeout, or look at the network between here and Google"
_REACH = "check the network, and HTTPS_PROXY and NO_PROXY if there is a proxy"


def proxies(url: str, env: Mapping[str, str]) -> dict[str, str]:
    """The proxy for one URL, as requests takes it. Metadata servers are link-local and never behind a proxy."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in metadata_hosts(env) or _is_exempt(host, parts.port, _lower_first(env, "no_proxy")):
        return {}
    proxy = _lower_first(env, f"{parts.scheme}_proxy") or _lower_first(env, "all_proxy")
    return {parts.scheme: proxy} if proxy else {}


def metadata_hosts(env: Mapping[str, str]) -> frozenset[str]:
    """The hosts of Google's metadata server, also where the user's environment has moved it to."""
    # Not urlsplit: it raises for what is no address, and a proxy is no reason to stop.
    moved = (re.sub(r":\d+$", "", env.get(name, "")).strip("[]").lower() for name in _METADATA_VARIABLES)
    return _METADATA_HOSTS.union(host for host in moved if host)


def ca_bundle(env: Mapping[str, str], host: str) -> str | bool:
    """The CA bundle that the environment names, else True: the one that comes with requests (certifi).

    Raises:
        NoAnswerError: the bundle does not exist. requests would complain in the middle of the call.
    """
    for name in _CA_VARIABLES:
        path = env.get(name)
        if not path:
            continue
        if not os.path.exists(path):  # noqa: PTH110  # its own would raise below a closed directory
            raise NoAnswerError(host, f"the CA bundle {path} does not exist", f"correct {name}, or unset it")
        return path
    return True


def mute_sdk() -> None:
    """Keep the SDK's own log lines away: they hold URLs, bodies and tokens. Its errors arrive as exceptions."""
    for name in _TALKERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _is_exempt(host: str, port: int | None, no_proxy: str) -> bool:
    """Whether NO_PROXY names the host, a parent of it, its network, or all (`*`).

    `.example` and `*.example` mean `example`; a network is written as 10.0.0.0/8.
    """
    for entry in no_proxy.lower().split(","):
        name = entry.strip().removeprefix("*").removeprefix(".")
        if entry.strip() == "*" or (name and (f".{host}".endswith(f".{name}") or f"{host}:{port}" == name)):
            return True
        if "/" in name and _is_within(host, name):
            return True
    return False


def _is_within(host: str, network: str) -> bool:
    from ipaddress import ip_address, ip_network  # noqa: PLC0415  # few name a network

    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def _lower_first(env: Mapping[str, str], name: str) -> str:
    return env.get(name) or env.get(name.upper()) or ""


def _unreached(host: str, error: Exception) -> Exception:
    """What requests met, as an error that says what to do; `ConnectionError` when another try may help."""
    from requests import exceptions  # noqa: PLC0415  # loads only when somebody logs in

    cause = error.args[0] if error.args else error
    if isinstance(cause, exceptions.SSLError):
        return NoAnswerError(host, f"TLS failed: {_reason(cause)}", "name your network's CA bundle in SSL_CERT_FILE")
    if isinstance(cause, exceptions.ProxyError):
        return NoAnswerError(host, f"the proxy failed: {_reason(cause)}", "check HTTPS_PROXY and NO_PROXY")
    if isinstance(cause, exceptions.Timeout):
        return NoAnswerError(host, "no answer in time", _SLOW)
    if isinstance(cause, exceptions.ConnectionError):
        return ConnectionError(f"no connection: {_reason(cause)}")
    return NoAnswerError(host, f"the call failed: {type(cause).__name__}", _REACH)


def _reason(error: Exception) -> str:
    """The operating system's or OpenSSL's own words out of requests' nest of exceptions, which also quotes the URL."""
    found = _REASON.search(str(error))
    return found["reason"].strip() if found else type(error).__name__
