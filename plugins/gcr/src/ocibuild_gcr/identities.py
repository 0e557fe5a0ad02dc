"""Who logs in: the identity that the options name, else the one that Google's tools have left here.

The order is that of Application Default Credentials (https://cloud.google.com/docs/authentication/application-default-credentials),
behind what the options name. google-auth's own `default()` is not used: it reads the process's environment, runs
`gcloud`, and asks for a project that no registry wants to know.
"""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ocibuild_core.plugin import CredentialError, CredentialsUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocibuild_core.plugin import OptionValues, ProviderContext, Secret

KINDS = (
    "service_account",
    "external_account",
    "impersonated_service_account",
    "authorized_user",
    "external_account_authorized_user",
)
"""The types of JSON that google-auth can log in to Google Cloud with."""

_STS = "https://sts.googleapis.com/v1/token"
# An e-mail or a unique id, which become a part of an address:
# https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken
_ACCOUNT = re.compile(r"[0-9]+|[A-Za-z0-9._-]+@[A-Za-z0-9.-]+")
_JWT = "urn:ietf:params:oauth:token-type:jwt"

# The resource name of a provider: https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools.providers
_POOL_PROVIDER = re.compile(
    r"(?:(?:https:)?//iam\.googleapis\.com/)?"
    r"(?P<name>projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]+/providers/[a-z0-9-]+)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An identity as its owner wrote it down.

    Args:
        origin: where it was found, for people.
        info: the JSON object that Google's tools write; it holds secrets. Empty for the metadata server.
        subject: whom an OIDC token is about, when there is one.
    """

    origin: str
    info: Mapping[str, Any] = field(default_factory=dict, repr=False)
    subject: str = ""

    def text(self, name: str) -> str:
        """One field of `info`; empty when it is missing or no text."""
        value = self.info.get(name)
        return value if isinstance(value, str) else ""


def from_options(context: ProviderContext) -> Found | None:
    """The identity that the options name, or None when they name none.

    Raises:
        CredentialError: what they hold is no identity, or one that is over.
        UsageError: half of the options that are needed, or no provider's name.
    """
    options = context.options
    key, token, provider = (
        options.secret("key-json"),
        options.secret("oidc-token"),
        options.text("workload-identity-provider"),
    )
    if key:
        origin = options.origin("key-json") or "key-json"
        return Found(origin=origin, info=parse_json(key.reveal(), origin))
    if token and not provider:
        raise UsageError(
            f"{options.origin('oidc-token') or 'oidc-token'} is set, but not the provider that trusts it",
            do="set GCR_WORKLOAD_IDENTITY_PROVIDER to projects/NUMBER/locations/global/workloadIdentityPools/POOL"
            "/providers/PROVIDER",
        )
    if token and provider:
        return _federated(context, token, provider)
    return _on_github(context.env, provider) if provider else None


def accounts_to_become(options: OptionValues) -> tuple[str, ...]:
    """The service accounts to impersonate, one after the other. Raises UsageError: one is none."""
    accounts = options.texts("impersonate-service-account")
    for account in accounts:
        if not _ACCOUNT.fullmatch(account):
            raise UsageError(
                f"{options.origin('impersonate-service-account') or 'impersonate-service-account'}: {account!r} is no"
                " service account",
                do="give its e-mail, like NAME@PROJECT.iam.gserviceaccount.com",
            )
    return accounts


def from_files(env: Mapping[str, str]) -> Found | None:
    """The identity in the file of GOOGLE_APPLICATION_CREDENTIALS, else in the one that gcloud keeps; None without.

    Raises:
        CredentialError: a file that is named or present, but no good: another identity in its place would surprise.
    """
    named = env.get("GOOGLE_APPLICATION_CREDENTIALS")
    if named:
        origin = f"GOOGLE_APPLICATION_CREDENTIALS ({named})"
        return Found(origin=origin, info=parse_json(_read(Path(named), origin), origin))
    kept = gcloud_file(env)
    if kept is None or not os.path.isfile(kept):  # noqa: PTH113  # a closed home holds none
        return None
    return Found(origin=str(kept), info=parse_json(_read(kept, str(kept)), str(kept)))


def gcloud_file(env: Mapping[str, str]) -> Path | None:
    """Where `gcloud auth application-default login` keeps what it got; None when there is no home."""
    config, home = env.get("CLOUDSDK_CONFIG"), env.get("HOME")
    if not config and not home:
        return None
    folder = Path(config) if config else Path(home or "", ".config", "gcloud")
    return folder / "application_default_credentials.json"


def parse_json(text: str, origin: str) -> dict[str, Any]:
    """The JSON object in `text`, also when it is base64 as `_json_key_base64` has it.

    Raises:
        CredentialError: it is none, or of a kind that nothing here can log in with. The text is never quoted.
    """
    text = text.strip().removeprefix("\ufeff")
    try:
        # `base64` breaks its lines. Not strict: a template may have made true line ends of the `\n` in the key.
        decoded = text if text.startswith("{") else base64.b64decode("".join(text.split()), validate=True)
        info = json.loads(decoded, strict=False)
    except (ValueError, RecursionError):
        raise CredentialError(f"{origin} holds no JSON", why=_not_json(text), do=_GET_KEY) from None
    if not isinstance(info, dict):
        raise CredentialError(f"{origin} holds JSON, but no object", do=_GET_KEY)
    if info.get("type") not in KINDS:
        kind = info.get("type")
        raise CredentialError(
            f"{origin} holds no credentials that Google Cloud takes",
            why=f"its type is {kind!r}" if isinstance(kind, str) else "it has no type",
            do=f"one of these types is needed: {', '.join(KINDS)}",
        )
    return info


def _federated(context: ProviderContext, token: Secret, provider: str) -> Found:
    origin = context.options.origin("oidc-token") or "oidc-token"
    audience = _audience(provider)
    text = token.reveal().strip()
    claims = _claims(text, origin)
    expiry = claims.get("exp")
    if isinstance(expiry, int | float) and expiry <= context.clock.now().timestamp():
        raise CredentialError(
            f"the OIDC token in {origin} has expired",
            do="get a fresh one for each build; let it live as long as the longest build",
        )
    info = {
        "type": "external_account",
        "audience": audience,
        "subject_token_type": _JWT,
        "token_url": _STS,
        "subject_token_supplier": _TokenText(text),
    }
    subject = "".join(char if char.isprintable() else "?" for char in str(claims.get("sub", "")))
    return Found(origin=origin, info=info, subject=f"subject {subject}")


def _on_github(env: Mapping[str, str], provider: str) -> Found:
    """GitHub hands its job an address to fetch the OIDC token from.

    Source: https://docs.github.com/actions/security-for-github-actions/security-hardening-your-deployments/about-security-hardening-with-openid-connect.
    """
    url, bearer = env.get("ACTIONS_ID_TOKEN_REQUEST_URL"), env.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    if not url or not bearer:
        raise CredentialsUnavailable(
            "a workload identity provider is set, but no OIDC token for it",
            tried=["GCR_OIDC_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL (GitHub)"],
            do="set GCR_OIDC_TOKEN; on GitHub give the job `permissions: id-token: write`",
        )
    audience = _audience(provider)
    info = {
        "type": "external_account",
        "audience": audience,
        "subject_token_type": _JWT,
        "token_url": _STS,
        "credential_source": {
            "url": f"{url}&audience={quote(f'https:{audience}', safe='')}",
            "headers": {"Authorization": f"Bearer {bearer}"},
            "format": {"type": "json", "subject_token_field_name": "value"},
        },
    }
    return Found(origin="GitHub's OIDC token", info=info)


def _audience(provider: str) -> str:
    found = _POOL_PROVIDER.fullmatch(provider.strip())
    if not found:
        raise UsageError(
            f"{provider!r} is no workload identity provider",
            do="give projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER, with the project's"
            " number, not its name",
        )
    return f"//iam.googleapis.com/{found['name']}"


class _TokenText:
    """A subject token that is at hand (google-auth's `identity_pool.SubjectTokenSupplier`)."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def get_subject_token(self, context: object, request: object) -> str:  # noqa: ARG002  # google-auth's signature
        """The token itself."""
        return self._text


def _claims(token: str, origin: str) -> dict[str, Any]:
    """What a JWT says, unverified: Google verifies it, this is for the messages."""
    head, _, rest = token.partition(".")
    body, _, signature = rest.partition(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, RecursionError):
        claims = None
    if not head or not signature or not isinstance(claims, dict):
        raise CredentialError(
            f"{origin} holds no OIDC token",
            why="it is no JWT: three parts with dots between; the value is not shown",
            do="in Concourse, give it ((SOURCE:token)) of an idtoken var source",
        )
    return claims


def _read(path: Path, origin: str) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise CredentialError(f"{origin} cannot be read", why=error.strerror or str(error), do=_NAMED_FILE) from None
    except UnicodeDecodeError:
        raise CredentialError(f"{origin} holds no JSON", why="it is no UTF-8 text", do=_GET_KEY) from None


def _not_json(text: str) -> str:
    if text.startswith(("/", "./", "~")) or text.endswith(".json"):
        return "it holds a path, and is wanted to hold the file's text"
    if text.startswith(("eyJ", "ya29.")):
        return "it holds a token, and is wanted to hold a key file's text"
    return "the value is not shown"


_GET_KEY = "give the whole text of the key file, braces included, or its base64"
_NAMED_FILE = "correct the path, or unset GOOGLE_APPLICATION_CREDENTIALS"
