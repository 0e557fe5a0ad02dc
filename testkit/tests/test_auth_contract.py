"""Each deliberately bad provider fails the one test of the contract that is about its fault; a good one passes all."""

from __future__ import annotations

import sys
from textwrap import dedent, indent

import pytest

pytest_plugins = ["pytester"]

# Does what the public surface asks of it: exchanges a password for a token over HTTP, in the time that it has.
GOOD = """
    import json
    import logging
    import os
    import threading
    import time
    import urllib.error
    import urllib.request

    from ocibuild_core.plugin import (
        AuthProvider, Credential, CredentialError, CredentialsUnavailable, Diagnostics, Finding, Match, Option,
        OptionType, Secret, Severity, hookimpl,
    )

    LOG = logging.getLogger(__name__)


    class Provider(AuthProvider, Diagnostics):
        name = "made"
        summary = "Registries of the test."
        aliases = ("made-up",)
        options = (
            Option(name="hosts", help="Registries to answer for", type=OptionType.LIST),
            Option(name="password", help="The password", type=OptionType.SECRET),
        )

        def match(self, registry, options):
            return Match.SPECIFIC if registry in options.texts("hosts") else Match.NO

        def registries(self, context):
            return context.options.texts("hosts")

        def get(self, request):
            if self.match(request.registry, request.options) is Match.NO:
                return None
            password = request.options.secret("password")
            if password is None:
                raise CredentialsUnavailable("no password", tried=["--made-password"])
            url = request.env["MADE_URL"]
            question = urllib.request.Request(url, headers={"Password": password.reveal()})
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            try:
                with opener.open(question, timeout=max(0.1, request.remaining())) as answer:
                    token = json.load(answer)["token"]
            except urllib.error.HTTPError as error:
                error.close()
                raise CredentialError(f"the service refused the password: {error.code}") from None
            except (OSError, ValueError) as error:
                raise CredentialError("the service cannot be reached", why=type(error).__name__) from None
            request.log.info("got a token of %d characters", len(token))
            return Credential(username="made", secret=Secret(token), detail="user made")

        def diagnose(self, context):
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            try:
                opener.open(context.env["MADE_URL"], timeout=max(0.1, context.remaining())).close()
            except urllib.error.HTTPError as error:
                error.close()
            except OSError as error:
                yield Finding(severity=Severity.WARNING, what="the service is silent", do="look after it")


    @hookimpl
    def ocibuild_auth_providers():
        return [Provider()]
"""

TESTS = """
    import pytest
    from made_plugin import {name} as Provider
    from ocibuild_core.plugin import Secret
    from ocibuild_testkit.contracts import AuthProviderContract, Login
    from ocibuild_testkit.httpd import Handler, HttpServer

    PASSWORD = "correct horse battery"
    TOKEN = "token-0123456789abcdef"


    class Service(Handler):
        def do_GET(self):
            if self.headers["Password"] == PASSWORD:
                self.reply(200, {{"token": TOKEN}})
            else:
                self.reply(401, {{"error": "no"}})


    class TestMade(AuthProviderContract):
        @pytest.fixture
        def provider(self):
            return Provider()

        @pytest.fixture
        def login(self):
            server = HttpServer(Service)
            server.start()
            yield Login(
                registry="r.example",
                options={{"hosts": ("r.example", "s.example:5000"), "password": Secret(PASSWORD)}},
                env={{"MADE_URL": server.url}},
            )
            server.stop()
"""

ALL_TESTS = 18

# What is wrong, the test that finds it, words of its message, and the class that does it.
BAD = {
    "shows the secret in the repr of the provider": (
        "test_shows_no_secret_in_a_repr",
        "the credential's secret (plain) in the provider's repr",
        """
        def get(self, request):
            self.last = super().get(request)
            return self.last

        def __repr__(self):
            return f"Provider(last={self.last.secret.reveal()!r})"
        """,
    ),
    "shows the secret in the detail of the credential": (
        "test_shows_no_secret_in_a_repr",
        "the credential's detail",
        """
        def get(self, request):
            import dataclasses
            found = super().get(request)
            if found:
                found = Credential(username="made", secret=found.secret, detail=f"token {found.secret.reveal()}")
            return found
        """,
    ),
    "logs the token at debug level": (
        "test_says_no_secret",
        "the credential's secret (plain) in its log (the login works)",
        """
        def get(self, request):
            found = super().get(request)
            if found:
                request.log.debug("got %s", found.secret.reveal())
            return found
        """,
    ),
    "logs the password in base64 to a logger of its own": (
        "test_says_no_secret",
        "(base64) in its log (the login works)",
        """
        def get(self, request):
            import base64
            if request.options.secret("password"):
                value = "user:" + request.options.secret("password").reveal()
                LOG.debug("header %s", base64.b64encode(value.encode()))
            return super().get(request)
        """,
    ),
    "prints the password when the login fails": (
        "test_says_no_secret",
        "what it printed to stderr (wrong secrets)",
        """
        def get(self, request):
            try:
                return super().get(request)
            except CredentialError:
                import sys
                if request.options.secret("password"):
                    print(request.options.secret("password").reveal(), file=sys.stderr)
                raise
        """,
    ),
    "puts the password into an error": (
        "test_shows_no_secret_in_an_error",
        "CredentialError (wrong secrets)",
        """
        def get(self, request):
            try:
                return super().get(request)
            except CredentialsUnavailable:
                raise
            except CredentialError:
                raise CredentialError(f"{request.options.secret('password').reveal()} is wrong") from None
        """,
    ),
    "puts the password into what stands behind an error": (
        "test_shows_no_secret_in_an_error",
        "CredentialError (wrong secrets)",
        """
        def get(self, request):
            try:
                return super().get(request)
            except CredentialsUnavailable:
                raise
            except CredentialError:
                try:
                    raise ValueError(request.options.secret("password").reveal())
                except ValueError as error:
                    raise CredentialError("it is wrong") from error
        """,
    ),
    "gives a credential to a registry that it does not match": (
        "test_gives_nothing_for_registries_that_it_does_not_match",
        "registry.invalid is not matched, but gets a credential",
        """
        def get(self, request):
            if self.match(request.registry, request.options) is Match.NO:
                return Credential(username="made", secret=Secret("anybody-may-have-it"))
            return super().get(request)
        """,
    ),
    "waits for the network for as long as it takes": (
        "test_keeps_the_deadline",
        "request.remaining()",
        """
        def get(self, request):
            # Its own idea of time: half a minute.
            object.__setattr__(request, "deadline", request.clock.monotonic() + 30)
            return super().get(request)
        """,
    ),
    "reads os.environ": (
        "test_reads_no_environment_behind_the_hosts_back",
        "reads MADE_REGION",
        """
        def get(self, request):
            os.environ.get("MADE_REGION")
            return super().get(request)
        """,
    ),
    "reads the home directory from the environment": (
        "test_reads_no_environment_behind_the_hosts_back",
        "reads HOME",
        """
        def registries(self, context):
            os.path.expanduser("~/.made")
            return super().registries(context)
        """,
    ),
    "matches worse at the second time": (
        "test_says_the_same_when_asked_again",
        "match gives another answer",
        """
        asked = 0

        def match(self, registry, options):
            self.asked += 1
            found = super().match(registry, options)
            return Match.GENERIC if self.asked > 3 and found is Match.SPECIFIC else found
        """,
    ),
    "names other registries after a login": (
        "test_says_the_same_when_asked_again",
        "registries gives another answer",
        """
        names = ()

        def get(self, request):
            found = super().get(request)
            self.names = request.options.texts("hosts")[:1]
            return found

        def registries(self, context):
            return self.names or super().registries(context)
        """,
    ),
    "raises what comes": (
        "test_raises_documented_errors_alone",
        "get raised KeyError (wrong secrets)",
        """
        def get(self, request):
            try:
                return super().get(request)
            except CredentialsUnavailable:
                raise
            except CredentialError:
                raise KeyError("token") from None
        """,
    ),
    "returns a pair": (
        "test_raises_documented_errors_alone",
        "get returned tuple (wrong secrets)",
        """
        def get(self, request):
            try:
                return super().get(request)
            except CredentialError:
                return ("user", "")
        """,
    ),
    "opens a file to match": (
        "test_matches_without_io",
        "match does I/O",
        """
        def match(self, registry, options):
            with open(__file__):
                return super().match(registry, options)
        """,
    ),
    "looks whether a file exists to match": (
        "test_matches_without_io",
        "os.stat",
        """
        def match(self, registry, options):
            os.path.exists("/etc/made.conf")
            return super().match(registry, options)
        """,
    ),
    "asks the network to match": (
        "test_matches_without_io",
        "socket.getaddrinfo",
        """
        def match(self, registry, options):
            import socket
            try:
                socket.getaddrinfo("127.0.0.1", 80)
            except OSError:
                pass
            return super().match(registry, options)
        """,
    ),
    "reads the environment to match": (
        "test_matches_without_io",
        "match reads the environment",
        """
        first = True

        def match(self, registry, options):
            if registry == "docker.io":
                os.getenv("MADE_REGION")
            return super().match(registry, options)
        """,
    ),
    "names a registry that it does not match": (
        "test_names_registries_that_it_matches",
        "t.example is named by registries, but not matched",
        """
        def registries(self, context):
            return (*super().registries(context), "t.example")
        """,
    ),
    "matches the registries of others": (
        "test_does_not_match_other_registries",
        "registry.invalid:5000 is matched",
        """
        def match(self, registry, options):
            found = super().match(registry, options)
            return Match.GENERIC if registry == "registry.invalid:5000" else found
        """,
    ),
    "has a name that is no option of a command": (
        "test_describes_itself",
        "name 'Made Up'",
        """
        name = "Made Up"
        """,
    ),
    "raises when what it looks at does not answer": (
        "test_diagnoses_in_time_whatever_the_network",
        "diagnose raised URLError (no network)",
        """
        def diagnose(self, context):
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            try:
                opener.open(context.env["MADE_URL"], timeout=max(0.1, context.remaining())).close()
            except urllib.error.HTTPError as error:
                error.close()
            return []
        """,
    ),
    "looks at a service without a time limit": (
        "test_diagnoses_in_time_whatever_the_network",
        "diagnose has not come back after",
        """
        def diagnose(self, context):
            for finding in super().diagnose(context):
                time.sleep(3)
                yield finding
        """,
    ),
    "diagnoses with a text": (
        "test_diagnoses_in_time_whatever_the_network",
        "diagnose gave str, not a Finding (the login works)",
        """
        def diagnose(self, context):
            return ["all is well"]
        """,
    ),
    "shows the password in a finding": (
        "test_shows_no_secret_in_a_finding",
        "(plain) in a finding",
        """
        def diagnose(self, context):
            password = context.options.secret("password").reveal()
            return [Finding(severity=Severity.OK, what=f"logs in with {password}")]
        """,
    ),
    "takes one caller at a time": (
        "test_gives_the_same_to_many_threads",
        "RuntimeError: busy",
        """
        lock = threading.Lock()

        def get(self, request):
            if not self.lock.acquire(blocking=False):
                raise RuntimeError("busy")
            try:
                found = super().get(request)
                time.sleep(0.2)
                return found
            finally:
                self.lock.release()
        """,
    ),
}


@pytest.fixture(autouse=True)
def quick_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty contracts run here, and each waits for its deadline once."""
    monkeypatch.setattr("ocibuild_testkit.contracts.auth_provider._DEADLINE_SECONDS", 0.2)
    monkeypatch.setattr("ocibuild_testkit.contracts.diagnosing._DEADLINE_SECONDS", 0.2)


def test_a_good_provider_passes(pytester: pytest.Pytester) -> None:
    result = run_contract(pytester, GOOD, "Provider")

    result.assert_outcomes(passed=ALL_TESTS)


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_provider_fails_the_test_that_is_about_it(pytester: pytest.Pytester, fault: str) -> None:
    expected, words, body = BAD[fault]
    source = f"{dedent(GOOD)}\n\nclass Bad(Provider):\n{indent(dedent(body), '    ')}"

    result = run_contract(pytester, source, "Bad")

    assert failed_tests(result) == [expected]
    result.assert_outcomes(failed=1, passed=ALL_TESTS - 1)
    result.stdout.fnmatch_lines([f"*{words}*"])


def test_a_heavy_import_at_load_is_found(pytester: pytest.Pytester) -> None:
    result = run_contract(pytester, f"    import bcrypt\n{GOOD}", "Provider")

    assert failed_tests(result) == ["test_imports_nothing_heavy_when_it_is_loaded"]
    result.stdout.fnmatch_lines(["*loading the plugin imports bcrypt*"])


def test_a_diagnose_that_nobody_will_ask_for_is_found(pytester: pytest.Pytester) -> None:
    body = "Provider.__bases__ = (AuthProvider,)"

    result = run_contract(pytester, f"{dedent(GOOD)}\n\n{body}\n", "Provider")

    assert failed_tests(result) == [
        "test_diagnoses_in_time_whatever_the_network",
        "test_shows_no_secret_in_a_finding",
    ]
    result.stdout.fnmatch_lines(["*inherit Diagnostics as well*"])


def test_what_an_sdk_does_is_not_the_plugins(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        made_sdk="""
        import logging, os

        def region():
            logging.getLogger("made_sdk").debug("asked for the region")
            with open(__file__):
                return os.environ.get("MADE_REGION", "here")
        """
    )
    body = """
        def match(self, registry, options):
            import made_sdk
            made_sdk.region()
            return super().match(registry, options)

        def get(self, request):
            import made_sdk
            made_sdk.region()
            return super().get(request)
    """
    source = f"{dedent(GOOD)}\n\nclass Sober(Provider):\n{indent(dedent(body), '    ')}"

    run_contract(pytester, source, "Sober").assert_outcomes(passed=ALL_TESTS)


def test_missing_fixtures_are_named(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from ocibuild_testkit.contracts import AuthProviderContract

        class TestNothing(AuthProviderContract):
            pass
    """)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["*TestNothing needs a fixture `provider`*"])
    assert not result.parseoutcomes().get("passed")


def run_contract(pytester: pytest.Pytester, plugin: str, name: str) -> pytest.RunResult:
    pytester.makepyfile(made_plugin=dedent(plugin))
    pytester.makepyfile(test_made=dedent(TESTS.format(name=name)))
    pytester.syspathinsert()
    for module in ("made_plugin", "made_sdk"):
        sys.modules.pop(module, None)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider")


def failed_tests(result: pytest.RunResult) -> list[str]:
    summary = [line.split()[1] for line in result.outlines if line.startswith("FAILED test_made.py::")]
    return [name.rpartition("::")[2] for name in summary]
