"""The logins of one build, put together."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from ocibuild_core.auth.login import parse_login
from ocibuild_core.auth.session import AuthSession, open_session
from ocibuild_core.catalog import Catalog
from ocibuild_core.options import OptionValues
from ocibuild_core.secret import MASK, Secret
from support.auth_parts import Teller, credential, loaded

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ocibuild_core.plugin import AuthProvider


def session(
    directory: Path, *providers: AuthProvider, options: dict[str, OptionValues] | None = None
) -> AbstractContextManager[AuthSession]:
    return open_session(
        login=parse_login(),
        catalog=Catalog(providers=loaded(*providers)),
        options=options or {},
        env={"HOME": str(directory), "TMPDIR": str(directory), "PATH": "/usr/bin:/bin"},
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


def test_nothing_of_it_remains(sandbox: Path) -> None:
    with session(sandbox) as opened:
        assert opened.directory.is_dir()
    assert list(sandbox.iterdir()) == []
