"""Classes to inherit: a plugin that passes them behaves as the host expects.

Example:
    from ocibuild_testkit.contracts import AuthProviderContract, Login


    class TestExample(AuthProviderContract):
        @pytest.fixture
        def provider(self):
            return ExampleProvider()

        @pytest.fixture
        def login(self, fresh_secret):
            password = fresh_secret()
            return Login(registry="r.example", env={"EXAMPLE_PASSWORD": password}, secrets=(password,))
"""

from ocibuild_testkit.contracts.auth_provider import AuthProviderContract
from ocibuild_testkit.contracts.exporter import ExporterContract
from ocibuild_testkit.contracts.logins import Login

__all__ = ["AuthProviderContract", "ExporterContract", "Login"]
