"""The logins of one build, put together."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.auth.calls import Call
from ocibuild_core.auth.login import parse_login
from ocibuild_core.auth.session import AuthSession, open_session
from ocibuild_core.catalog import Catalog
from ocibuild_core.errors import PluginError
from ocibuild_core.options import Option, OptionValues
from ocibuild_core.secret import MASK, Secret
from support.auth_parts import Teller, credential, loaded
from support.helpers import HelperDirectory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from ocibuild_core.plugin import AuthProvider, ProviderContext


def session(
    directory: Path, *providers: AuthProvider, options: dict[str, OptionValues] | None = None
) -> AbstractContextManager[AuthSession]:
    return open_session(
        login=parse_login(),
        catalog=Catalog(providers=loaded(*providers)),
        options=options or {},
        env={"HOME": str(directory), "TMPDIR": str(directory), "PATH": f"{directory}/bin:/usr/bin:/bin"},
        addr="",
        outside=[],
    )


def test_what_the_helper_gets_is_masked_everywhere(sandbox: Path, fresh_secret: Callable[[], str]) -> None:
    secret = fresh_secret()
    with session(sandbox, Teller("a", credential("me", secret))) as opened:
        assert opened.redactor.text(secret) == secret
        ended = subprocess.run(
            ["docker-credential-ocibuild", "get"],
            input=b"r.example",
            env=dict(opened.child_env),
            capture_output=True,
            check=True,
        )
        answer = json.loads(ended.stdout)
        assert (answer["Username"], answer["Secret"] == secret) == ("me", True)
        assert opened.redactor.text(f"it is {answer['Secret']}") == f"it is {MASK}"


def test_secrets_among_the_options_are_masked_before_anybody_is_asked(sandbox: Path) -> None:
    teller = Teller("a")
    with session(sandbox, teller, options={"a": OptionValues({"key": Secret("hunter2hunter2"), "n": 3})}) as opened:
        assert opened.redactor.text("hunter2hunter2") == MASK
        assert teller.asked == []


def test_the_proxies_of_the_docker_config_are_build_arguments(sandbox: Path) -> None:
    (sandbox / ".docker").mkdir()
    (sandbox / ".docker" / "config.json").write_text('{"proxies": {"default": {"httpsProxy": "http://p:1"}}}')
    with session(sandbox) as opened:
        assert opened.proxy_args == {"HTTPS_PROXY": "http://p:1", "https_proxy": "http://p:1"}


@pytest.mark.parametrize("address", ["http://me:p%40ss/word@p:1", "me:p%40ss/word@p:1"])
def test_the_password_of_a_proxy_is_masked_and_told_of(
    sandbox: Path, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    (sandbox / ".docker").mkdir()
    proxies = {"httpsProxy": address, "httpProxy": "http://p:1", "noProxy": "a@b"}
    (sandbox / ".docker" / "config.json").write_text(json.dumps({"proxies": {"default": proxies}}))
    with caplog.at_level("WARNING", "ocibuild"), session(sandbox) as opened:
        assert opened.proxy_args["https_proxy"] == address
        assert opened.redactor.text(f"via {address}") == f"via {address.replace('p%40ss/word', MASK)}"
        assert opened.redactor.text("p@ss/word") == MASK
    (warning,) = caplog.messages
    assert warning.startswith("the docker config has a password in its proxies (HTTPS_PROXY): ")
    assert "ss/word" not in warning


class Noticing(Teller):
    def notices(self, context: ProviderContext) -> Sequence[str]:
        self.asked.append("notices")
        return [f"{name} is set in vain" for name in context.options if context.options.origin(name)]


def test_where_nobody_can_have_anything_to_say_nobody_is_asked(sandbox: Path) -> None:
    silent = Noticing("a", options=(Option(name="key", help="Key"),))
    with session(sandbox, silent) as opened:
        assert opened.require((), pushed=()) == {}
        assert opened.failures == {}
        assert silent.asked == []
        assert opened.require(("r.example",), pushed=())["r.example"].credential is None
        assert silent.asked == ["r.example"]


def test_what_was_set_in_vain_is_told_without_a_registry(sandbox: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = Noticing("a", options=(Option(name="key", help="Key"),))
    options = {"a": OptionValues({"key": "x"}, {"key": "A_KEY"})}
    with session(sandbox, told, options=options) as opened, caplog.at_level("WARNING", "ocibuild"):
        opened.require((), pushed=())
    assert told.asked == ["notices"]
    assert "key is set in vain" in caplog.text


def test_a_login_that_is_not_there_is_missed_without_a_registry(sandbox: Path) -> None:
    login = parse_login(["nobody"])
    with (
        pytest.raises(PluginError, match="nobody"),
        open_session(login=login, catalog=Catalog(), options={}, env={"HOME": str(sandbox)}, addr="", outside=[]),
    ):
        pass


def test_nothing_of_it_remains(sandbox: Path) -> None:
    with session(sandbox) as opened:
        assert opened.directory.is_dir()
    assert list(sandbox.iterdir()) == []


@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
def test_no_helper_of_the_user_outlives_it(sandbox: Path, caplog: pytest.LogCaptureFixture, key: str) -> None:
    """Its client is gone by then, and the thread that asked is a daemon."""
    mark = sandbox / "pid"
    HelperDirectory(sandbox / "bin").add_script(
        "slow", f"open({str(mark)!r}, 'w').write(str(os.getpid()))\nimport time; time.sleep(600)"
    )
    (sandbox / ".docker").mkdir()
    named = "slow" if key == "credsStore" else {"r.example": "slow"}
    (sandbox / ".docker" / "config.json").write_text(json.dumps({key: named}))
    with session(sandbox) as opened:
        call = Call(lambda: opened.require(["r.example"], pushed=[]))
        deadline = time.monotonic() + 30
        while not (mark.exists() and mark.read_text()) and time.monotonic() < deadline:
            time.sleep(0.01)
        helper = Path("/proc") / mark.read_text()
        assert helper.exists()
    call.wait(10)
    assert not helper.exists()
    assert caplog.messages == []  # nothing of a helper that failed
