"""botocore, told where to look and how long to wait.

It is given the environment that the host was given for all that decides who logs in where: AWS_*, HOME, the CA. From
the process itself it takes proxies and the environment of a `credential_process`.
"""

from __future__ import annotations

import json
import logging
import os
import random
import re
import threading
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from ocibuild_core.plugin import Secret

from ocibuild_ecr.chain import Surroundings, default_chain, in_words, where_to_look
from ocibuild_ecr.problems import Failure, no_credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from botocore.client import BaseClient
    from botocore.config import Config
    from botocore.credentials import Credentials
    from botocore.loaders import Loader
    from botocore.session import Session

    from ocibuild_ecr.hosts import Endpoint

ATTEMPTS = 4
"""For a call that AWS throttles or that is lost on its way; botocore waits a random, growing time between two."""

_LEAST_SECONDS = 1.5
_HUNG_SECONDS = 0.5
_OK = 200
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds and attempts for one call, so that all attempts together end in time."""

    connect: float
    read: float
    attempts: int

    @classmethod
    def within(cls, seconds: float) -> Limits:
        """As many attempts as fit, with the waits between them: up to 1, 2, 4 s.

        Source: botocore, retries/standard.py, `ExponentialBackoff`.
        """
        attempts, each = 1, max(seconds, 0.1)
        for more in range(2, ATTEMPTS + 1):
            share = (seconds - (2 ** (more - 1) - 1)) / more
            if share >= _LEAST_SECONDS:
                attempts, each = more, share
        connect = min(3.0, each * 0.4)
        return cls(connect=connect, read=min(8.0, each - connect), attempts=attempts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What a request to AWS is signed with.

    Args:
        access_key: the key's id, which is no secret.
        secret_key: the key.
        token: of a session.
        source: how they were found, for people.
        caller: the ARN that they belong to, when it is known.
        expires_at: the end of a role's session.
    """

    access_key: str
    secret_key: Secret
    token: Secret | None
    source: str
    caller: str = ""
    expires_at: datetime | None = None

    def __str__(self) -> str:
        return self.caller or f"the owner of access key {self.access_key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Credentials of the default chain: they renew themselves.

    Args:
        credentials: botocore's.
        source: where they are from, for people.
    """

    credentials: Credentials
    source: str

    def keys(self) -> Keys:
        """The keys of this moment; the source is asked for new ones when they are about to end."""
        frozen: Any = self.credentials.get_frozen_credentials()
        return Keys(
            access_key=frozen.access_key,
            secret_key=Secret(frozen.secret_key),
            token=Secret(frozen.token) if frozen.token else None,
            source=self.source,
        )


class Sdk:
    """AWS as one environment and profile see it. Safe for any number of threads.

    Args:
        env: the user's environment.
        profile: of the AWS config files; None for the environment's choice.
    """

    def __init__(self, env: Mapping[str, str], profile: str | None) -> None:
        _silence()
        self._env = _with_home(env)
        self._session = _new_session(self._env, profile)
        # A session makes clients for one thread at a time; the clients are for any. Source:
        # https://docs.aws.amazon.com/boto3/latest/guide/clients.html
        self._making = threading.RLock()

    def region(self) -> str | None:
        """The region that the profile names."""
        with self._making:
            return self._setting("region")

    def client(self, service: str, endpoint: Endpoint, seconds: float, *, keys: Keys | None) -> Any:  # noqa: ANN401  # its operations are made at run time
        """A client of a service near a registry's endpoint.

        Args:
            service: botocore's name for it.
            endpoint: region and kind of network.
            seconds: until the deadline.
            keys: what to sign with; None: not at all.
        """
        from botocore import UNSIGNED
        from botocore.config import Config

        config = _config(seconds).merge(
            Config(
                # None leaves it to AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT.
                use_fips_endpoint=endpoint.fips or None,
                use_dualstack_endpoint=endpoint.dual_stack or None,
                signature_version=None if keys else UNSIGNED,
            )
        )
        signing = (
            {
                "aws_access_key_id": keys.access_key,
                "aws_secret_access_key": keys.secret_key.reveal(),
                "aws_session_token": keys.token.reveal() if keys.token else None,
            }
            if keys
            else {}
        )
        return self._client(service, region_name=endpoint.region, config=config, **signing)

    def find_credentials(self, region: str, seconds: float, *, with_metadata: bool) -> Found:
        """Go through the default chain of credentials, in the SDK's own order.

        Args:
            region: where roles of profiles are assumed.
            seconds: until the deadline.
            with_metadata: ask the instance metadata service at last.

        Raises:
            Failure: no source has any.
        """

        def make_client(service: str, *, config: Config | None = None, **settings: Any) -> BaseClient:  # noqa: ANN401  # botocore's
            ours = _config(seconds)
            return self._client(service, config=ours.merge(config) if config else ours, **settings)

        *chain, metadata = default_chain(
            Surroundings(session=self._session, env=self._env, region=region, seconds=seconds, make_client=make_client)
        )
        profile = self._setting("profile")
        tried: list[str] = []
        seconds_taken = 0.0
        for provider in [*chain, metadata] if with_metadata else chain:
            started = time.monotonic()
            credentials = provider.load()
            if credentials is not None:
                return Found(credentials=credentials, source=in_words(provider, profile))
            seconds_taken = time.monotonic() - started
            tried.append(where_to_look(provider, profile))
        # Without a metadata service the answer is instant, or there is none at all; it is the last one.
        has_hung = with_metadata and seconds_taken >= _HUNG_SECONDS
        if has_hung:
            tried[-1] += " (no answer)"
        elif with_metadata and self._env.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            tried[-1] += " (switched off)"
        raise no_credentials(tuple(dict.fromkeys(tried)), metadata_hung=has_hung)

    def fetch_json(self, url: str, headers: Mapping[str, str], seconds: float) -> Any:  # noqa: ANN401  # JSON
        """GET a document; the bare status when it is not 200. A server in trouble is asked again."""
        from botocore.awsrequest import AWSRequest
        from botocore.httpsession import URLLib3Session
        from botocore.utils import get_environ_proxies

        limits = Limits.within(seconds)
        settings: dict[str, Any] = {"verify": self._ca() or True, "timeout": (limits.connect, limits.read)}
        http = URLLib3Session(proxies=get_environ_proxies(url), **settings)
        status, body = _SERVER_ERROR, b""
        for attempt in range(limits.attempts):
            time.sleep(random.random() * attempt)  # noqa: S311  # jitter
            response = http.send(AWSRequest(method="GET", url=url, headers=dict(headers)).prepare())
            status, body = response.status_code, response.content
            if status < _SERVER_ERROR:
                break
        return json.loads(body) if status == _OK else status

    def _client(self, service: str, **settings: Any) -> BaseClient:  # noqa: ANN401  # botocore's
        with self._making:
            return self._session.create_client(
                service, verify=self._ca(), endpoint_url=self._endpoint_url(service), **settings
            )

    def _ca(self) -> str | None:
        """The file of trusted CAs, None for the SDK's own."""
        named = {
            "AWS_CA_BUNDLE or ca_bundle": self._setting("ca_bundle"),
            "REQUESTS_CA_BUNDLE": self._env.get("REQUESTS_CA_BUNDLE"),
            "SSL_CERT_FILE": self._env.get("SSL_CERT_FILE"),
        }
        name, path = next(((name, path) for name, path in named.items() if path), ("", None))
        if path and not os.path.isfile(path):  # noqa: PTH113  # its own would raise below a closed directory
            # The SDK would say that it cannot connect.
            raise Failure("the file of trusted CAs is missing", why=f"{name}: {path}", do="correct it, or unset it")
        return path

    def _endpoint_url(self, service: str) -> str | None:
        """Where AWS_ENDPOINT_URL[_SERVICE] and the profile send the service's requests, if anywhere else."""
        from botocore.configprovider import ConfiguredEndpointProvider

        if self._setting("ignore_configured_endpoint_urls"):
            return None
        found: str | None = ConfiguredEndpointProvider(
            full_config=self._session.full_config,
            scoped_config=self._session.get_scoped_config(),
            client_name=service,
            environ=self._env,
        ).provide()
        return found

    def _setting(self, name: str) -> str | None:
        value = self._session.get_config_variable(name)
        return str(value) if value else None


def suffix_of(region: str, *, dual_stack: bool = False) -> str | None:
    """What follows the region in its registries' names, or None when the region is in no partition of the SDK's."""
    for partition in _partitions():
        if region in partition["regions"] or re.match(partition["regionRegex"], region):
            outputs: dict[str, str] = partition["outputs"]
            if not dual_stack:
                return outputs["dnsSuffix"]
            # What is there is the API's own, `api.aws`; the registries' is `on.aws`. Source:
            # https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-requests.html
            return "on." + outputs["dualStackDnsSuffix"].removeprefix("api.")
    return None


@cache
def _partitions() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _models().load_data("partitions")["partitions"]
    return found


@cache
def _models() -> Loader:
    """What the SDK knows about services and regions: a tenth of a second to read, so once for all sessions."""
    from botocore.loaders import create_loader

    return create_loader()


def _config(seconds: float) -> Config:
    from botocore.config import Config

    limits = Limits.within(seconds)
    return Config(
        connect_timeout=limits.connect,
        read_timeout=limits.read,
        retries={"mode": "standard", "total_max_attempts": limits.attempts},
    )


def _new_session(env: Mapping[str, str], profile: str | None) -> Session:
    """A session that reads `env` where botocore would read the process's environment."""
    from botocore.configprovider import ConfigChainFactory
    from botocore.session import Session as NewSession

    session = NewSession(profile=profile)
    session.register_component("data_loader", _models())
    chains = ConfigChainFactory(session=session, environ=dict(env))
    settings = session.get_component("config_store")
    for name, (keys, variables, default, convert) in session.SESSION_VARIABLES.items():
        chain = chains.create_config_chain(
            instance_name=name,
            env_var_names=variables,
            config_property_names=keys,
            default=default,
            conversion_func=_naming(convert, variables, keys),
        )
        settings.set_config_provider(name, chain)
    return session


def _naming(convert: Callable[[Any], Any] | None, variables: object, keys: object) -> Callable[[Any], Any] | None:
    """A conversion whose error names the setting: botocore's own is about the value alone."""

    def converted(value: Any) -> Any:  # noqa: ANN401  # botocore's
        try:
            return convert(value) if convert else value
        except ValueError as error:
            raise ValueError(f"{variables}, or {keys} in the profile: {error}") from None

    return converted if convert else None


def _with_home(env: Mapping[str, str]) -> dict[str, str]:
    """The environment without empty variables, its home directory said where botocore would ask the process."""
    found = {name: value for name, value in env.items() if value}
    if home := found.get("HOME"):
        found.setdefault("AWS_CONFIG_FILE", f"{home}/.aws/config")
        found.setdefault("AWS_SHARED_CREDENTIALS_FILE", f"{home}/.aws/credentials")
    return found


def _silence() -> None:
    """Keep the SDK from logging: its debug messages hold tokens and signed headers; what is wrong, it raises."""
    for name in ("botocore", "boto3", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
