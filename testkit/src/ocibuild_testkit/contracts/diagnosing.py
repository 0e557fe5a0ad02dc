"""The part of an auth provider's contract that is about `diagnose`."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from ocibuild_core.plugin import Diagnostics, Finding

from ocibuild_testkit.broker import InThread
from ocibuild_testkit.contracts.ambient import watched_environment
from ocibuild_testkit.contracts.frames import package_of
from ocibuild_testkit.contracts.network import dead_network, hung_network
from ocibuild_testkit.leaks import LeakWatcher, raise_leaks

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ocibuild_testkit.broker import ProviderBroker
    from ocibuild_testkit.contracts.logins import Login

_DEADLINE_SECONDS = 1.0
_GRACE_SECONDS = 1.5
_NETWORKS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "the login works": nullcontext,
    "no network": dead_network,
    "a network that hangs": hung_network,
}


class DiagnosingContract:
    """What `ocibuild doctor` relies on. `AuthProviderContract` has it among its own."""

    def test_diagnoses_in_time_whatever_the_network(self, host: ProviderBroker) -> None:
        """`diagnose` gives findings and raises nothing: a service that does not answer is a finding."""
        provider = host.provider
        if not isinstance(provider, Diagnostics):
            assert not hasattr(provider, "diagnose"), "diagnose is never asked for: inherit Diagnostics as well"
            return
        host.timeout = _DEADLINE_SECONDS
        for name, network in _NETWORKS.items():
            with network(), watched_environment(package_of(provider)) as read:
                call = InThread(lambda: list(provider.diagnose(host.context())))
                began = time.monotonic()
                came_back = call.wait(_DEADLINE_SECONDS + _GRACE_SECONDS)
            took = time.monotonic() - began
            assert came_back, f"diagnose has not come back after {took:.1f} s ({name}): keep `context.remaining()`"
            assert call.error is None, f"diagnose raised {type(call.error).__name__} ({name})"
            wrong = [type(item).__name__ for item in call.result() if not isinstance(item, Finding)]
            assert not wrong, f"diagnose gave {wrong[0]}, not a Finding ({name})"
            assert not read, f"diagnose reads os.environ: {read[0]}; use context.env"

    def test_shows_no_secret_in_a_finding(self, host: ProviderBroker, login: Login) -> None:
        """What `doctor` prints is what people paste into tickets."""
        provider = host.provider
        if not isinstance(provider, Diagnostics):
            assert not hasattr(provider, "diagnose"), "diagnose is never asked for: inherit Diagnostics as well"
            return
        watcher = LeakWatcher()
        for number, secret in enumerate(login.all_secrets(), 1):
            watcher.register(secret, f"secret {number} of the login")
        findings = list(provider.diagnose(host.context()))
        shown = (f"{item.what}\n{item.why}\n{item.do}" for item in findings if isinstance(item, Finding))
        raise_leaks(leak for text in shown for leak in watcher.find(text, "a finding"))
