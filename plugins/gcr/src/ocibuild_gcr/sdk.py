"""google-auth: its object for an identity, a token out of it, and what its errors mean."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from ocibuild_core.plugin import CredentialError

from ocibuild_gcr.identities import accounts_to_become
from ocibuild_gcr.refusal import Refusal
from ocibuild_gcr.transport import METADATA_ADDRESS, NoAnswerError, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ocibuild_core.plugin import ProviderContext

    from ocibuild_gcr.identities import Found

    GoogleCredentials = Any

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
"""The scope that Artifact Registry asks for (https://cloud.google.com/artifact-registry/docs/docker/authentication)."""

_MAX_SKEW_SECONDS = 300  # Google's own tolerance is about as much
_LONGEST_QUOTE = 300


def google_credentials(found: Found, context: ProviderContext, seconds: float) -> GoogleCredentials:
    """google-auth's object for an identity, impersonating whom the options name. Nothing is sent yet.

    Args:
        found: the identity.
        context: the options and the environment.
        seconds: how long a program that is its token source may take.

    Raises:
        UsageError: the options name somebody to impersonate who is no service account.
        CredentialError: `info` is malformed, or names a program as token source and programs are not allowed.
    """
    make = _MAKERS[found.text("type")] if found.info else _metadata_server
    if _is_program(found):
        _need_permission(found, context.env)
        make = partial(_program, seconds=seconds)
    chain = accounts_to_become(context.options)
    try:
        credentials = make(found.info)
        return _impersonating(credentials, chain) if chain else credentials
    except _raised_by_google_auth() as error:
        raise CredentialError(
            f"{found.origin} holds no usable credentials", why=_words(error), do="fetch the file or key again, whole"
        ) from None


def refresh(found: Found, credentials: GoogleCredentials, transport: Transport) -> None:
    """Get a token into `credentials`. Raises Refusal: Google refused, or did not answer."""
    try:
        credentials.refresh(transport)
    except NoAnswerError as error:
        raise Refusal("no Google token", why=str(error), do=error.do) from None
    except _raised_by_google_auth() as error:
        raise Refusal(
            f"Google gave no token to {describe(found, credentials)}",
            why=_words(error) + _answer(error, transport),
            do=_advice(error, transport),
        ) from None


def metadata_answer(context: ProviderContext, seconds: float) -> str:
    """Ask for so many seconds whether Google's metadata server is here: empty if it is, else why not.

    Source: https://cloud.google.com/compute/docs/instances/detect-compute-engine.
    """
    env = context.env
    if env.get("NO_GCE_CHECK", "").lower() == "true":
        return "switched off by NO_GCE_CHECK"
    address = metadata_address(env)
    transport = Transport(env=env, clock=context.clock, deadline=context.clock.monotonic() + seconds)
    try:
        response = transport(f"http://{address}/", headers={"Metadata-Flavor": "Google"})
    except NoAnswerError as error:
        return error.why
    finally:
        transport.close()
    return "" if response.headers.get("metadata-flavor") == "Google" else "what answers there is not Google's"


def metadata_address(env: Mapping[str, str]) -> str:
    """Where Google's metadata server is, as google-auth finds it."""
    return env.get("GCE_METADATA_IP") or env.get("GCE_METADATA_HOST") or METADATA_ADDRESS


def describe(found: Found, credentials: GoogleCredentials) -> str:
    """Who logs in and where that was found, without a secret. After a refresh it knows a metadata server's account."""
    own, name = found.text("client_email"), getattr(credentials, "service_account_email", None)
    who = f"service account {own}" if own else _nameless(found)
    if name and not found.info:
        who = f"service account {name}"
    elif name and name != own:
        who = f"service account {name}, impersonated by {who}"
    return f"{who} via {found.origin}"


def _nameless(found: Found) -> str:
    if found.text("type").startswith("external_account"):
        pool = found.text("audience").removeprefix("//iam.googleapis.com/") or "an identity pool"
        return f"{found.subject or 'an identity'} of {pool}"
    return f"user {found.text('account')}" if found.text("account") else "a user"


def _is_program(found: Found) -> bool:
    """Whether the token comes from a program."""
    source = found.info.get("credential_source")
    return found.text("type") == "external_account" and isinstance(source, dict) and "executable" in source


def _need_permission(found: Found, env: Mapping[str, str]) -> None:
    if env.get("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES") != "1":
        raise CredentialError(
            f"{found.origin} gets its token from a program, and programs are not allowed",
            do="if you trust that file, set GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1",
        )


def _program(info: Mapping[str, Any], *, seconds: float) -> GoogleCredentials:
    from google.auth import pluggable

    class Program(pluggable.Credentials):
        """Ends within our time, for which google-auth takes 5 s at least; it makes copies of the object."""

        def __init__(self, *args: Any, **settings: Any) -> None:  # noqa: ANN401  # google-auth's
            super().__init__(*args, **settings)  # type: ignore[no-untyped-call]  # google-auth has no types here
            asked = self._credential_source_executable_timeout_millis
            self._credential_source_executable_timeout_millis = min(asked, int(1000 * seconds))

    return Program.from_info(info, scopes=list(SCOPES))  # type: ignore[no-untyped-call]  # as above


def _impersonating(source: GoogleCredentials, chain: Sequence[str]) -> GoogleCredentials:
    from google.auth import impersonated_credentials

    *delegates, target = chain
    return impersonated_credentials.Credentials(
        source_credentials=source, target_principal=target, target_scopes=list(SCOPES), delegates=delegates
    )


def _metadata_server(info: Mapping[str, Any]) -> GoogleCredentials:
    from google.auth import compute_engine

    del info
    # Without the domain google-auth asks the server for it, over a connection that has no deadline.
    return compute_engine.Credentials(scopes=list(SCOPES), universe_domain="googleapis.com")


def _service_account(info: Mapping[str, Any]) -> GoogleCredentials:
    from google.oauth2 import service_account

    return service_account.Credentials.from_service_account_info(info, scopes=list(SCOPES))


def _authorized_user(info: Mapping[str, Any]) -> GoogleCredentials:
    from google.oauth2 import credentials

    # A user's scopes were fixed when he logged in.
    return credentials.Credentials.from_authorized_user_info(info)


def _external_account(info: Mapping[str, Any]) -> GoogleCredentials:
    from google.auth import aws, identity_pool

    source = info.get("credential_source") or {}
    if not isinstance(source.get("file", ""), str):
        raise TypeError("credential_source.file is no path")  # of a number google-auth would close the descriptor
    if info.get("subject_token_type") == "urn:ietf:params:aws:token-type:aws4_request":
        return aws.Credentials.from_info(info, scopes=list(SCOPES))
    return identity_pool.Credentials.from_info(info, scopes=list(SCOPES))


def _external_account_user(info: Mapping[str, Any]) -> GoogleCredentials:
    from google.auth import external_account_authorized_user

    return external_account_authorized_user.Credentials.from_info(info)


def _impersonated(info: Mapping[str, Any]) -> GoogleCredentials:
    from google.auth import impersonated_credentials

    return impersonated_credentials.Credentials.from_impersonated_service_account_info(info, scopes=list(SCOPES))


_MAKERS: dict[str, Callable[[Mapping[str, Any]], GoogleCredentials]] = {
    "service_account": _service_account,
    "external_account": _external_account,
    "impersonated_service_account": _impersonated,
    "authorized_user": _authorized_user,
    "external_account_authorized_user": _external_account_user,
}


def _raised_by_google_auth() -> tuple[type[Exception], ...]:
    """What comes out of google-auth: its own errors, and the raw ones of files, JSON, keys and programs."""
    from subprocess import SubprocessError  # noqa: PLC0415  # loads only when somebody logs in

    from google.auth.exceptions import GoogleAuthError

    return (GoogleAuthError, SubprocessError, OSError, ValueError, TypeError, LookupError, AttributeError)


_LOG_IN_AGAIN = "run `gcloud auth application-default login` again; for builds without a person use a service account"
_ASK_FOR_AUDIENCE = (
    "have the OIDC token issued for https://iam.googleapis.com/ followed by the provider's name, or let the provider"
    " allow the token's audience"
)
_GRANT = (
    "grant roles/iam.serviceAccountTokenCreator on that service account to whoever impersonates it; to a pool's"
    " identity, roles/iam.workloadIdentityUser"
)

_LET_IN_AT_SOURCE = (
    "look whether the address in credential_source hands out a token; on GitHub give the job"
    " `permissions: id-token: write`"
)
_OTHERWISE = "see the cause; check the credentials file, or have it written anew"

# Google's words, and what to do about them. The first that is found counts.
_ADVICE = (
    ("Invalid JWT Signature", "the key was deleted or replaced: make a new one for the service account"),
    ("account not found|Gaia id not found", "check the service account's name; it may have been deleted"),
    ("reasonable timeframe", "set this machine's clock"),
    ("invalid_rapt|reauth|expired or revoked|invalid_grant: Bad Request", _LOG_IN_AGAIN),
    ("audience in ID Token", _ASK_FOR_AUDIENCE),
    ("attribute condition", "look at the provider's attribute condition: it does not let this subject in"),
    ("invalid_target|value for .?.?audience", "check the pool and the provider: deleted, disabled or misspelt"),
    ("ID Token .*(?:expired|stale)|token is expired", "get a fresh OIDC token for each build"),
    ("has not been used|SERVICE_DISABLED", "run `gcloud services enable iamcredentials.googleapis.com`"),
    ("getAccessToken|impersonated credentials", _GRANT),
    ("metadata service. Status: 404", "give this machine (pod, job) a service account"),
    ("retrieve Identity Pool subject token", _LET_IN_AT_SOURCE),
    ("subject_token", "look at the file or answer that credential_source names: there is no token where it says"),
    (
        "(?:retrieve|determine) (?:the )?AWS",
        "set AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role on AWS",
    ),
    (
        "certificate for external|leaf certificate|[Tt]rust chain",
        "check credential_source.certificate and the files that it leads to",
    ),
    ("File .* was not found", "let the platform write the token file before the build starts, or correct its path"),
)

_SECRETS = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?|ya29\.[\w.-]+|-----BEGIN [A-Z ]*PRIVATE KEY-----.*", re.DOTALL
)


def _advice(error: Exception, transport: Transport) -> str:
    words = _words(error)
    seconds = transport.skew.total_seconds() if transport.skew else 0
    if abs(seconds) > _MAX_SKEW_SECONDS and re.search("timeframe|expired|stale", words):
        direction = "ahead of" if seconds > 0 else "behind"
        return f"set this machine's clock: it is {abs(seconds) / 60:.0f} min {direction} the server's"
    return next((do for needle, do in _ADVICE if re.search(needle, words)), _OTHERWISE)


def _answer(error: Exception, transport: Transport) -> str:
    """Who gave no subject token, which google-auth does not say."""
    return f": {transport.last_answer}" if "Identity Pool subject token" in str(error) else ""


def _words(error: Exception) -> str:
    """What an error says, on one line and without what looks like a secret."""
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    elif type(error).__name__ == "TimeoutExpired":
        text = "the program that fetches the token took too long"
    elif type(error).__module__.startswith("google."):
        text = _google_words(error)
    else:
        text = f"google-auth stopped with {type(error).__name__}: {error}"
    text = _SECRETS.sub("********", " ".join(text.split()))
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"


def _google_words(error: Exception) -> str:
    """The message, with that of Google's JSON answer where google-auth keeps it as the second argument."""
    while error.args and isinstance(error.args[0], Exception):
        error = error.args[0]
    if not error.args:
        return type(error).__name__
    # Behind "Error:" google-auth quotes all that a token program printed, perhaps its token.
    text = re.sub(r"(Executable exited.*?) Error: .*", r"\1", str(error.args[0]), flags=re.DOTALL)
    answer = error.args[1] if len(error.args) > 1 else None
    try:
        said = json.loads(answer)["error"]["message"] if isinstance(answer, str) else ""
    except (ValueError, LookupError, TypeError):
        said = ""
    return f"{text}: {said}" if said else text
