"""The two calls: Entra's token for a client secret, and the registry's refresh token for that.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ocibuild_core.plugin import CredentialError, Secret, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocibuild_core.plugin import CredentialRequest

_SCOPE = "https://containerregistry.azure.net/.default"
_LONGEST_ANSWER = 256 * 1024
_ERROR_CODE = re.compile(r"AADSTS\d{1,10}", re.ASCII)


def token_of_client(request: CredentialRequest, tenant: str, client: str, secret: Secret) -> Secret:
    """An access token of Entra for registries, for a service principal. Raises `CredentialError`."""
    form = {
        "grant_type": "client_credentials",
        "client_id": client,
        "client_secret": secret.reveal(),
        "scope": _SCOPE,
    }
    authority = (request.options.text("authority") or "").rstrip("/")
    if not authority.startswith("https://"):
        raise UsageError(
            f"{request.options.origin('authority')}={authority!r}: Entra is asked over https alone",
            do="give a URL that begins with https://",
        )
    url = f"{authority}/{urllib.parse.quote(tenant, safe='')}/oauth2/v2.0/token"
    return _token(_post(request, "Entra", url, form), "access_token", "Entra")


def exchange(request: CredentialRequest, token: Secret, *, tenant: str) -> Secret:
    """A refresh token of the registry for an access token of Entra. Raises `CredentialError`."""
    form = {"grant_type": "access_token", "service": request.registry, "access_token": token.reveal()}
    if tenant:
        form["tenant"] = tenant
    answer = _post(request, request.registry, f"https://{request.registry}/oauth2/exchange", form)
    return _token(answer, "refresh_token", request.registry)


def expiry(token: Secret) -> datetime | None:
    """When a JSON web token ends (RFC 7519, `exp`); None when it does not tell. It is read, not trusted."""
    try:
        part = token.reveal().split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (ValueError, LookupError, TypeError, OverflowError, OSError):
        return None


def _post(request: CredentialRequest, whom: str, url: str, form: Mapping[str, str]) -> Any:
    """Send a form, within the request's deadline; the parsed answer. Nothing of the form is in an error."""
    body = urllib.parse.urlencode(form).encode()
    try:
        context = ssl.create_default_context(cafile=request.env.get("SSL_CERT_FILE") or None)
        timeout = request.remaining() or 0.001
        # https alone, see above; a redirect becomes a GET, which leaves the form behind.
        with urllib.request.urlopen(url, data=body, timeout=timeout, context=context) as answer:  # noqa: S310
            return json.loads(answer.read(_LONGEST_ANSWER))
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(request, whom, error) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        # The reason is of our own words: an exception's text may quote what was sent.
        reason = getattr(error, "reason", error)
        why = reason.strerror if isinstance(reason, OSError) and reason.strerror else type(reason).__name__
        raise CredentialError(
            f"no answer from {whom} for {request.registry}",
            why=str(why),
            do="check the network, the address, and SSL_CERT_FILE for a certificate authority of your own",
        ) from None


def _refused(request: CredentialRequest, whom: str, error: urllib.error.HTTPError) -> CredentialError:
    # Entra's code alone: the sentence around it may quote what was sent.
    code = _ERROR_CODE.search(error.read(_LONGEST_ANSWER).decode(errors="replace"))
    return CredentialError(
        f"{whom} refuses the login for {request.registry}",
        why=f"HTTP {error.code}{f', {code.group()}' if code else ''}",
        do="check tenant, client id and secret, and that the principal has the role AcrPull or AcrPush",
    )


def _token(answer: Any, name: str, whom: str) -> Secret:
    token = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(token, str) or not token:
        raise CredentialError(f"{whom} answered without {name}", do="check that the address is the right one")
    return Secret(token)
