"""From an identity to a registry token: one call for each identity and endpoint, whoever asks and however often."""

from __future__ import annotations

import base64
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

from ocibuild_core.plugin import CredentialError, Secret

from ocibuild_ecr.chain import MfaPromptError
from ocibuild_ecr.identity import GitHubToken, Identity, Role, TokenFile, TokenText
from ocibuild_ecr.once import Aside, Once
from ocibuild_ecr.problems import Doing, Failure, claims_of, explain
from ocibuild_ecr.sdk import Found, Keys, Sdk, suffix_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_sts import STSClient
    from mypy_boto3_sts.type_defs import AssumeRoleResponseTypeDef, AssumeRoleWithWebIdentityResponseTypeDef
    from ocibuild_core.plugin import ProviderContext

    from ocibuild_ecr.hosts import Endpoint
    from ocibuild_ecr.identity import WebIdentity

_T = TypeVar("_T")

USER = "AWS"
"""The user that every token is for (https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html)."""

_REUSE_MARGIN = timedelta(minutes=10)
_REUSE_SECONDS = 30.0
_ROLE_MARGIN = timedelta(minutes=5)
_CALLER_SECONDS = 2.0
_CALLER_GRACE = 0.3  # how much longer than the token the name of its owner may take


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    """A question for a token: as whom, where, and with whose deadline, clock and log."""

    identity: Identity
    endpoint: Endpoint
    context: ProviderContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What ECR handed out.

    Args:
        password: for `USER`.
        expires_at: by ECR's word, 12 hours later.
        registry: the caller's own registry; empty from ECR Public.
        detail: who asked and how, for people.
    """

    password: Secret
    expires_at: datetime
    registry: str
    detail: str


class Login:
    """Logs in as the identities of one environment and profile. Safe for any number of threads.

    Args:
        env: the user's environment.
        profile: of the AWS config files; None for the environment's choice.
    """

    def __init__(self, env: Mapping[str, str], profile: str | None) -> None:
        try:
            self._sdk = Sdk(env, profile)
        except ImportError as error:
            raise CredentialError(
                f"the AWS SDK is not installed as it should be: no module {error.name}",
                do="pip install --force-reinstall ocibuild-ecr",
            ) from error
        self._tokens: Once[Token] = Once()
        self._keys: Once[Keys] = Once()
        self._found: Once[Found] = Once()
        self._callers: dict[str, Aside] = {}

    def profile_region(self, context: ProviderContext) -> str | None:
        """The region that the AWS config files name for the profile."""
        return _raised_for("the registries' region", lambda: _explained(_READING, context, self._sdk.region))

    def suffix(self, region: str, *, dual_stack: bool = False) -> str | None:
        """See `suffix_of`."""
        return suffix_of(region, dual_stack=dual_stack)

    def token(self, identity: Identity, endpoint: Endpoint, context: ProviderContext, label: str) -> Token:
        """A token for all the registries behind the endpoint that the identity may use.

        Args:
            identity: as whom.
            endpoint: where.
            context: deadline, clock and log of the one who asks.
            label: the registry in question, for messages.

        Raises:
            CredentialError: there is none.
        """
        ask = _Ask(identity=identity, endpoint=endpoint, context=context)

        def is_good(token: Token, age: float) -> bool:
            return age < _REUSE_SECONDS or token.expires_at - context.clock.now() > _REUSE_MARGIN

        return _raised_for(
            label, lambda: self._tokens.get((identity, endpoint), lambda: self._new_token(ask), context, is_good)
        )

    def check(self, identity: Identity, endpoint: Endpoint, context: ProviderContext, label: str) -> None:
        """Find the identity's credentials and assume its roles, without asking ECR. See `token`."""
        _raised_for(label, lambda: self._keys_for(_Ask(identity=identity, endpoint=endpoint, context=context)))

    def _keys_for(self, ask: _Ask) -> Keys:
        if not ask.identity.roles:
            return self._default_keys(ask)

        def is_good(keys: Keys, _age: float) -> bool:
            return keys.expires_at is not None and keys.expires_at - ask.context.clock.now() > _ROLE_MARGIN

        return self._keys.get(ask.identity, lambda: self._role_keys(ask), ask.context, is_good)

    def _new_token(self, ask: _Ask) -> Token:
        keys = self._keys_for(ask)
        service = "ecr-public" if ask.endpoint.public else "ecr"

        def who() -> str:
            caller = self._callers.get(keys.access_key)
            return (caller.result(_CALLER_GRACE) if caller else "") or str(keys)

        def ask_ecr(client: ECRClient) -> Token:
            if keys.access_key not in self._callers:
                # Beside the token's own request, so that it costs no time.
                self._callers[keys.access_key] = Aside(lambda: keys.caller or self._caller(ask, keys))
            return _token_from(
                client.get_authorization_token()["authorizationData"], lambda: f"{who()} via {keys.source}"
            )

        doing = Doing(action=f"{service}:GetAuthorizationToken", region=ask.endpoint.region, who=who)
        return self._call(ask, keys, doing, ask_ecr)

    def _caller(self, ask: _Ask, keys: Keys) -> str:
        client: STSClient
        with closing(self._sdk.client("sts", ask.endpoint, _CALLER_SECONDS, keys=keys)) as client:
            return client.get_caller_identity()["Arn"]

    def _default_keys(self, ask: _Ask) -> Keys:
        doing = replace(_READING, region=ask.endpoint.region)

        def find() -> Found:
            return self._sdk.find_credentials(
                ask.endpoint.region, ask.context.remaining(), with_metadata=ask.identity.uses_metadata
            )

        found = self._found.get(
            ask.identity.uses_metadata,
            lambda: _explained(doing, ask.context, find),
            ask.context,
            lambda _found, _age: True,
        )
        return _explained(doing, ask.context, found.keys)

    def _role_keys(self, ask: _Ask) -> Keys:
        roles = list(ask.identity.roles)
        source = ask.identity.web_identity
        keys = self._from_web_identity(roles.pop(0), source, ask) if source else self._default_keys(ask)
        for role in roles:
            keys = self._from_role(role, keys, ask)
        return keys

    def _from_web_identity(self, role: Role, source: WebIdentity, ask: _Ask) -> Keys:
        token = self._oidc_token(source, ask)
        doing = Doing(
            action="sts:AssumeRoleWithWebIdentity",
            region=ask.endpoint.region,
            who=lambda: source.origin,
            resource=role.arn,
            claims=claims_of(token, source.origin),
        )

        def assume(client: STSClient) -> Keys:
            answer = client.assume_role_with_web_identity(
                RoleArn=role.arn, RoleSessionName=ask.identity.session_name, WebIdentityToken=token
            )
            return _keys_from(answer, f"web identity ({source.origin})")

        return self._call(ask, None, doing, assume)

    def _from_role(self, role: Role, keys: Keys, ask: _Ask) -> Keys:
        external_id: Any = {"ExternalId": role.external_id} if role.external_id else {}

        def assume(client: STSClient) -> Keys:
            answer = client.assume_role(RoleArn=role.arn, RoleSessionName=ask.identity.session_name, **external_id)
            return _keys_from(answer, f"{keys.source} and {keys.caller}" if keys.caller else keys.source)

        doing = Doing(action="sts:AssumeRole", region=ask.endpoint.region, who=lambda: str(keys), resource=role.arn)
        return self._call(ask, keys, doing, assume)

    def _call(self, ask: _Ask, keys: Keys | None, doing: Doing, operation: Callable[[Any], _T]) -> _T:
        """Make a client for the action, use it once, close its connections."""
        service = doing.action.partition(":")[0]

        def call() -> _T:
            with closing(self._sdk.client(service, ask.endpoint, ask.context.remaining(), keys=keys)) as client:
                return operation(client)

        return _explained(doing, ask.context, call)

    def _oidc_token(self, source: WebIdentity, ask: _Ask) -> str:
        if isinstance(source, TokenText):
            return source.token.reveal()
        token = self._ask_github(source, ask) if isinstance(source, GitHubToken) else _read_file(source)
        if not token:
            raise Failure("the OIDC token is empty", why=source.origin, do="look at what should have filled it")
        return token

    def _ask_github(self, source: GitHubToken, ask: _Ask) -> str:
        url = f"{source.url}{'&' if '?' in source.url else '?'}audience={quote(source.audience, safe='')}"
        headers = {"Authorization": f"bearer {source.bearer.reveal()}", "Accept": "application/json"}
        doing = replace(_READING, asked="GitHub's OIDC service")
        answer = _explained(doing, ask.context, lambda: self._sdk.fetch_json(url, headers, ask.context.remaining()))
        token = answer.get("value") if isinstance(answer, dict) else None
        if not isinstance(token, str):
            raise Failure(
                "GitHub gave no OIDC token",
                why=f"{urlsplit(url).hostname} answered {answer if isinstance(answer, int) else 'something else'}",
                do="give the job 'permissions: id-token: write'",
            )
        return token


_READING = Doing(action="sts:AssumeRole", region="", who=lambda: "the AWS profile")
"""What is under way while credentials are looked for: a profile may assume a role of its own."""


def _raised_for(label: str, call: Callable[[], _T]) -> _T:
    """What the call gives; a failure of it as an error about what the label names."""
    try:
        return call()
    except Failure as failure:
        error = failure.error_for(label)
    raise error


def _explained(doing: Doing, context: ProviderContext, call: Callable[[], _T]) -> _T:
    """What the call gives; whatever the SDK raises as a `Failure`.

    The SDK's own error is not behind it, as its text may hold a token; hence no `raise` within `except`, which would
    keep it as context.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call()
    except (BotoCoreError, ClientError, MfaPromptError, OSError, ValueError, RuntimeError, LookupError) as error:
        # The last four are what botocore lets through: files that are missing, addresses that are none, credentials
        # that ended in spite of their renewal, answers of metadata services that lack a key.
        failure = explain(error, doing, now=context.clock.now())
    raise failure


def _read_file(source: TokenFile) -> str:
    try:
        return source.path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
    raise Failure(
        "the OIDC token's file cannot be read",
        why=f"{source.origin}: {source.path}: {reason}",
        do="mount the token there, or name the file that holds it",
    )


def _keys_from(answer: AssumeRoleResponseTypeDef | AssumeRoleWithWebIdentityResponseTypeDef, source: str) -> Keys:
    credentials = answer["Credentials"]
    return Keys(
        access_key=credentials["AccessKeyId"],
        secret_key=Secret(credentials["SecretAccessKey"]),
        token=Secret(credentials["SessionToken"]),
        source=source,
        caller=answer["AssumedRoleUser"]["Arn"],
        expires_at=credentials["Expiration"].astimezone(UTC),
    )


def _token_from(data: Any, describe: Callable[[], str]) -> Token:  # noqa: ANN401  # ECR sends a list, ECR Public a record
    """The token in an answer to GetAuthorizationToken."""
    try:
        first = data[0] if isinstance(data, list) else data
        user, _, password = base64.b64decode(first["authorizationToken"]).decode().partition(":")
        expires_at = first["expiresAt"].astimezone(UTC)
    except (LookupError, ValueError):
        user = password = ""
    if user != USER or not password:
        raise Failure(
            "ECR's answer holds no token",
            why="it should be base64 of AWS:PASSWORD",
            do="look what AWS_ENDPOINT_URL and HTTPS_PROXY put between here and AWS",
        )
    return Token(
        password=Secret(password),
        expires_at=expires_at,
        registry=urlsplit(first.get("proxyEndpoint", "")).hostname or "",
        detail=describe(),
    )
