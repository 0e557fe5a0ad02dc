"""What the host relies on, for each way to a password."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest
from ocibuild_basic.provider import BasicProvider
from ocibuild_core.plugin import Secret
from ocibuild_testkit.contracts import AuthProviderContract, Login

if TYPE_CHECKING:
    from collections.abc import Callable

    from basic_support import Asker

HOST = "r.example:5000"


class _EveryRegistry(AuthProviderContract):
    """A keyring may know any registry, so the provider matches all of them."""

    other_registries: ClassVar[tuple[str, ...]] = ()

    @pytest.fixture
    def provider(self) -> BasicProvider:
        return BasicProvider()


class TestPass(_EveryRegistry):
    @pytest.fixture
    def login(self, fresh_secret: Callable[[], str]) -> Login:
        password = fresh_secret()
        text = Secret(f"alice:{password}")
        return Login(registry=HOST, options={"pass": text, "registry": HOST}, secrets=(password,))


class TestUserAndPassword(_EveryRegistry):
    failing_logins: ClassVar[tuple[Login, ...]] = (
        Login(registry=HOST, options={"password": Secret("Zq7-not-shown"), "registry": HOST}),
        Login(registry=HOST, options={"user": "a b", "password": Secret("Zq7-not-shown"), "registry": HOST}),
    )

    @pytest.fixture
    def login(self, fresh_secret: Callable[[], str]) -> Login:
        return Login(registry=HOST, options={"user": "alice", "password": Secret(fresh_secret()), "registry": HOST})


class TestMap(_EveryRegistry):
    failing_logins: ClassVar[tuple[Login, ...]] = (
        Login(registry=HOST, options={"registries": Secret(f"'{HOST}': [Zq7-not-shown]")}),
        Login(registry=HOST, options={"registries": Secret(f"'{HOST}': Zq7-not-shown")}),
        Login(registry=HOST, options={"registries": Secret(f"'{HOST}': {{user: a, password: {{file: /Zq7/none}}}}")}),
    )

    @pytest.fixture
    def login(self, fresh_secret: Callable[[], str]) -> Login:
        password = fresh_secret()
        text = f"'{HOST}': {{user: alice, password: {{env: THE_PASSWORD}}}}\nother.example: bob:{password}"
        options = {"registries": Secret(text)}
        return Login(registry=HOST, options=options, env={"THE_PASSWORD": password}, secrets=(password,))


class TestGitlab(_EveryRegistry):
    @pytest.fixture
    def login(self, fresh_secret: Callable[[], str]) -> Login:
        password = fresh_secret()
        return Login(registry=HOST, env={"CI_REGISTRY": HOST, "CI_JOB_TOKEN": password}, secrets=(password,))


class TestKeyring(_EveryRegistry):
    @pytest.fixture
    def login(
        self,
        ask: Asker,
        use_back_end: Callable[[str], None],
        fresh_secret: Callable[[], str],
        request: pytest.FixtureRequest,
    ) -> Login:
        """With a back end that never comes back where that is what the test is about."""
        password = fresh_secret()
        hang = "time.sleep(3600)" if "deadline" in request.node.name else "pass"
        use_back_end(f"class Keyring(FileKeyring):\n    def get_password(self, *_): {hang}; return {password!r}\n")
        return Login(registry=HOST, options={"user": "alice"}, env=ask.env, secrets=(password,))
