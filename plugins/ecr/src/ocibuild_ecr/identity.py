"""What the options say: which registries, which region, as whom. Pure: options and environment in, records out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.plugin import (
    CredentialRequest,
    CredentialsUnavailable,
    OptionValues,
    ProviderContext,
    Secret,
    UsageError,
    parse_registry,
)

from ocibuild_ecr import hosts

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_REGION = "eu-west-1"

_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_ROLE_ARN = r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+"
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)  # sts:AssumeRole, parameter RoleSessionName
_KEYED_ROLE = re.compile(rf"(?:(?P<key>[0-9]{{12}})=)?(?P<value>{_ROLE_ARN})", re.ASCII)
_KEYED_ID = re.compile(
    # A role's name may hold '=', an external id as well: the key ends at the first one.
    rf"(?:(?P<key>[0-9]{{12}}|{_ROLE_ARN.replace('=', '')})=)?(?P<value>[\w+=,.@:/-]{{2,1224}})",
    re.ASCII,
)

OWN_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)
"""Whoever set one of these has said who he is: a CI system's token is not taken instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenText:
    """An OIDC token that somebody handed over, and by which name."""

    origin: str
    token: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFile:
    """An OIDC token in a file, read anew each time: whoever writes it renews it."""

    path: Path
    origin: str = "AWS_WEB_IDENTITY_TOKEN_FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubToken:
    """An OIDC token that GitHub Actions makes on request.

    Source: https://docs.github.com/en/actions/reference/security/oidc#methods-for-requesting-the-oidc-token.
    """

    url: str
    bearer: Secret
    audience: str
    origin: str = "GitHub's OIDC token"


WebIdentity = TokenText | TokenFile | GitHubToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role to assume."""

    arn: str
    external_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """As whom to ask for a token. Two registries with equal identities share one.

    Args:
        profile: a profile of the AWS config files, None for the environment's choice.
        web_identity: what the first role is assumed with; None: with the SDK's default chain.
        roles: assumed one after the other.
        session_name: of every role session; empty without roles.
        uses_metadata: the instance metadata service may be asked, which takes seconds where there is none.
    """

    profile: str | None = None
    web_identity: WebIdentity | None = None
    roles: tuple[Role, ...] = ()
    session_name: str = ""
    uses_metadata: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A region, and the setting that named it; `is_guess` when none did."""

    name: str
    origin: str
    is_guess: bool = False


def named_registries(options: OptionValues) -> tuple[str, ...]:
    """The accounts and registry hosts that the options name, each once.

    Raises:
        UsageError: an item is neither.
    """
    what = options.origin("registries") or "registries"
    return tuple(dict.fromkeys(_named(item, what) for item in options.texts("registries")))


def find_region(context: ProviderContext, profile_region: Callable[[], str | None]) -> Region:
    """The region of registries that are named by account alone.

    Args:
        context: the options and the environment.
        profile_region: what the AWS config files say; asked last.

    Raises:
        UsageError: what was set is no region's name.
    """
    option = context.options.text("region")
    settings = [(context.options.origin("region") or "region", option)]
    settings += [(name, context.env.get(name)) for name in ("AWS_REGION", "AWS_DEFAULT_REGION")]
    for origin, value in settings:
        if value and value.strip():
            return _region(value, origin)
    from_profile = profile_region()
    if from_profile and from_profile.strip():
        return _region(from_profile, "the AWS profile")
    return Region(name=DEFAULT_REGION, origin="the default", is_guess=True)


def is_for_all(options: OptionValues) -> bool:
    """Whether the options say who to be beyond the accounts that have roles of their own.

    Raises:
        UsageError: a role is malformed.
    """
    return not options.texts("role-arn") or bool(_roles(options, None))


def profile(options: OptionValues) -> str | None:
    """The profile that the options name."""
    return _text(options, "profile")


def unused(options: OptionValues) -> str:
    """What was set and has no effect, for people; empty when all of it has one."""
    if not options.texts("external-id") or options.texts("role-arn"):
        return ""
    return f"{options.origin('external-id') or 'external-id'} is not used: ECR_ROLE_ARN names no role for it"


def identity_for(context: ProviderContext, account: str | None) -> Identity:
    """As whom to ask for the token of an account's registries.

    Args:
        context: the options and the environment.
        account: None for ECR Public, and for the caller's own account.

    Raises:
        UsageError: an option is malformed or in conflict with another.
        CredentialsUnavailable: the options ask for a CI system's token, and there is none; or they have roles for
            other accounts alone.
    """
    roles = _roles(context.options, account)
    from_env = context.env.get("AWS_ROLE_ARN", "").strip()
    web_identity = _web_identity(context, has_role=bool(roles or from_env))
    if web_identity and not roles:
        roles = (_role_from_env(from_env, web_identity, account, context.options),)
    return Identity(
        profile=profile(context.options),
        web_identity=web_identity,
        roles=roles,
        session_name=_session_name(context.options) if roles else "",
    )


def _named(item: str, what: str) -> str:
    item = hosts.unquoted(item)
    if _ACCOUNT.fullmatch(item):
        return item
    if item.isdigit():
        seen = f"this has {len(item)}" if item.isascii() else "these are others"
        raise UsageError(
            f"{what}: {item!r} is no AWS account id: it has 12 digits (0-9), {seen}",
            why="YAML reads an unquoted 012345678901 as a number and drops its leading zero" if item.isascii() else "",
            do="write all 12 digits, in quotes",
        )
    if len(item.split()) > 1 and "@" not in item:  # what holds an '@' may hold a password
        raise UsageError(f"{what}: {item!r} holds white space", do="put commas between accounts and hosts")
    host = parse_registry(item, what=what).registry
    if hosts.parse(host) is None:
        raise UsageError(
            f"{what}: {item!r} is neither an AWS account id nor a registry of Amazon's",
            do="write 12 digits, or a host like 123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        )
    return host


def _region(value: str, origin: str) -> Region:
    name = value.strip().lower()
    if not hosts.is_region(name):
        raise UsageError(f"{origin}: {value!r} is no AWS region", do="write it like eu-west-1")
    return Region(name=name, origin=origin)


def _roles(options: OptionValues, account: str | None) -> tuple[Role, ...]:
    """The account's own roles, else those that are meant for all."""
    what = options.origin("role-arn") or "role-arn"
    by_account: dict[str | None, list[str]] = {}
    for item in options.texts("role-arn"):
        found = _KEYED_ROLE.fullmatch(item)
        if found is None:
            raise UsageError(
                f"{what}: {item!r} is no role",
                why="an account id has 12 digits; unquoted in YAML it loses a leading zero",
                do="write arn:aws:iam::123456789012:role/NAME, or 123456789012=ARN for one account's registries",
            )
        by_account.setdefault(found["key"], []).append(found["value"])
    arns = by_account.get(account) or by_account.get(None, [])
    return tuple(_role(arn, account, options) for arn in arns)


def _role(arn: str, account: str | None, options: OptionValues) -> Role:
    ids: dict[str | None, str] = {}
    for item in options.texts("external-id"):
        found = _KEYED_ID.fullmatch(item)
        if found is None:
            raise UsageError(
                f"{options.origin('external-id') or 'external-id'}: an item is no external id",
                why="it has 2 to 1224 characters: letters, digits and + = , . @ : / -",
                do="write ID, 123456789012=ID or ROLE_ARN=ID",
            )
        ids[found["key"]] = found["value"]
    keys = (arn, account, None)
    return Role(arn=arn, external_id=next((ids[key] for key in keys if key in ids), None))


def _role_from_env(arn: str, web_identity: WebIdentity, account: str | None, options: OptionValues) -> Role:
    if not arn and options.texts("role-arn"):
        added = f"{account}=ARN, or an ARN for all" if account else "an ARN for all"
        raise CredentialsUnavailable(
            f"{web_identity.origin} is given, but no role to assume with it for {account or 'ECR Public'}",
            do=f"add to {options.origin('role-arn') or 'role-arn'} {added}",
        )
    if not arn:
        raise UsageError(
            f"{web_identity.origin} is given, but no role to assume with it",
            do="set ECR_ROLE_ARN (or AWS_ROLE_ARN) to the role whose trust policy names the token's issuer",
        )
    if not re.fullmatch(_ROLE_ARN, arn, re.ASCII):
        raise UsageError(f"AWS_ROLE_ARN: {arn!r} is no role", do="write arn:aws:iam::123456789012:role/NAME")
    return _role(arn, None, options)


def _web_identity(context: ProviderContext, *, has_role: bool) -> WebIdentity | None:
    token = context.options.secret("web-identity-token")
    if token and token.reveal().strip():
        origin = context.options.origin("web-identity-token") or "web-identity-token"
        return TokenText(origin=origin, token=Secret(token.reveal().strip()))
    choice = context.options.text("web-identity")
    if choice == "none":
        return None
    tokens: dict[str, WebIdentity | None] = {"github": _github_token(context), "gitlab": _gitlab_token(context)}
    if choice in tokens:
        return tokens[choice] or _raise_no_ci_token(choice, context)
    return _surrounding_token(context, tokens) if has_role and not profile(context.options) else None


def _surrounding_token(context: ProviderContext, tokens: dict[str, WebIdentity | None]) -> WebIdentity | None:
    """What lies ready, for a role that somebody named without saying how to become it."""
    path = context.env.get("AWS_WEB_IDENTITY_TOKEN_FILE")
    if path and not context.env.get("AWS_ROLE_ARN"):
        # The SDK itself has no use for the file without a role; here the role is the option's.
        return TokenFile(path=Path(path))
    if any(context.env.get(name) for name in OWN_CREDENTIALS):
        return None
    return next((token for token in tokens.values() if token), None)


def _github_token(context: ProviderContext) -> GitHubToken | None:
    url = context.env.get("ACTIONS_ID_TOKEN_REQUEST_URL", "")
    bearer = context.env.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "")
    if not (url and bearer):
        return None
    return GitHubToken(url=url, bearer=Secret(bearer), audience=context.options.text("web-identity-audience") or "")


def _gitlab_token(context: ProviderContext) -> TokenText | None:
    # The job chooses the variable's name; this one is from GitLab's own guide to AWS:
    # https://docs.gitlab.com/ci/cloud_services/aws/
    token = context.env.get("GITLAB_OIDC_TOKEN", "").strip()
    return TokenText(origin="GITLAB_OIDC_TOKEN", token=Secret(token)) if token else None


def _raise_no_ci_token(choice: str, context: ProviderContext) -> WebIdentity:
    whose = context.registry if isinstance(context, CredentialRequest) else "the caller's own registry"
    remedies = {
        "github": "give the job 'permissions: id-token: write'",
        "gitlab": "give the job 'id_tokens: {GITLAB_OIDC_TOKEN: {aud: …}}'",
    }
    raise CredentialsUnavailable(
        f"{choice}'s OIDC token was asked for, but the job has none to log in to {whose} with", do=remedies[choice]
    )


def _session_name(options: OptionValues) -> str:
    name = _text(options, "session-name") or ""
    if not _SESSION_NAME.fullmatch(name):
        raise UsageError(
            f"{options.origin('session-name') or 'session-name'}: {name!r} is no name of a role session",
            do="use 2 to 64 letters, digits and + = , . @ - _",
        )
    return name


def _text(options: OptionValues, name: str) -> str | None:
    value = options.text(name)
    return value.strip() or None if value else None
