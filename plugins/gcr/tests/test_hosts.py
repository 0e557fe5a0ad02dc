"""Which hosts are Google's: a token that goes to any other is given away."""

from __future__ import annotations

import string

import pytest
from fake_google.asking import Asker, option_values
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.plugin import Match, UsageError
from ocibuild_gcr import GoogleProvider

GOOGLE = [
    "gcr.io",
    "eu.gcr.io",
    "us.gcr.io",
    "asia.gcr.io",
    "marketplace.gcr.io",
    "europe-docker.pkg.dev",
    "us-central1-docker.pkg.dev",
    "europe-west1-docker.pkg.dev",
]
STRANGERS = [
    "gcr.io.evil.example",
    "europe-docker.pkg.dev.evil.example",
    "evilgcr.io",
    "evil-gcr.io",
    "evilpkg.dev",
    "pkg.dev",
    "gcr.io\n",
    "europe-docker.pkg.dev\n",
    "\ngcr.io",
    "gcr.io.",
    ".gcr.io",
    ".pkg.dev",
    "gcr.io:8080",
    "gcr.io@evil.example",
    "evil.example/gcr.io",
    "evil.example#.gcr.io",
    "gcr。io",
    "éu.gcr.io",
    "GCR.IO",
    "k8s.gcr.io.localhost",
    "docker.io",
    "gcrxio",
    "",
]


@pytest.mark.parametrize("registry", GOOGLE)
def test_googles_registries_are_specific(registry: str) -> None:
    provider = GoogleProvider()
    assert provider.match(registry, option_values(provider, {})) is Match.SPECIFIC


@pytest.mark.parametrize("registry", STRANGERS)
def test_every_other_host_is_none_of_ours_and_gets_nothing(registry: str, ask: Asker) -> None:
    assert ask.provider.match(registry, ask.request().options) is Match.NO
    assert ask.provider.get(ask.request(registry, access_token="ya29.token-at-hand")) is None


@given(
    host=st.text(alphabet=string.ascii_lowercase + string.digits + ".-:/@\n\t ", max_size=30),
    suffix=st.sampled_from(["gcr.io", ".gcr.io", "pkg.dev", ".pkg.dev"]),
    tail=st.text(alphabet=string.printable, min_size=1, max_size=12),
)
def test_nothing_may_follow_googles_domain(host: str, suffix: str, tail: str) -> None:
    provider = GoogleProvider()
    registry = f"{host}{suffix}{tail}"
    if registry.endswith((".gcr.io", ".pkg.dev")):
        return
    assert provider.match(registry, option_values(provider, {})) is Match.NO


def test_registries_are_those_of_the_option_in_any_spelling_and_once(ask: Asker) -> None:
    named = ("https://Europe-Docker.pkg.dev/v2/", "europe-docker.pkg.dev:443", "eu.gcr.io")
    assert ask.provider.registries(ask.request(registries=named)) == ("europe-docker.pkg.dev", "eu.gcr.io")
    assert ask.provider.registries(ask.request()) == ()


@pytest.mark.parametrize("stranger", ["registry.example", "gcr.io.evil.example"])
def test_a_stranger_among_the_registries_is_refused_by_name(stranger: str, ask: Asker) -> None:
    with pytest.raises(UsageError, match=rf"GCR_REGISTRIES: {stranger} is no registry of Google's"):
        ask.provider.registries(ask.request(registries=("gcr.io", stranger)))
