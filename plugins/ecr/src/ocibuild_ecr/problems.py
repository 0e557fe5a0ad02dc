"""What the SDK's errors mean, and what to do about each. Loads the SDK's errors only when there is one."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ocibuild_core.plugin import CredentialError, CredentialsUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.exceptions import ClientError

_LONGEST_QUOTE = 400

_POLICY = "https://docs.aws.amazon.com/AmazonECR/latest/userguide/security_iam_id-based-policy-examples.html"


class Failure(Exception):  # noqa: N818  # becomes a `CredentialError` once the registry is known
    """Why there is no token; the same for every registry that shares it.

    Args:
        what: reads on with "for REGISTRY".
        why: the cause.
        tried: where credentials were looked for.
        do: the remedy.
        is_absence: nothing was here to log in with.
    """

    def __init__(
        self, what: str, *, why: str = "", tried: tuple[str, ...] = (), do: str = "", is_absence: bool = False
    ) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.tried = tried
        self.do = do
        self.is_absence = is_absence

    def error_for(self, registry: str) -> CredentialError:
        """The error to raise for a registry."""
        kind = CredentialsUnavailable if self.is_absence else CredentialError
        return kind(f"{self.what} for {registry}", why=self.why, tried=self.tried, do=self.do)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """What was under way when the SDK failed.

    Args:
        action: the IAM action.
        region: where.
        who: tells the identity that asked, for people.
        resource: the role that was to be assumed.
        claims: what the OIDC token says about itself.
        asked: who is asked, when it is not the service of the action.
    """

    action: str
    region: str
    who: Callable[[], str]
    resource: str = ""
    claims: str = ""
    asked: str = ""

    @property
    def service(self) -> str:
        """As people call it."""
        return {"ecr": "ECR", "ecr-public": "ECR Public", "sts": "STS"}[self.action.partition(":")[0]]

    @property
    def server(self) -> str:
        """Who should have answered."""
        return self.asked or f"{self.service} in {self.region}"

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}" if self.resource else self.action


def explain(error: Exception, doing: Doing, *, now: datetime) -> Failure:
    """A failure for whatever the SDK raised.

    Args:
        error: of the SDK, or an `OSError` or `ValueError` that it let through.
        doing: what was under way.
        now: this machine's time.
    """
    from botocore.exceptions import ClientError  # loads the SDK

    if isinstance(error, ClientError):
        return _refused(error, doing, now)
    if isinstance(error, FileNotFoundError | PermissionError):
        return Failure(
            "a file of the AWS credentials cannot be read",
            why=f"{error.strerror}: {error.filename}",
            do="mount the file, or point the variable or profile that names it (AWS_WEB_IDENTITY_TOKEN_FILE, "
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, …) at one that is there",
        )
    names = [kind.__name__ for kind in type(error).__mro__]
    what, do = next(_SDK[name] for name in names if name in _SDK)
    return Failure(what.format(server=doing.server), why=_cause(error), do=do)


_CREDENTIAL_SOURCES = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ECR_PROFILE, or ECR_ROLE_ARN with ECR_WEB_IDENTITY_TOKEN, or "
    "give the machine a role"
)


def no_credentials(tried: tuple[str, ...], *, metadata_hung: bool) -> Failure:
    """Nothing was found anywhere."""
    hop_limit = (
        "; in a container on EC2 the metadata service answers only with HttpPutResponseHopLimit=2 "
        "(aws ec2 modify-instance-metadata-options)"
    )
    return Failure(
        "no AWS credentials",
        tried=tried,
        do=_CREDENTIAL_SOURCES + (hop_limit if metadata_hung else ""),
        is_absence=True,
    )


def claims_of(token: str, origin: str) -> str:
    """What an OIDC token says about issuer, audience, subject and end.

    These are no secret without the signature, and they are what a role's trust policy is compared with.

    Args:
        token: the token.
        origin: where it is from, for people.

    Raises:
        Failure: it is no JWT, which STS would call a token of an unknown issuer.
    """
    head, _, rest = token.partition(".")
    payload, _, signature = rest.partition(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        claims = None
    if not _JWT_PART.fullmatch(head) or not _JWT_PART.fullmatch(signature) or not isinstance(claims, dict):
        raise Failure(
            f"{origin} holds no OIDC token",
            why="it is no JWT: three parts with dots between; the value is not shown",
            do="give the token itself, without quotes or JSON around it",
        )
    shown = {name: claims[name] for name in ("iss", "aud", "sub", "exp") if name in claims}
    if "exp" in shown:
        shown["exp"] = _time(shown["exp"])
    return _quote(" ".join(", ".join(f"{name}={value}" for name, value in shown.items()).split()))


# RFC 7515, section 2: base64url without padding.
_JWT_PART = re.compile(r"[\w-]+", re.ASCII)


def _time(seconds: object) -> str:
    """A time since 1970 as people write it; what is none, as in a token of milliseconds, stays as it is."""
    try:
        return datetime.fromtimestamp(float(str(seconds)), UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return str(seconds)


_SDK: Mapping[str, tuple[str, str]] = {
    # By the name of botocore's class, the most special first in its own order of inheritance.
    "ProfileNotFound": (
        "no such AWS profile",
        "name a profile of ~/.aws/config with ECR_PROFILE or AWS_PROFILE, or unset them",
    ),
    "ConfigParseError": ("unreadable AWS config file", "mend the file, or point AWS_CONFIG_FILE at another"),
    "PartialCredentialsError": ("half of the AWS credentials are missing", "set all the parts, or none of them"),
    "SSOError": ("no valid AWS SSO session", "run `aws sso login` for the profile"),
    "TokenRetrievalError": ("no valid AWS SSO session", "run `aws sso login` for the profile"),
    "LoginError": ("no valid session of `aws login`", "run `aws login` for the profile"),
    "RefreshWithMFAUnsupportedError": ("the AWS profile asks for an MFA code", "use a session from `aws sts`, or SSO"),
    "MfaPromptError": (
        "the AWS profile asks for an MFA code",
        "nobody can be asked here: use SSO, or credentials of a session that you got with the code",
    ),
    "CredentialRetrievalError": (
        "the source of AWS credentials failed",
        "look at the container's credential endpoint, or at the program behind credential_process",
    ),
    "MetadataRetrievalError": ("the metadata service failed", "look whether this machine has a role"),
    "SSLError": (
        "no trusted TLS connection to {server}",
        "behind a proxy that opens TLS, set AWS_CA_BUNDLE (or REQUESTS_CA_BUNDLE, SSL_CERT_FILE) to its CA",
    ),
    "ProxyConnectionError": ("the proxy cannot be reached", "look at HTTPS_PROXY and NO_PROXY"),
    "ConnectTimeoutError": (
        "no connection to {server}",
        "look at the network, HTTPS_PROXY and the VPC endpoints; raise --login-timeout if the way is slow",
    ),
    "ReadTimeoutError": ("no answer from {server}", "try again; raise --login-timeout if the way is slow"),
    "EndpointConnectionError": (
        "no connection to {server}",
        "check the region's name, DNS, HTTPS_PROXY and the VPC endpoints",
    ),
    "HTTPClientError": ("no connection to {server}", "look at the network and HTTPS_PROXY"),
    "BaseEndpointResolverError": ("no {server}", "check the region, and FIPS and dual stack in the host"),
    "EndpointProviderError": ("no {server}", "check the region, and FIPS and dual stack in the host"),
    "InvalidConfigError": ("the AWS settings cannot be used", "correct the setting that the cause names"),
    "BotoCoreError": ("the AWS SDK cannot go on", "see the cause; `aws sts get-caller-identity` may say more"),
    "ValueError": ("the AWS settings cannot be used", "correct the setting that the cause names"),
    "OSError": ("the AWS SDK cannot read what it needs", "see the cause"),
    # botocore raises this when a source has renewed credentials and they have ended all the same.
    "RuntimeError": ("expired AWS credentials", "get new ones (aws sso login, a new token, a new session)"),
    "LookupError": (
        "an answer without what it should hold",
        "look at what the container's credential endpoint or AWS_ENDPOINT_URL leads to",
    ),
}

_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
_SKEWED = {"InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired", "RequestTimeTooSkewed"}
_SKEW_TEXTS = ("expired", "not yet current", "too skewed")
_REFUSALS: Mapping[str, tuple[str, str]] = {
    "ExpiredToken": ("expired AWS credentials", "get new ones (aws sso login, a new token, a new session)"),
    "ExpiredTokenException": ("expired AWS credentials", "get new ones (aws sso login, a new token, a new session)"),
    "UnrecognizedClientException": (
        "AWS does not know the credentials",
        "check AWS_ACCESS_KEY_ID and AWS_SESSION_TOKEN; enable an opt-in region; give each partition its own keys",
    ),
    "InvalidClientTokenId": (
        "AWS does not know the credentials",
        "check AWS_ACCESS_KEY_ID and AWS_SESSION_TOKEN; give each partition its own keys",
    ),
    "InvalidIdentityToken": (
        "AWS refused the OIDC token",
        "create an OIDC provider for its issuer in the role's account, with its audience",
    ),
    "IDPRejectedClaim": ("AWS refused the OIDC token", "get a new token: this one is expired or revoked"),
    "IDPCommunicationError": ("AWS could not reach the token's issuer", "look whether its keys are public"),
    "RegionDisabledException": ("STS is switched off in {region}", "enable the region in the account"),
}
# Those that botocore tries again as throttling (retries/standard.py, `ThrottledRetryableChecker`).
_THROTTLED = {
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
}


def _refused(error: ClientError, doing: Doing, now: datetime) -> Failure:
    code = error.response.get("Error", {}).get("Code", "")
    message = _quote(error.response.get("Error", {}).get("Message", ""))
    if code in _DENIED:
        return _denied(message, doing)
    if code in _SKEWED:
        return _bad_signature(error, message, doing, now)
    if code in _THROTTLED:
        attempts = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) + 1
        return Failure(
            f"AWS throttled {doing.action}",
            why=f"{attempts} attempts, each later than the one before: {message}",
            do="try again later; share one login between builds that start at once",
        )
    if code in _REFUSALS:
        what, do = _REFUSALS[code]
        claims = f"{message}\nthe token says {doing.claims}" if doing.claims else message
        return Failure(what.format(region=doing.region), why=claims, do=do)
    return Failure(f"AWS failed at {doing}", why=f"{code}: {message}", do="see the cause; AWS may be in trouble itself")


def _denied(message: str, doing: Doing) -> Failure:
    principal = re.search(r"arn:aws[a-z-]*:(?:iam|sts)::[0-9]{12}:\S+", message)
    action = re.search(r"perform: ([a-z-]+:[A-Za-z]+)", message)
    who = principal[0] if principal else doing.who()
    missing = action[1] if action else doing.action
    lines = [f"{who}: {message}" if who not in message else message]
    if doing.claims:
        lines.append(f"the token says {doing.claims}")
    return Failure(
        f"AWS denied {missing}" + (f" on {doing.resource}" if doing.resource else ""),
        why="\n".join(lines),
        do=_denied_remedy(missing, who, doing),
    )


def _denied_remedy(action: str, who: str, doing: Doing) -> str:
    if action == "sts:AssumeRoleWithWebIdentity":
        return f"let the trust policy of {doing.resource} name the token's issuer, audience and subject"
    if action == "sts:AssumeRole":
        return (
            f"allow {who} the action on the role, and name it in the role's trust policy; if that asks for an external "
            "id, set ECR_EXTERNAL_ID"
        )
    both = " and sts:GetServiceBearerToken" if doing.action.startswith("ecr-public:") else ""
    return f"allow {action}{both if action == doing.action else ''} on * to {who} ({_POLICY})"


def _bad_signature(error: ClientError, message: str, doing: Doing, now: datetime) -> Failure:
    if not any(text in message.lower() for text in _SKEW_TEXTS):
        return Failure(
            "AWS refused the signature",
            # The rest of this message holds the request's headers, a session token among them.
            why=message.partition(".")[0],
            do="check AWS_SECRET_ACCESS_KEY: it does not belong to the access key, or was cut",
        )
    server = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "unknown")
    return Failure(
        "this machine's clock differs from that of AWS: no token",
        why=f"{doing.service} says it is {server}, this machine says {now:%a, %d %b %Y %H:%M:%S} GMT",
        do="set the clock (chrony, systemd-timesyncd); AWS accepts a difference of 5 minutes",
    )


def _cause(error: Exception) -> str:
    if isinstance(error, LookupError):
        return f"it lacks {error}"
    # "Could not connect" is all that botocore says; the reason is in what it wraps, behind the address of an object.
    wrapped = str(getattr(error, "kwargs", {}).get("error", ""))
    reason = re.sub(r"^(<[^>]*>|\w+\([^)]*\)): ", "", _quote(wrapped))
    text = _quote(str(error))
    return f"{text}: {reason}" if reason and reason not in text else text


def _quote(text: str) -> str:
    """The first line of a message, as long as a person reads."""
    line = next(iter(text.strip().splitlines()), "")
    return line if len(line) <= _LONGEST_QUOTE else line[:_LONGEST_QUOTE] + "…"
