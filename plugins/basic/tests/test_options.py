"""`BASIC_USER` with `BASIC_PASSWORD`, and what a CI system sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ocibuild_core.plugin import CredentialError, CredentialsUnavailable, Match

if TYPE_CHECKING:
    from basic_support import Asker
    from ocibuild_basic.provider import BasicProvider


def test_user_and_password_are_for_the_registry(provider: BasicProvider, ask: Asker) -> None:
    given = {"user": "alice", "password": "secret\n", "registry": "r.example:5000"}

    credential = provider.get(ask.request("r.example:5000", explicit=False, **given))

    assert credential
    assert (credential.username, credential.secret.reveal()) == ("alice", "secret")
    assert credential.detail == "user alice from BASIC_PASSWORD"
    options = ask.context(**given).options
    assert provider.match("r.example:5000", options) is Match.SPECIFIC
    assert provider.match("r.example", options) is Match.GENERIC
    assert list(provider.registries(ask.context(**given))) == ["r.example:5000"]


def test_without_a_registry_they_are_for_docker_hub_when_asked_for_by_name(provider: BasicProvider, ask: Asker) -> None:
    given = {"user": "alice", "password": "secret"}

    assert list(provider.registries(ask.context(**given))) == ["docker.io"]
    assert provider.get(ask.request("docker.io", **given))
    assert provider.get(ask.request("r.example", **given)) is None


def test_without_a_registry_and_a_name_they_are_for_nobody(provider: BasicProvider, ask: Asker) -> None:
    """With `--login basic=ghcr.io` Docker Hub is a registry like any other, and gets no password of ghcr.io."""
    given = {"user": "alice", "password": "secret"}

    assert provider.match("docker.io", ask.context(**given).options) is Match.GENERIC
    assert provider.registries(ask.context(explicit=False, **given)) == ()
    assert provider.get(ask.request("docker.io", explicit=False, **given)) is None


def test_a_password_without_user_says_what_to_set(provider: BasicProvider, ask: Asker) -> None:
    with pytest.raises(CredentialsUnavailable, match="BASIC_PASSWORD is set, but no user") as caught:
        provider.get(ask.request("docker.io", password="secret"))
    assert "BASIC_USER" in caught.value.do


@pytest.mark.parametrize("user", ["ali ce", "ali:ce", "alice\n"])
def test_a_user_that_http_cannot_carry_is_refused(provider: BasicProvider, ask: Asker, user: str) -> None:
    with pytest.raises(CredentialError, match="the user name holds"):
        provider.get(ask.request("docker.io", user=user, password="secret"))


@pytest.mark.parametrize(
    "given", [{"user": "alice", "password": "secret"}, {"pass_": "alice:secret"}], ids=["user and password", "PASS"]
)
def test_a_pin_says_for_which_registry_they_are(
    provider: BasicProvider, ask: Asker, caplog: pytest.LogCaptureFixture, given: dict[str, str]
) -> None:
    """`--login basic=ghcr.io` is enough: nobody wants to name the registry twice."""
    credential = provider.get(ask.request("ghcr.io", pinned=True, **given))

    assert credential
    assert (credential.username, credential.secret.reveal()) == ("alice", "secret")
    env = {"LOGIN": "basic=ghcr.io"}
    for other in ("other.example", "docker.io"):
        assert provider.get(ask.request(other, explicit=False, env=env, **given)) is None
    assert not caplog.records


def test_a_registry_of_their_own_stays_theirs_in_spite_of_a_pin(provider: BasicProvider, ask: Asker) -> None:
    given = {"user": "alice", "password": "secret", "registry": "r.example"}

    with pytest.raises(CredentialsUnavailable, match=r"no keyring back end for ghcr\.io") as caught:
        provider.get(ask.request("ghcr.io", pinned=True, **given))
    assert "BASIC_USER and BASIC_PASSWORD" in caught.value.tried


GITLAB = {
    "CI_REGISTRY": "registry.gitlab.example:5050",
    "CI_REGISTRY_USER": "gitlab-ci-token",
    "CI_REGISTRY_PASSWORD": "job-password",
    "CI_JOB_TOKEN": "job-token",
    "CI_DEPENDENCY_PROXY_SERVER": "gitlab.example:443",
    "CI_DEPENDENCY_PROXY_USER": "gitlab-ci-token",
    "CI_DEPENDENCY_PROXY_PASSWORD": "proxy-password",
}


@pytest.mark.parametrize(
    ("registry", "missing", "secret", "detail"),
    [
        ("registry.gitlab.example:5050", "", "job-password", "user gitlab-ci-token from CI_REGISTRY_PASSWORD"),
        ("registry.gitlab.example:5050", "CI_REGISTRY_PASSWORD", "job-token", "user gitlab-ci-token from CI_JOB_TOKEN"),
        ("gitlab.example", "", "proxy-password", "user gitlab-ci-token from CI_DEPENDENCY_PROXY_PASSWORD"),
    ],
)
def test_a_gitlab_job_is_logged_in_to_its_registries(  # one row of the table each
    provider: BasicProvider, ask: Asker, registry: str, missing: str, secret: str, detail: str
) -> None:
    env = {name: value for name, value in GITLAB.items() if name != missing}

    credential = provider.get(ask.request(registry, env=env, explicit=False))

    assert credential
    assert credential.secret.reveal() == secret
    assert credential.detail == detail


def test_a_job_token_goes_to_no_other_registry(provider: BasicProvider, ask: Asker) -> None:
    for registry in ("registry.gitlab.example", "registry.gitlab.example:5051", "docker.io", "ghcr.io"):
        assert provider.get(ask.request(registry, env=GITLAB, explicit=False)) is None


def test_github_s_token_is_for_ghcr(provider: BasicProvider, ask: Asker) -> None:
    env = {"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "octocat", "GITHUB_TOKEN": "token"}

    credential = provider.get(ask.request("ghcr.io", env=env, explicit=False))

    assert credential
    assert (credential.username, credential.secret.reveal()) == ("octocat", "token")
    assert credential.detail == "user octocat from GITHUB_TOKEN"
    assert provider.get(ask.request("docker.io", env=env, explicit=False)) is None


def test_on_a_laptop_github_s_token_is_used_only_when_asked_for(provider: BasicProvider, ask: Asker) -> None:
    # It stands in many shells for other ends, and ghcr.io refuses even public images to a token without the scope.
    env = {"GITHUB_TOKEN": "token"}

    assert provider.get(ask.request("ghcr.io", env=env, explicit=False)) is None
    credential = provider.get(ask.request("ghcr.io", env=env, explicit=True))
    assert credential
    assert credential.username == "x-access-token"


def test_a_ci_variable_that_is_no_host_is_nobody_s_login(provider: BasicProvider, ask: Asker) -> None:
    env = {**GITLAB, "CI_REGISTRY": "not a host"}

    assert provider.get(ask.request("r.example", env=env, explicit=False)) is None
