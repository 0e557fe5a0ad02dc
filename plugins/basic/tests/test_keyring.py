"""The system keyring: a real Secret Service, none, a locked one, and back ends that misbehave."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor  # noqa: TID253  # tests start as slowly as they like
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_basic.store import IDENTITY_TOKEN_USER, keychain_for
from ocibuild_core.plugin import (
    Credential,
    CredentialError,
    CredentialKind,
    CredentialsUnavailable,
    Secret,
    StoredCredential,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from basic_support import Asker, SecretService
    from ocibuild_basic.provider import BasicProvider

    UseBackEnd = Callable[[str], None]

HOST = "r.example:5000"
SECRET_SERVICE = "keyring.backends.SecretService.Keyring"


def log_in(ask: Asker, user: str, password: str) -> None:
    """What `ocibuild login` keeps, beside the registry's other users."""
    keychain_for(ask.context()).keep(HOST, user, Secret(password))


def put(provider: BasicProvider, ask: Asker, user: str, password: str, host: str = HOST) -> None:
    provider.store(ask.request(host), Credential(username=user, secret=Secret(password)))


class TestSecretService:
    def test_what_was_stored_is_found_without_being_asked_for_by_name(
        self, provider: BasicProvider, ask: Asker, secret_service: SecretService
    ) -> None:
        del secret_service
        password = 'p"ä\\ss\n' + "x" * 5000
        put(provider, ask, "alice", password)

        for explicit in (True, False):
            credential = provider.get(ask.request(HOST, explicit=explicit))
            assert credential
            assert (credential.username, credential.secret.reveal()) == ("alice", password)
            assert credential.detail == f"user alice from the keyring ({SECRET_SERVICE})"
        assert list(provider.list(ask.context())) == [StoredCredential(registry=HOST, username="alice")]

    def test_what_another_program_has_put_there_is_found_when_asked_for_by_name(
        self, provider: BasicProvider, ask: Asker, secret_service: SecretService
    ) -> None:
        secret_service.run(f"import keyring; keyring.set_password({HOST!r}, 'alice', 'secret')")

        credential = provider.get(ask.request(HOST))

        assert credential
        assert (credential.username, credential.secret.reveal()) == ("alice", "secret")
        assert provider.get(ask.request("other.example")) is None

    def test_docker_hub_is_found_under_docker_s_own_key(
        self, provider: BasicProvider, ask: Asker, secret_service: SecretService
    ) -> None:
        secret_service.run("import keyring; keyring.set_password('https://index.docker.io/v1/', 'alice', 'secret')")

        credential = provider.get(ask.request("docker.io"))

        assert credential
        assert credential.username == "alice"

    @pytest.mark.parametrize("by", ["ocibuild", "another program"])
    def test_of_several_users_none_is_guessed(
        self, provider: BasicProvider, ask: Asker, secret_service: SecretService, by: str
    ) -> None:
        for user in ("bob", "alice"):
            if by == "ocibuild":
                log_in(ask, user, f"secret of {user}")
            else:
                secret_service.run(f"import keyring; keyring.set_password({HOST!r}, {user!r}, 'secret of {user}')")

        with pytest.raises(CredentialError, match=f"several users for {HOST}") as caught:
            provider.get(ask.request(HOST))

        assert caught.value.why == "alice, bob"
        assert "--basic-user" in caught.value.do
        assert "secret" not in str(caught.value)
        for chosen in (
            provider.get(ask.request(HOST, user="bob")),
            provider.get(ask.request(HOST, registries=f"'{HOST}': {{user: bob}}")),
            provider.get(ask.request(HOST, registries=f"'{HOST}': {{user: {{env: ME}}}}", env={"ME": "bob"})),
        ):
            assert chosen
            assert chosen.secret.reveal() == "secret of bob"

    def test_another_user_than_the_one_asked_for_is_mentioned(
        self, provider: BasicProvider, ask: Asker, secret_service: SecretService, caplog: pytest.LogCaptureFixture
    ) -> None:
        """`--basic-user` counts for every registry: whoever meant one of them is told why another is anonymous."""
        del secret_service
        put(provider, ask, "alice", "secret of alice")

        assert provider.get(ask.request(HOST, user="bob")) is None

        assert f"the keyring has no login of bob for {HOST}, only of alice" in caplog.text

    def test_the_same_user_is_replaced(
        self, provider: BasicProvider, ask: Asker, secret_service: SecretService
    ) -> None:
        del secret_service
        put(provider, ask, "alice", "old")
        put(provider, ask, "alice", "new")

        credential = provider.get(ask.request(HOST))

        assert credential
        assert credential.secret.reveal() == "new"

    def test_the_helper_s_store_takes_the_place_of_every_user_of_the_registry(
        self, provider: BasicProvider, ask: Asker, secret_service: SecretService
    ) -> None:
        """As docker's own helpers: `docker login` as another user must not leave two, of whom none is answered."""
        secret_service.run(f"import keyring; keyring.set_password({HOST!r}, 'by-hand', 'secret')")
        put(provider, ask, "alice", "secret", host="other.example")
        token = Credential(username="", secret=Secret("refresh"), kind=CredentialKind.IDENTITY_TOKEN)
        log_in(ask, "alice", "secret")
        log_in(ask, "bob", "secret")
        provider.store(ask.request(HOST), token)
        put(provider, ask, "carol", "new")

        credential = provider.get(ask.request(HOST))

        assert credential
        assert (credential.username, credential.secret.reveal()) == ("carol", "new")
        stored = [("other.example", "alice"), (HOST, "carol")]
        assert [(login.registry, login.username) for login in provider.list(ask.context())] == stored
        gone = ("alice", "bob", IDENTITY_TOKEN_USER)
        assert (
            secret_service.run(
                f"import keyring; print([keyring.get_password({HOST!r}, user) for user in {(*gone, 'by-hand')!r}])"
            )
            == "[None, None, None, 'secret']\n"
        )

    def test_an_entry_that_was_deleted_elsewhere_does_not_count(
        self, provider: BasicProvider, ask: Asker, secret_service: SecretService
    ) -> None:
        for user in ("alice", "bob"):
            log_in(ask, user, f"secret of {user}")
        secret_service.run(f"import keyring; keyring.delete_password({HOST!r}, 'alice')")

        credential = provider.get(ask.request(HOST))

        assert credential
        assert credential.username == "bob"

    def test_erase_forgets_every_user_of_the_registry_and_no_other(
        self, provider: BasicProvider, ask: Asker, secret_service: SecretService
    ) -> None:
        log_in(ask, "alice", "secret")
        log_in(ask, "bob", "secret")
        put(provider, ask, "alice", "secret", host="other.example")

        assert provider.erase(ask.request(HOST))
        assert not provider.erase(ask.request(HOST))
        assert list(provider.list(ask.context())) == [StoredCredential(registry="other.example", username="alice")]
        found = secret_service.run(
            f"import keyring; print(keyring.get_password({HOST!r}, 'alice'), keyring.get_password({HOST!r}, 'bob'))"
        )
        assert found == "None None\n"

    def test_an_identity_token_comes_back_as_one(
        self, provider: BasicProvider, ask: Asker, secret_service: SecretService
    ) -> None:
        del secret_service
        token = Credential(username="", secret=Secret("refresh"), kind=CredentialKind.IDENTITY_TOKEN)
        provider.store(ask.request(HOST), token)

        credential = provider.get(ask.request(HOST))

        assert credential
        assert (credential.kind, credential.username) == (CredentialKind.IDENTITY_TOKEN, "")
        assert list(provider.list(ask.context())) == [StoredCredential(registry=HOST, username=IDENTITY_TOKEN_USER)]

    def test_twenty_at_once_lose_nothing(
        self, provider: BasicProvider, ask: Asker, secret_service: SecretService
    ) -> None:
        """As many helpers of docker may run; each starts a process of its own, so the time is the machine's."""
        del secret_service
        ask.seconds = 120.0
        hosts = [f"r{number}.example" for number in range(20)]

        def store_and_find(host: str) -> str:
            credential = Credential(username="alice", secret=Secret(f"secret of {host}"))
            provider.store(ask.request(host, keyring_timeout=120.0), credential)
            found = provider.get(ask.request(host, explicit=False, keyring_timeout=120.0))
            return found.secret.reveal() if found else ""

        with ThreadPoolExecutor(20) as pool:
            assert list(pool.map(store_and_find, hosts)) == [f"secret of {host}" for host in hosts]
        assert [login.registry for login in provider.list(ask.context())] == sorted(hosts)

    def test_a_locked_one_says_so(self, provider: BasicProvider, ask: Asker, secret_service: SecretService) -> None:
        put(provider, ask, "alice", "secret")
        secret_service.lock()

        with pytest.raises(CredentialError, match=f"the keyring is locked: {HOST}"):
            provider.get(ask.request(HOST))
        with pytest.raises(CredentialError, match="the keyring is locked"):
            put(provider, ask, "bob", "secret")
        assert [login.username for login in provider.list(ask.context())] == ["alice"]

    def test_a_question_that_nobody_answers_ends_at_the_time_limit(
        self, provider: BasicProvider, ask: Asker, secret_service: SecretService
    ) -> None:
        secret_service.lock()
        secret_service.leave_prompts_unanswered()
        start = time.monotonic()

        with pytest.raises(CredentialError, match=r"gave no answer for .* within 1 s") as caught:
            provider.get(ask.request(HOST, keyring_timeout=1.0))

        assert time.monotonic() - start < 20
        assert "--basic-keyring-timeout" in caught.value.do


class TestNone:
    def test_asked_for_by_name_and_with_nothing_else_it_is_an_error(self, provider: BasicProvider, ask: Asker) -> None:
        with pytest.raises(CredentialsUnavailable, match="no keyring back end") as caught:
            provider.get(ask.request(HOST))
        assert "PASS=user:password" in caught.value.do
        assert "BASIC_USER" in caught.value.do

    def test_not_asked_for_it_is_none(self, provider: BasicProvider, ask: Asker) -> None:
        assert provider.get(ask.request(HOST, explicit=False)) is None

    def test_a_ci_job_does_without(self, provider: BasicProvider, ask: Asker) -> None:
        env = {"CI_REGISTRY": "registry.gitlab.example", "CI_JOB_TOKEN": "token"}

        assert provider.get(ask.request("docker.io", env=env)) is None

    def test_a_registry_that_was_named_gets_an_error(self, provider: BasicProvider, ask: Asker) -> None:
        with pytest.raises(CredentialsUnavailable, match=f"no keyring back end for {HOST}"):
            provider.get(ask.request(HOST, registries=f"'{HOST}': {{user: alice}}", explicit=False))

    def test_nothing_is_stored_nor_listed(self, provider: BasicProvider, ask: Asker) -> None:
        with pytest.raises(CredentialsUnavailable, match="no keyring back end"):
            put(provider, ask, "alice", "secret")
        assert list(provider.list(ask.context())) == []

    @pytest.mark.parametrize("name", ["keyring.backends.null.Keyring", "keyring.backends.fail.Keyring", ""])
    def test_one_that_is_switched_off_is_none(self, provider: BasicProvider, ask: Asker, name: str) -> None:
        ask.env["PYTHON_KEYRING_BACKEND"] = name

        with pytest.raises(CredentialsUnavailable, match="no keyring back end"):
            put(provider, ask, "alice", "secret")


class TestBackEnds:
    @pytest.mark.parametrize("name", ["no.such.Module", "keyring.backends.NoSuchClass", "x"])
    def test_one_that_does_not_exist_is_named(self, provider: BasicProvider, ask: Asker, name: str) -> None:
        ask.env["PYTHON_KEYRING_BACKEND"] = name

        with pytest.raises(CredentialError, match="cannot load the keyring") as caught:
            provider.get(ask.request(HOST))

        assert caught.value.why
        assert "PYTHON_KEYRING_BACKEND" in caught.value.do

    @pytest.mark.parametrize(("failures", "found"), [(2, True), (1000, False)])
    def test_an_item_that_vanished_between_search_and_question_is_asked_for_again(
        self, provider: BasicProvider, ask: Asker, use_back_end: UseBackEnd, failures: int, *, found: bool
    ) -> None:
        """gnome-keyring may name an item and not know it a moment later, while others write to it."""
        use_back_end(f"""
from secretstorage.exceptions import ItemNotFoundException

class Keyring(FileKeyring):
    def get_password(self, service, username):
        asked = pathlib.Path(os.environ["HOME"], "asked")
        with asked.open("a") as stream:
            stream.write("x")
        if "stored" in os.environ and len(asked.read_text()) <= {failures}:
            raise ItemNotFoundException("Item does not exist!")
        return super().get_password(service, username)
""")
        put(provider, ask, "alice", "secret")
        Path(ask.env["HOME"], "asked").unlink()
        ask.env["stored"] = "yes"

        if found:
            credential = provider.get(ask.request(HOST))
            assert credential
            assert credential.secret.reveal() == "secret"
        else:
            with pytest.raises(CredentialError, match=f"the keyring failed for {HOST}") as caught:
                provider.get(ask.request(HOST))
            assert "Item does not exist!" in caught.value.why
        assert len(Path(ask.env["HOME"], "asked").read_text()) == (3 if found else 5)

    def test_one_that_hangs_is_killed_with_all_that_it_started(
        self, provider: BasicProvider, ask: Asker, use_back_end: UseBackEnd
    ) -> None:
        use_back_end("""
class Keyring(FileKeyring):
    def get_credential(self, service, username):
        helper = subprocess.Popen(["sleep", "3600"])
        pathlib.Path(os.environ["HOME"], "pids").write_text(f"{os.getpid()} {helper.pid}")
        time.sleep(3600)
""")
        start = time.monotonic()
        with pytest.raises(CredentialError, match=r"gave no answer for .* within 1\.5 s"):
            provider.get(ask.request(HOST, keyring_timeout=1.5))

        assert time.monotonic() - start < 20
        pids = Path(ask.env["HOME"], "pids").read_text().split()
        assert len(pids) == 2
        # The helper is init's child by now: that it was killed shows a moment later.
        _wait_until(lambda: not any(_is_alive(pid) for pid in pids))

    def test_one_that_hangs_ends_even_when_nobody_is_left_to_kill_it(
        self, ask: Asker, use_back_end: UseBackEnd
    ) -> None:
        use_back_end("""
class Keyring(FileKeyring):
    def get_credential(self, service, username):
        pathlib.Path(os.environ["HOME"], "pid").write_text(str(os.getpid()))
        time.sleep(3600)
""")
        asking = (
            "from ocibuild_basic.keychain import Keychain as K; import os; K(env=os.environ, seconds=1.0).find('r', [])"
        )
        env = {**ask.env, "PYTHONPATH": os.pathsep.join(sys.path)}
        parent = subprocess.Popen([sys.executable, "-c", asking], env=env)
        pid = Path(ask.env["HOME"], "pid")
        _wait_until(pid.exists)
        parent.kill()
        parent.wait()

        assert _is_alive(pid.read_text())
        _wait_until(lambda: not _is_alive(pid.read_text()))

    def test_a_process_that_cannot_start_is_an_error(
        self, provider: BasicProvider, ask: Asker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "executable", "/no/such/python")

        with pytest.raises(CredentialError, match="cannot start /no/such/python to ask the keyring"):
            provider.get(ask.request(HOST))

    def test_the_host_s_own_deadline_counts_too(
        self, provider: BasicProvider, ask: Asker, use_back_end: UseBackEnd
    ) -> None:
        use_back_end("class Keyring(FileKeyring):\n    def get_credential(self, *_): time.sleep(3600)\n")
        ask.seconds = 0.5

        with pytest.raises(CredentialError, match="gave no answer"):
            provider.get(ask.request(HOST))

    def test_it_has_no_terminal_no_stdin_and_none_of_our_secrets(
        self, provider: BasicProvider, ask: Asker, use_back_end: UseBackEnd
    ) -> None:
        use_back_end("""
class Keyring(FileKeyring):
    def get_password(self, service, username):
        print("this is not the answer")
        os.write(1, b"nor is this")
        return json.dumps({
            "stdin": sys.stdin.read(), "is_session_leader": os.getsid(0) == os.getpid(), "env": sorted(os.environ),
        })
""")
        env = {"PASS": "a:secret", "BASIC_PASSWORD": "secret", "BASIC_REGISTRIES_FILE": "/x", "MY_OWN": "kept"}
        credential = provider.get(ask.request(HOST, user="alice", env=env))

        assert credential
        told = json.loads(credential.secret.reveal())
        assert told["stdin"] == ""
        assert told["is_session_leader"]
        assert "MY_OWN" in told["env"]
        assert not {"PASS", "BASIC_PASSWORD"} & set(told["env"])

    @pytest.mark.parametrize(
        ("does", "why"),
        [
            ("raise RuntimeError('the vault is sealed')", "RuntimeError: the vault is sealed"),
            ("raise SystemExit('gone')", "gone"),
            ("os._exit(3)", "it wrote no answer and no error"),
            ("os.kill(os.getpid(), 11)", "it wrote no answer and no error"),
            ("open('/dev/tty')", "No such device or address"),
        ],
    )
    def test_one_that_fails_is_reported(  # one row of the table each
        self, provider: BasicProvider, ask: Asker, use_back_end: UseBackEnd, does: str, why: str
    ) -> None:
        use_back_end(f"class Keyring(FileKeyring):\n    def get_password(self, *_): {does}\n")

        with pytest.raises(CredentialError, match=f"the keyring failed for {HOST}") as caught:
            provider.get(ask.request(HOST, user="alice"))

        assert why in caught.value.why

    def test_one_that_is_locked_says_so(self, provider: BasicProvider, ask: Asker, use_back_end: UseBackEnd) -> None:
        use_back_end(
            "class Keyring(FileKeyring):\n    def get_password(self, *_): raise KeyringLocked('by the admin')\n"
        )

        with pytest.raises(CredentialError, match="the keyring is locked"):
            provider.get(ask.request(HOST, user="alice"))

    def test_a_secret_in_its_error_is_masked(
        self, provider: BasicProvider, ask: Asker, use_back_end: UseBackEnd
    ) -> None:
        use_back_end(
            "class Keyring(FileKeyring):\n    def set_password(self, s, u, p): raise ValueError(f'bad: {p}')\n"
        )

        with pytest.raises(CredentialError, match=r"ValueError: bad: \*+") as caught:
            put(provider, ask, "alice", "a secret")

        assert "a secret" not in str(caught.value)
        assert list(provider.list(ask.context())) == []

    def test_one_that_does_not_keep_the_new_one_loses_no_old_one(
        self, provider: BasicProvider, ask: Asker, use_back_end: UseBackEnd
    ) -> None:
        use_back_end("""
class Keyring(FileKeyring):
    def set_password(self, service, username, password):
        if username != "alice":
            raise ValueError("full")
        super().set_password(service, username, password)
""")
        put(provider, ask, "alice", "old")

        with pytest.raises(CredentialError, match="the keyring failed"):
            put(provider, ask, "bob", "new")

        credential = provider.get(ask.request(HOST))
        assert credential
        assert (credential.username, credential.secret.reveal()) == ("alice", "old")

    def test_one_that_forgets_is_found_out(self, provider: BasicProvider, ask: Asker, use_back_end: UseBackEnd) -> None:
        use_back_end("class Keyring(FileKeyring):\n    def set_password(self, *_): pass\n")

        with pytest.raises(CredentialError, match="did not keep what it was given"):
            put(provider, ask, "alice", "secret")
        assert list(provider.list(ask.context())) == []

    def test_one_without_a_list_is_asked_for_whom_it_knows(
        self, provider: BasicProvider, ask: Asker, use_back_end: UseBackEnd
    ) -> None:
        use_back_end("""
class Keyring(FileKeyring):
    def get_password(self, service, username):
        return {"_oauth": "token"}.get(username)

    def get_credential(self, service, username):
        return SimpleCredential("_oauth", "token")
""")
        credential = provider.get(ask.request(HOST))

        assert credential
        assert (credential.username, credential.secret.reveal()) == ("_oauth", "token")

    def test_bytes_that_are_no_text_are_not_stored(
        self, provider: BasicProvider, ask: Asker, use_back_end: UseBackEnd
    ) -> None:
        use_back_end("class Keyring(FileKeyring): pass\n")

        with pytest.raises(CredentialError, match="was not stored") as caught:
            put(provider, ask, "alice", "\udcff")
        assert caught.value.__suppress_context__
        assert not Path(ask.env["HOME"], "passwords.json").exists()


PLAINTEXT = """
class PlaintextKeyring(FileKeyring):
    priority = 0.5

class Keyring(PlaintextKeyring):
    pass
"""


class TestPlaintext:
    def test_it_is_read_with_one_warning(
        self, provider: BasicProvider, ask: Asker, use_back_end: UseBackEnd, caplog: pytest.LogCaptureFixture
    ) -> None:
        use_back_end(PLAINTEXT)
        Path(ask.env["HOME"], "passwords.json").write_text(json.dumps({f"{HOST} alice": "secret"}))

        for _ in range(2):
            credential = provider.get(ask.request(HOST, user="alice"))
            assert credential
            assert credential.secret.reveal() == "secret"

        warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert len(warnings) == 1
        assert "of_the_tests.Keyring keeps the password of alice for r.example:5000 readable on the disk" in warnings[0]

    def test_it_is_never_written(self, provider: BasicProvider, ask: Asker, use_back_end: UseBackEnd) -> None:
        use_back_end(PLAINTEXT)

        with pytest.raises(CredentialError, match="was not stored") as caught:
            put(provider, ask, "alice", "secret")

        assert "readable on the disk" in caught.value.why
        assert [path.name for path in Path(ask.env["HOME"]).iterdir()] == [".local"]
        assert list(provider.list(ask.context())) == []

    def test_chained_behind_a_secret_service_it_is_still_not_written(  # all of it is needed
        self,
        provider: BasicProvider,
        ask: Asker,
        secret_service: SecretService,
        use_back_end: UseBackEnd,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        use_back_end("""
import keyring.backends.chainer, keyring.backends.SecretService

class PlaintextKeyring(FileKeyring):
    priority = 0.5

class Keyring(keyring.backends.chainer.ChainerBackend):
    backends = [PlaintextKeyring(), keyring.backends.SecretService.Keyring()]
""")
        Path(ask.env["HOME"], "passwords.json").write_text(json.dumps({"old.example alice": "by hand"}))
        put(provider, ask, "alice", "secret")

        stored = provider.get(ask.request(HOST))
        assert stored
        assert SECRET_SERVICE in stored.detail
        assert "readable" not in caplog.text
        by_hand = provider.get(ask.request("old.example", user="alice"))
        assert by_hand
        assert by_hand.secret.reveal() == "by hand"
        assert "readable on the disk" in caplog.text
        assert HOST not in Path(ask.env["HOME"], "passwords.json").read_text()
        assert "secret" in secret_service.run(
            f"import keyring.backends.SecretService as s; print(s.Keyring().get_password({HOST!r}, 'alice'))"
        )


class TestWhenItIsAsked:
    @pytest.fixture(autouse=True)
    def _recorded(self, use_back_end: UseBackEnd) -> None:
        use_back_end("""
class Keyring(FileKeyring):
    def get_credential(self, service, username):
        with open(os.path.join(os.environ["HOME"], "asked"), "a") as log: log.write(service + "\\n")
    def get_password(self, service, username):
        return self.get_credential(service, username)
""")

    @pytest.mark.parametrize(
        ("given", "is_asked"),
        [
            pytest.param({}, True, id="named, and nothing else"),
            pytest.param({"user": "alice"}, True, id="named, with a user"),
            pytest.param({"explicit": False}, False, id="nobody named it"),
            pytest.param({"explicit": False, "user": "alice"}, False, id="nobody named it, with a user"),
            pytest.param({"registries": "x.example: a:b", "explicit": False}, False, id="nobody named it, with a map"),
            pytest.param({"pass_": "a:b"}, False, id="PASS is for another registry"),
            pytest.param({"user": "a", "password": "b"}, False, id="the password is for another registry"),
            pytest.param({"registries": "x.example: a:b"}, False, id="the map has others"),
        ],
    )
    def test_only_for_a_reason(
        self, provider: BasicProvider, ask: Asker, given: dict[str, object], *, is_asked: bool
    ) -> None:
        assert provider.get(ask.request(HOST, **given)) is None
        assert Path(ask.env["HOME"], "asked").exists() is is_asked

    @pytest.mark.parametrize(
        "given",
        [
            pytest.param({"registries": f"'{HOST}': {{user: alice}}"}, id="the map names it"),
            pytest.param({"registries": f"'{HOST}': {{user: alice}}", "explicit": False}, id="the map alone names it"),
            pytest.param({"registry": HOST}, id="the registry"),
            pytest.param({"pinned": True}, id="a pin"),
            pytest.param({"pinned": True, "user": "alice", "registries": "x.example: a:b"}, id="a pin beside a map"),
        ],
    )
    def test_a_registry_that_was_named_but_is_not_there_is_owed(
        self, provider: BasicProvider, ask: Asker, given: dict[str, object]
    ) -> None:
        with pytest.raises(CredentialsUnavailable, match=f"no user and password for {HOST}") as caught:
            provider.get(ask.request(HOST, **given))

        assert "keyring" in caught.value.tried
        assert f"ocibuild login {HOST}" in caught.value.do
        assert Path(ask.env["HOME"], "asked").exists()


def _wait_until(is_done: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not is_done():
        assert time.monotonic() < until
        time.sleep(0.02)


def _is_alive(pid: str) -> bool:
    try:
        return "State:\tZ" not in Path("/proc", pid, "status").read_text()
    except FileNotFoundError:
        return False
