"""Registries that let in whoever shows what a cloud handed out, as the clouds' own do."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ocibuild_testkit.registry import Authority, Identity, IssuedPasswords, TokenAuth

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import fake_aws
    import fake_google


class EcrPasswords(IssuedPasswords):
    """Lets in who shows a token of the registry's own region, handed out to somebody whom its policy names."""

    def __init__(self, cloud: fake_aws.Cloud, region: str, policy: Mapping[str, Identity]) -> None:
        super().__init__()
        self._region = region
        self._policy = policy
        cloud.on_token.append(self._learn)

    def _learn(self, issued: fake_aws.Issued) -> None:
        rights = self._policy.get(issued.principal)
        if rights and issued.where == self._region:
            granted = Identity(username="AWS", password=issued.password, pull=rights.pull, push=rights.push)
            self.issue(granted, expires_at=issued.expires_at)


class ArtifactRegistry(TokenAuth):
    """Lets in who shows a token that Google gave to somebody with the role Artifact Registry Writer.

    Its realm is on loopback, so that clients reach it without the proxy.
    """

    def __init__(self, cloud: fake_google.Cloud, writers: tuple[str, ...]) -> None:
        super().__init__([Identity(username="oauth2accesstoken", password=secrets.token_urlsafe(30))])
        self._writers = writers
        cloud.on_token.append(self._learn)

    def start(self, directory: Path, *, host: str, authority: Authority | None) -> Mapping[str, object]:
        """See `RegistryAuth.start`."""
        del host
        return super().start(directory, host="127.0.0.1", authority=authority)

    def _learn(self, text: str, token: fake_google.Token) -> None:
        if token.principal in self._writers:
            self.accounts.set_password("oauth2accesstoken", text)
