"""AWS as far as a login goes: who may become whom, and who gets a token. No network in here."""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from fake_aws.oidc import Issuer
from fake_aws.places import partition, suffix
from fake_aws.sigv4 import HttpRequest, Signature, claimed, is_valid

_SKEW = timedelta(minutes=5)
_LONGER_THAN_ANYBODY_WAITS = 5.0
_PATIENCE = 20.0
_UNTIL_READ = 0.5  # for the answer to be read by a thread that gets little time


class Refusal(Exception):
    """AWS says no.

    Args:
        kind: what the API's own dialect makes a code of.
        message: AWS's own words.
        status: of the answer.
    """

    def __init__(self, kind: str, message: str, status: int = 400) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """An access key."""

    access_key: str
    secret_key: str
    token: str | None = None

    def env(self) -> dict[str, str]:
        """As the SDK's variables."""
        found = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        return found | ({"AWS_SESSION_TOKEN": self.token} if self.token else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose a key is: `arn` is the caller, `principal` is what policies name (of a session: its role)."""

    keys: Keys
    arn: str
    principal: str
    expires_at: datetime | None = None

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    arn: str
    trusts: tuple[str, ...] = ()
    external_id: str | None = None
    issuer: Issuer | None = None
    audience: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A password that was handed out: to whom, and for which region's registries (or `public`)."""

    password: str
    principal: str
    where: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What AWS was asked, after the signature was found good."""

    action: str
    region: str
    host: str
    caller: str
    params: Mapping[str, Any] = field(default_factory=dict)


class Cloud:
    """AWS, without anybody in it.

    Args:
        make_secret: makes secret keys, session tokens, passwords.
    """

    def __init__(self, make_secret: Callable[[], str] = lambda: secrets.token_hex(24)) -> None:
        self.make_secret = make_secret
        self.skew = timedelta()
        self.token_life = timedelta(hours=12)
        self.session_life = timedelta(hours=1)
        self.passwords: dict[str, str] = {}
        self.on_token: list[Callable[[Issued], None]] = []
        self.calls: list[Call] = []
        self.attempts: Counter[str] = Counter()
        self._owners: dict[str, Owner] = {}
        self._roles: dict[str, Role] = {}
        self._sso: dict[str, str] = {}
        self._denied: set[tuple[str, str]] = set()
        self._throttled: Counter[str] = Counter()
        self._broken: dict[str, object] = {}
        self._refused: dict[str, Refusal] = {}
        self._held_back: set[str] = set()
        self._is_patient = False
        self._named = threading.Event()

    def now(self) -> datetime:
        """This machine's time; AWS's is `skew` later."""
        return datetime.now(UTC)

    def add_user(self, account: str = "123456789012", name: str = "ci", *, region: str = "eu-west-1") -> Keys:
        arn = f"arn:{partition(region)}:iam::{account}:user/{name}"
        return self._add_owner(arn, arn, prefix="AKIA").keys

    def add_session(self, role_arn: str, *, life: timedelta = timedelta(hours=6)) -> Keys:
        """Keys of a role that somebody else has assumed: a machine, a container, an SSO user."""
        return self._add_session(role_arn, "node", life).keys

    def add_sso_session(self, role_arn: str) -> str:
        """The token of somebody who has done `aws sso login` and may have the role's keys."""
        token = self.make_secret()
        self._sso[token] = role_arn
        return token

    def add_role(self, arn: str, **trust: Any) -> str:
        self._roles[arn] = Role(arn=arn, **trust)
        return arn

    def deny(self, principal: str, action: str) -> None:
        self._denied.add((principal, action))

    def throttle(self, action: str, times: int) -> None:
        self._throttled[action] = times

    def answer_with(self, action: str, document: object) -> None:
        """Break the service: it answers with this; None mends it."""
        self._broken[action] = document

    def refuse(self, action: str, kind: str, message: str) -> None:
        """Refuse an action in words of the test's own."""
        self._refused[action] = Refusal(kind, message)

    def hold_back(self, action: str) -> None:
        """Let whoever asks for this wait, longer than anybody does."""
        self._held_back.add(action)

    def answer_ecr_last(self) -> None:
        """Let ECR wait for STS to have told the caller's name, which a busy machine may ask for later."""
        self._is_patient = True

    def count(self, action: str) -> int:
        """How often an action was granted or refused to a good signature."""
        return sum(call.action == action for call in self.calls)

    def perform(
        self, action: str, host: str, region: str | None, request: HttpRequest, params: Mapping[str, Any]
    ) -> Any:
        """What the action gives.

        Args:
            action: as IAM names it.
            host: the endpoint's name.
            region: the endpoint's region, None when its name does not tell.
            request: as it came.
            params: of the action.
        """
        self.attempts[action] += 1
        if action == "sts:AssumeRoleWithWebIdentity":
            self.calls.append(Call(action=action, region=region or "", host=host, caller="", params=params))
            self._throttle(action)
            return self._assume_with_web_identity(params)
        owner, claim = self._authenticate(action, region, request)
        self.calls.append(Call(action=action, region=claim.region, host=host, caller=owner.arn, params=params))
        self._throttle(action)
        if action in self._held_back:
            time.sleep(_LONGER_THAN_ANYBODY_WAITS)
        if action in self._refused:
            raise self._refused[action]
        if self._broken.get(action) is not None:
            return self._broken[action]
        if self._is_patient and action == "ecr:GetAuthorizationToken" and self._named.wait(_PATIENCE):
            time.sleep(_UNTIL_READ)
        if action == "sts:GetCallerIdentity":
            self._named.set()
            return {"Arn": owner.arn, "UserId": "AIDAEXAMPLE", "Account": owner.account}
        if action == "sts:AssumeRole":
            return self._assume(owner, params)
        self._allow(owner, action, "*")
        if action == "ecr-public:GetAuthorizationToken":
            self._allow(owner, "sts:GetServiceBearerToken", "*")
            return {"authorizationData": self._token(owner, "public")}
        if len(params.get("registryIds", ())) > 10:
            raise Refusal("invalid", "Invalid parameter at 'registryIds' failed to satisfy constraint: 'size 10'")
        endpoint = f"https://{owner.account}.dkr.ecr.{claim.region}.{suffix(claim.region)}"
        return {"authorizationData": [self._token(owner, claim.region) | {"proxyEndpoint": endpoint}]}

    def sso_role_credentials(self, token: str, account: str, role: str) -> dict[str, Any]:
        """What IAM Identity Center's portal gives to the bearer of a token."""
        arn = self._sso.get(token)
        if arn != f"arn:aws:iam::{account}:role/{role}":
            raise Refusal("sso", "Session token not found or invalid", 401)
        life = timedelta(hours=1)
        keys = self._add_session(arn, "sso", life).keys
        return {
            "roleCredentials": {
                "accessKeyId": keys.access_key,
                "secretAccessKey": keys.secret_key,
                "sessionToken": keys.token,
                "expiration": int((self.now() + life).timestamp() * 1000),
            }
        }

    def _authenticate(self, action: str, region: str | None, request: HttpRequest) -> tuple[Owner, Signature]:
        claim = claimed(request)
        if claim is None:
            raise Refusal("no-token", "Missing Authentication Token", 403)
        service = action.partition(":")[0]
        if claim.service != service:
            raise Refusal("signature", f"Credential should be scoped to correct service: '{service}'. ", 403)
        if region not in (None, claim.region):
            raise Refusal("signature", f"Credential should be scoped to a valid region, not '{claim.region}'. ", 403)
        owner = self._owners.get(claim.access_key)
        if owner is None:
            raise Refusal("unknown", "The security token included in the request is invalid.", 403)
        self._check_time(claim)
        if not is_valid(request, claim, owner.keys.secret_key):
            raise Refusal(
                "signature",
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
                "Access Key and signing method. Consult the service documentation for details.\n\nThe Canonical String "
                f"for this request should have been\n'{request.method}\n{request.target}\n\n"
                f"x-amz-security-token:{request.headers.get('x-amz-security-token', '')}'\n",
                403,
            )
        if request.headers.get("x-amz-security-token") != owner.keys.token:
            raise Refusal("unknown", "The security token included in the request is invalid.", 403)
        if owner.expires_at and owner.expires_at <= self.now():
            raise Refusal("expired", "The security token included in the request is expired", 403)
        return owner, claim

    def _check_time(self, claim: Signature) -> None:
        here = self.now() + self.skew
        form = "%Y%m%dT%H%M%SZ"
        if claim.signed_at < here - _SKEW:
            raise Refusal(
                "signature",
                f"Signature expired: {claim.signed_at:{form}} is now earlier than {here - _SKEW:{form}} "
                f"({here:{form}} - 5 min.)",
                403,
            )
        if claim.signed_at > here + _SKEW:
            raise Refusal(
                "signature",
                f"Signature not yet current: {claim.signed_at:{form}} is still later than {here + _SKEW:{form}} "
                f"({here:{form}} + 5 min.)",
                403,
            )

    def _throttle(self, action: str) -> None:
        if self._throttled[action] > 0:
            self._throttled[action] -= 1
            raise Refusal("throttled", "Rate exceeded")

    def _allow(self, owner: Owner, action: str, resource: str) -> None:
        if (owner.principal, action) in self._denied:
            raise Refusal(
                "denied",
                f"User: {owner.arn} is not authorized to perform: {action} on resource: {resource} because no "
                f"identity-based policy allows the {action} action",
                403 if action.startswith("sts:") else 400,
            )

    def _assume(self, owner: Owner, params: Mapping[str, Any]) -> dict[str, Any]:
        role = self._roles.get(params["RoleArn"])
        fits = role and owner.principal in role.trusts and role.external_id in (None, params.get("ExternalId"))
        if role is None or not fits or (owner.principal, "sts:AssumeRole") in self._denied:
            raise Refusal(
                "denied",
                f"User: {owner.arn} is not authorized to perform: sts:AssumeRole on resource: {params['RoleArn']}",
                403,
            )
        return self._assumed(role, params)

    def _assume_with_web_identity(self, params: Mapping[str, Any]) -> dict[str, Any]:
        role = self._roles.get(params["RoleArn"])
        token = params["WebIdentityToken"]
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except jwt.DecodeError:
            raise Refusal("bad-token", "The ID Token provided is not a valid JWT") from None
        if role is None or role.issuer is None or role.issuer.url != claims.get("iss"):
            raise Refusal("bad-token", f"No OpenIDConnect provider found in your account for {claims.get('iss')}")
        try:
            jwt.decode(token, role.issuer.public_key, algorithms=["RS256"], audience=role.audience, leeway=0)
        except jwt.ExpiredSignatureError:
            raise Refusal(
                "expired-web", "Token expired: current date/time must be before the expiration date/time"
            ) from None
        except jwt.InvalidAudienceError:
            raise Refusal("bad-token", "Incorrect token audience") from None
        except jwt.InvalidTokenError:
            raise Refusal("bad-token", "Couldn't retrieve verification key from your identity provider") from None
        if role.subject != claims.get("sub"):
            raise Refusal("denied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)
        return self._assumed(role, params)

    def _assumed(self, role: Role, params: Mapping[str, Any]) -> dict[str, Any]:
        owner = self._add_session(role.arn, params["RoleSessionName"], self.session_life)
        assert owner.expires_at
        return {
            "Credentials": {
                "AccessKeyId": owner.keys.access_key,
                "SecretAccessKey": owner.keys.secret_key,
                "SessionToken": owner.keys.token,
                "Expiration": f"{owner.expires_at:%Y-%m-%dT%H:%M:%SZ}",
            },
            "AssumedRoleUser": {"AssumedRoleId": f"AROAEXAMPLE:{params['RoleSessionName']}", "Arn": owner.arn},
        }

    def _token(self, owner: Owner, where: str) -> dict[str, Any]:
        password = self.passwords.setdefault(f"{owner.principal} {where}", self.make_secret())
        expires_at = self.now() + self.token_life
        for tell in self.on_token:
            tell(Issued(password=password, principal=owner.principal, where=where, expires_at=expires_at))
        return {
            "authorizationToken": base64.b64encode(f"AWS:{password}".encode()).decode(),
            "expiresAt": expires_at.timestamp(),
        }

    def _add_session(self, role_arn: str, name: str, life: timedelta) -> Owner:
        _, part, _, _, account, path = role_arn.split(":")
        arn = f"arn:{part}:sts::{account}:assumed-role/{path.rpartition('/')[2]}/{name}"
        return self._add_owner(arn, role_arn, prefix="ASIA", token=self.make_secret(), expires_at=self.now() + life)

    def _add_owner(
        self, arn: str, principal: str, *, prefix: str, token: str | None = None, expires_at: datetime | None = None
    ) -> Owner:
        keys = Keys(access_key=prefix + secrets.token_hex(8).upper(), secret_key=self.make_secret(), token=token)
        owner = Owner(keys=keys, arn=arn, principal=principal, expires_at=expires_at)
        self._owners[keys.access_key] = owner
        return owner
