"""botocore's default chain of credentials, out of its own parts, made to read the environment that we were given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.client import BaseClient
    from botocore.credentials import CredentialProvider
    from botocore.session import Session

_WORDS = {
    # botocore's names of its sources, and whether a profile is behind them.
    "env": ("environment", False),
    "assume-role": ("role of the profile", True),
    "assume-role-with-web-identity": ("web identity", False),
    "sso": ("SSO", True),
    "shared-credentials-file": ("credentials file", True),
    "login": ("aws login", True),
    "custom-process": ("credential process", True),
    "config-file": ("config file", True),
    "container-role": ("container endpoint", False),
    "iam-role": ("instance metadata", False),
}
_ENVIRONMENT = "environment"

# Two attempts at a container's endpoint that hangs end before 3 s; botocore's own three take 8.
_CONTAINER_SECONDS = 1.15
_CONTAINER_ATTEMPTS = 2
_CONTAINER_PAUSE = 0.1
_PROGRAM_SHARE = 0.9  # of the time until the deadline, to be back with the cause before the host stops waiting


class MfaPromptError(Exception):
    """A profile wants to ask somebody for a code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the chain works with.

    Args:
        session: where the profiles come from.
        env: the user's environment.
        region: where roles of profiles are assumed.
        seconds: until the deadline.
        make_client: makes the clients that the chain itself needs, as `Session.create_client` does.
    """

    session: Session
    env: Mapping[str, str]
    region: str
    seconds: float
    make_client: Callable[..., BaseClient]


def default_chain(around: Surroundings) -> list[CredentialProvider]:
    """The sources in the order of `botocore.credentials.create_credential_resolver`; the metadata service is last.

    Two sources of boto 2 are left out.
    """
    from botocore import credentials as parts

    session, cache = around.session, dict[str, Any]()
    make_client = partial(around.make_client, region_name=around.region)
    chosen = session.instance_variables().get("profile")
    profile = session.get_config_variable("profile") or "default"
    environment = parts.EnvProvider(environ=dict(around.env))
    container = parts.ContainerProvider(environ=dict(around.env), fetcher=_container_fetcher())
    metadata = parts.InstanceMetadataProvider(iam_role_fetcher=_metadata_fetcher(around))
    nested: Any = _ClientsOf(session, around.make_client)
    profiles = parts.ProfileProviderBuilder(
        nested, cache=cache, region_name=around.region, sso_token_cache=_sso_cache(around.env)
    )
    profiles._create_process_provider = lambda name: parts.ProcessProvider(  # type: ignore[attr-defined]  # noqa: SLF001
        name, load_config=lambda: session.full_config, popen=partial(_Program, around.seconds * _PROGRAM_SHARE)
    )
    assume_role = parts.AssumeRoleProvider(
        load_config=lambda: session.full_config,
        client_creator=make_client,
        cache=cache,
        profile_name=profile,
        prompter=_refuse_prompt,
        credential_sourcer=parts.CanonicalNameCredentialSourcer([environment, container, metadata]),
        profile_provider_builder=profiles,
    )
    web_identity = parts.AssumeRoleWithWebIdentityProvider(
        load_config=lambda: _web_identity_profile(around.env),
        client_creator=make_client,
        cache=cache,
        profile_name=_ENVIRONMENT,
        disable_env_vars=True,
    )
    from_profile = profiles.providers(profile_name=profile, disable_env_vars=True)
    if chosen:
        # A profile that was asked for beats the environment; one in AWS_PROFILE does not.
        return [assume_role, *from_profile, container, metadata]
    return [environment, assume_role, web_identity, *from_profile, container, metadata]


class _Program:
    """A `credential_process` that is killed when it takes too long; botocore would wait for it for ever.

    Args:
        seconds: how long it may take.
        command: what to run.
        settings: of `subprocess.Popen`.
    """

    def __init__(self, seconds: float, command: list[str], **settings: Any) -> None:  # noqa: ANN401  # botocore's
        from subprocess import Popen  # noqa: PLC0415  # few profiles have a program

        self._seconds = seconds
        self._child: Popen[bytes] = Popen(command, **settings)
        self.returncode: int | None = None

    def communicate(self) -> tuple[bytes, bytes]:
        """What it printed."""
        from subprocess import TimeoutExpired  # noqa: PLC0415  # as above

        from botocore.exceptions import CredentialRetrievalError

        with self._child:
            try:
                return self._child.communicate(timeout=self._seconds)
            except TimeoutExpired:
                self._child.kill()
                raise CredentialRetrievalError(
                    provider="custom-process", error_msg=f"the program gave no answer within {self._seconds:.3g} s"
                ) from None
            finally:
                self.returncode = self._child.wait()


class _ClientsOf:
    """A session whose clients have our time limits, CA and endpoints: those of SSO, and of a profile's web identity."""

    def __init__(self, session: Session, make_client: Callable[..., BaseClient]) -> None:
        self._session = session
        self.create_client = make_client

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever a session has
        return getattr(self._session, name)


def in_words(provider: CredentialProvider, profile: str | None) -> str:
    """What people call the source that had credentials."""
    words, has_profile = _words(provider)
    return f"{words} (profile {profile})" if has_profile and profile else words


def where_to_look(provider: CredentialProvider, profile: str | None) -> str:
    """What people call the place that had none: the six sources behind a profile are one."""
    words, has_profile = _words(provider)
    return f"profile {profile or 'default'}" if has_profile else words


def _words(provider: CredentialProvider) -> tuple[str, bool]:
    method = str(provider.METHOD)
    return _WORDS.get(method, (method, False))


def _web_identity_profile(env: Mapping[str, str]) -> dict[str, Any]:
    """The variables of a pod's role as if they stood in a profile: botocore would read the process's own."""
    names = {
        "web_identity_token_file": "AWS_WEB_IDENTITY_TOKEN_FILE",
        "role_arn": "AWS_ROLE_ARN",
        "role_session_name": "AWS_ROLE_SESSION_NAME",
    }
    return {"profiles": {_ENVIRONMENT: {key: env[name] for key, name in names.items() if name in env}}}


def _sso_cache(env: Mapping[str, str]) -> Any:  # noqa: ANN401  # the stubs want a dict
    """Where `aws sso login` keeps its tokens; botocore would look in the process's own home directory."""
    from botocore.utils import JSONFileCache

    return JSONFileCache(f"{env['HOME']}/.aws/sso/cache") if env.get("HOME") else None


def _container_fetcher() -> Any:  # noqa: ANN401  # the stubs know whole seconds only
    from botocore.httpsession import URLLib3Session
    from botocore.utils import ContainerMetadataFetcher

    timeout: Any = _CONTAINER_SECONDS
    fetcher: Any = ContainerMetadataFetcher(session=URLLib3Session(timeout=timeout))
    fetcher.RETRY_ATTEMPTS = _CONTAINER_ATTEMPTS
    fetcher.SLEEP_TIME = _CONTAINER_PAUSE
    return fetcher


def _metadata_fetcher(around: Surroundings) -> Any:  # noqa: ANN401  # as above
    from botocore.httpsession import URLLib3Session
    from botocore.utils import InstanceMetadataFetcher, resolve_imds_endpoint_mode

    setting = around.session.get_config_variable
    # One second for each of the two requests, unless AWS_METADATA_SERVICE_TIMEOUT says otherwise.
    timeout: Any = min(float(setting("metadata_service_timeout")), around.seconds / 2)
    fetcher: Any = InstanceMetadataFetcher(
        timeout=timeout,
        num_attempts=setting("metadata_service_num_attempts"),
        env=dict(around.env),
        user_agent=around.session.user_agent(),
        config={
            "ec2_metadata_service_endpoint": setting("ec2_metadata_service_endpoint"),
            "ec2_metadata_service_endpoint_mode": resolve_imds_endpoint_mode(around.session),
            "ec2_metadata_v1_disabled": setting("ec2_metadata_v1_disabled"),
        },
    )
    # The service is on this machine's own link: no proxy leads there, whatever NO_PROXY says.
    fetcher._session = URLLib3Session(timeout=timeout, proxies={})  # noqa: SLF001
    return fetcher


def _refuse_prompt(prompt: str) -> NoReturn:
    del prompt
    raise MfaPromptError("nobody can be asked for a code here")
