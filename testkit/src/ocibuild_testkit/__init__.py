"""Test a plugin of ocibuild with real parts.

A pytest plugin: its fixtures and contract classes are there once the distribution is installed. The registry
(`ocibuild_testkit.registry`) also works without pytest.
"""

__version__ = "0.1.0"
