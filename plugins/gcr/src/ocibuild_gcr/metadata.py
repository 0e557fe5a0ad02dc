"""Whether Google's metadata server is here and has an account for this machine, for `ocibuild doctor`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ocibuild_core.plugin import Finding, Severity

from ocibuild_gcr.sdk import metadata_address, metadata_answer
from ocibuild_gcr.transport import NoAnswerError, Transport

if TYPE_CHECKING:
    from ocibuild_core.plugin import ProviderContext

_VARIABLES = ("GCE_METADATA_IP", "GCE_METADATA_HOST")
_SECONDS = 1.5
_OK = 200

# Source: https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys.
_ACCOUNT_PATH = "/computeMetadata/v1/instance/service-accounts/default/?recursive=true"


def look_at_metadata(context: ProviderContext) -> Finding:
    """Ask it who it is, and for the machine's service account."""
    missing = metadata_answer(context, min(_SECONDS, context.remaining() / 2))
    named = next((name for name in _VARIABLES if context.env.get(name)), "")
    if missing and not named:
        return Finding(severity=Severity.OK, what=f"there is no metadata server here: {missing}")
    if missing:
        return Finding(
            severity=Severity.WARNING,
            what=f"the metadata server that {named} names does not help: {missing}",
            do=f"correct {named}, or unset it and set NO_GCE_CHECK=true",
        )
    email = _account(context)
    if email:
        return Finding(severity=Severity.OK, what=f"the metadata server has the service account {email}")
    return Finding(
        severity=Severity.WARNING,
        what="the metadata server is here, and this machine has no service account",
        do="give the machine (pod, job) a service account, or set GOOGLE_APPLICATION_CREDENTIALS",
    )


def _account(context: ProviderContext) -> str:
    """The machine's account; empty for none."""
    seconds = min(_SECONDS, context.remaining())
    transport = Transport(env=context.env, clock=context.clock, deadline=context.clock.monotonic() + seconds)
    url = f"http://{metadata_address(context.env)}{_ACCOUNT_PATH}"
    try:
        response = transport(url, headers={"Metadata-Flavor": "Google"})
        email = json.loads(response.data)["email"] if response.status == _OK else ""
    except (NoAnswerError, ValueError, LookupError, TypeError):
        return ""
    finally:
        transport.close()
    return email if isinstance(email, str) and email.isprintable() else ""
