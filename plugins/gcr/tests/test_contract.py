"""What the host relies on, for each kind of identity."""

from __future__ import annotations

import json

import pytest
from fake_google import Cloud, MetadataServer, PoolProvider
from fake_google.asking import POOL, REGISTRY, Asker
from ocibuild_core.plugin import AuthProvider, Secret
from ocibuild_gcr import GoogleProvider
from ocibuild_testkit.contracts import AuthProviderContract, Login


class GoogleContract(AuthProviderContract):
    """What all of them share."""

    other_registries = ("registry.invalid", "gcr.io.registry.invalid", "evilpkg.dev", "gcr.io:5000")

    @pytest.fixture
    def provider(self) -> AuthProvider:
        return GoogleProvider()


class TestWithAKey(GoogleContract):
    @pytest.fixture
    def login(self, ask: Asker, key: dict[str, str]) -> Login:
        return Login(
            registry=REGISTRY,
            options={"key-json": Secret(json.dumps(key))},
            env=ask.env,
            secrets=tuple(key["private_key"].splitlines()[1:4]),
        )


class TestWithAKeyAsPassword(GoogleContract):
    @pytest.fixture
    def login(self, ask: Asker, key: dict[str, str]) -> Login:
        return Login(
            registry="gcr.io", options={"key-json": Secret(json.dumps(key)), "key-as": "password"}, env=ask.env
        )


class TestWithATokenAtHand(GoogleContract):
    @pytest.fixture
    def login(self, ask: Asker) -> Login:
        return Login(registry="eu.gcr.io", options={"access-token": Secret("ya29.a-token-at-hand")}, env=ask.env)


class TestWithFederation(GoogleContract):
    @pytest.fixture
    def login(self, ask: Asker, cloud: Cloud, pool: PoolProvider) -> Login:
        now = int(cloud.now().timestamp())
        claims = {"iss": pool.issuer, "sub": "main/app", "aud": pool.audience, "iat": now, "exp": now + 3600}
        return Login(
            registry=REGISTRY,
            options={
                "oidc-token": Secret(pool.key.sign(claims)),
                "workload-identity-provider": POOL,
                "registries": (REGISTRY, "gcr.io"),
            },
            env=ask.env,
        )


class TestOnAMachineOfGoogles(GoogleContract):
    @pytest.fixture
    def login(self, ask: Asker, metadata: MetadataServer) -> Login:
        assert metadata.address in ask.env.values()
        return Login(registry=REGISTRY, env=ask.env)
