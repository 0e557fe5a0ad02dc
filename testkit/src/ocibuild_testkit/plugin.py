"""The pytest plugin: fixtures for those who test a plugin of ocibuild.

Nothing heavy is imported here nor in the modules that it names: pytest loads them in every run of every project that
has the testkit installed.
"""

import pytest

# So that a failed assertion in an inherited test shows its values.
pytest.register_assert_rewrite("ocibuild_testkit.contracts")

pytest_plugins = (
    "ocibuild_testkit.leak_hooks",
    "ocibuild_testkit.registry_fixtures",
    "ocibuild_testkit.small_fixtures",
)
