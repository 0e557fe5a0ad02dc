"""The registry fixture, asked by an HTTP client that is not ours to write: urllib."""

from __future__ import annotations

import base64
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from ocibuild_testkit.registry import (
    Authority,
    Content,
    File,
    Identity,
    PasswordAuth,
    RegistryError,
    RegistryServer,
    TokenAuth,
    basic_header,
    build_image,
    build_index,
)
from ocibuild_testkit.registry_fixtures import RegistryFactory


def ask(
    server: RegistryServer,
    path: str,
    *,
    authorization: str | None = None,
    method: str = "GET",
    data: bytes | None = None,
) -> tuple[int, dict[str, str], bytes]:
    url = path if path.startswith("http") else f"{server.url}{path}"
    accept = "application/vnd.oci.image.manifest.v1+json, application/json"
    request = urllib.request.Request(url, method=method, data=data, headers={"Accept": accept})
    if authorization:
        request.add_header("Authorization", authorization)
    context = server.authority.client_context() if server.authority else None
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as response:
            return response.status, dict(response.headers), response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def token(server: RegistryServer, scope: str, authorization: str | None = None) -> tuple[int, dict[str, object]]:
    assert isinstance(server.auth, TokenAuth)
    query = urllib.parse.urlencode({"service": server.auth.realm.service, "scope": scope, "offline_token": "true"})
    status, _, body = ask(server, f"{server.auth.realm.url}?{query}", authorization=authorization)
    return status, json.loads(body)


def test_an_open_registry_serves_what_was_pushed(registry: RegistryServer) -> None:
    pushed = registry.push_image("team/base:1", files={"etc/motd": "hello"}, config={"Env": ["A=b"]})

    status, headers, body = ask(registry, "/v2/team/base/manifests/1")
    config = json.loads(registry.client().blob("team/base", pushed.config_digest))

    assert status == 200
    assert headers["Docker-Content-Digest"] == pushed.digest
    assert json.loads(body)["config"]["digest"] == pushed.config_digest
    assert config["config"] == {"Env": ["A=b"]}
    assert pushed.reference == registry.reference("team/base:1") == f"{registry.address}/team/base:1"
    assert pushed.pinned == f"{registry.address}/team/base@{pushed.digest}"


def test_the_same_files_give_the_same_image_again(registry: RegistryServer) -> None:
    files: dict[str, Content] = {"b": b"2", "dir/a": File(content=b"1", mode=0o755), "link": File(symlink="b")}

    first = registry.push_image("same:1", files=files)
    second = registry.push_image("same:2", files=dict(reversed(list(files.items()))))

    assert first.digest == second.digest
    assert registry.client().tags("same") == ("1", "2")


def test_an_index_lists_its_platforms_in_order(registry: RegistryServer) -> None:
    images = {name: build_image({"arch": name}, platform=name) for name in ("linux/arm64", "linux/amd64")}

    registry.push("multi:1", build_index(images))

    media_type, content = registry.client().manifest("multi", "1")
    assert media_type == "application/vnd.oci.image.index.v1+json"
    platforms = [entry["platform"] for entry in json.loads(content)["manifests"]]
    assert [entry["architecture"] for entry in platforms] == ["arm64", "amd64"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../../b", ""])
def test_a_path_that_leaves_the_image_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="no path inside an image"):
        build_image({path: b""})


def test_a_password_opens_the_tls_registry_and_no_other_does(tls_registry: RegistryServer) -> None:
    assert isinstance(tls_registry.auth, PasswordAuth)
    password = tls_registry.auth.users["alice"]

    assert ask(tls_registry, "/v2/", authorization=basic_header("alice", password))[0] == 200
    status, headers, _ = ask(tls_registry, "/v2/", authorization=basic_header("alice", password + "x"))
    assert status == 401
    assert headers["Www-Authenticate"].startswith("Basic ")
    assert ask(tls_registry, "/v2/")[0] == 401


def test_a_client_that_does_not_know_the_authority_refuses_the_certificate(tls_registry: RegistryServer) -> None:
    with pytest.raises(urllib.error.URLError) as caught:
        urllib.request.urlopen(f"{tls_registry.url}/v2/", context=ssl.create_default_context(), timeout=10)
    assert isinstance(caught.value.reason, ssl.SSLCertVerificationError)


def test_a_rotated_password_holds_at_once(tls_registry: RegistryServer) -> None:
    assert isinstance(tls_registry.auth, PasswordAuth)
    old = tls_registry.auth.users["alice"]
    assert ask(tls_registry, "/v2/", authorization=basic_header("alice", old))[0] == 200

    for number in range(5):
        tls_registry.auth.set_password("alice", f"new-{number}")
        assert ask(tls_registry, "/v2/", authorization=basic_header("alice", old))[0] == 401
        assert ask(tls_registry, "/v2/", authorization=basic_header("alice", f"new-{number}"))[0] == 200
        old = f"new-{number}"

    tls_registry.auth.remove("alice")
    assert ask(tls_registry, "/v2/", authorization=basic_header("alice", old))[0] == 401


def test_a_password_that_bcrypt_would_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than 72 bytes"):
        PasswordAuth({"AWS": "x" * 73})


def test_the_log_of_requests_names_who_asked_what(tls_registry: RegistryServer) -> None:
    assert isinstance(tls_registry.auth, PasswordAuth)
    tls_registry.push_image("base:1", files={})
    good = basic_header("alice", tls_registry.auth.users["alice"])

    ask(tls_registry, "/v2/base/manifests/1", authorization=good)
    ask(tls_registry, "/v2/base/manifests/nope", authorization=good)
    ask(tls_registry, "/v2/base/tags/list", authorization=basic_header("alice", "wrong"))
    ask(tls_registry, "/v2/")

    seen = [(one.method, one.path, one.username, one.status) for one in tls_registry.requests]
    assert seen == [
        ("GET", "/v2/base/manifests/1", "alice", 200),
        ("GET", "/v2/base/manifests/nope", "alice", 404),
        ("GET", "/v2/base/tags/list", "alice", 401),
        ("GET", "/v2/", "", 401),
    ]


def test_tokens_carry_the_rights_of_who_asked(token_registry: RegistryServer) -> None:
    assert isinstance(token_registry.auth, TokenAuth)
    token_registry.push_image("team/base:1", files={"a": b"a"})
    people = {one.username: one for one in token_registry.auth.accounts.all()}
    scope = "repository:team/base:pull,push"

    def status_of(username: str, method: str, path: str) -> int:
        status, answer = token(token_registry, scope, basic_header(username, people[username].password))
        assert status == 200
        bearer = f"Bearer {answer['token']}"
        return ask(token_registry, path, authorization=bearer, method=method, data=b"" if method == "POST" else None)[0]

    assert status_of("writer", "GET", "/v2/team/base/manifests/1") == 200
    assert status_of("writer", "POST", "/v2/team/base/blobs/uploads/") == 202
    assert status_of("reader", "GET", "/v2/team/base/manifests/1") == 200
    assert status_of("reader", "POST", "/v2/team/base/blobs/uploads/") == 401
    assert status_of("nobody", "GET", "/v2/team/base/manifests/1") == 401
    asked = [(one.grant, one.username, one.granted) for one in token_registry.auth.realm.requests]
    assert asked[0] == ("basic", "writer", ("repository:team/base:pull,push",))
    assert asked[2] == ("basic", "reader", ("repository:team/base:pull",))
    assert asked[4] == ("basic", "nobody", ())


def test_a_wrong_password_gets_no_token(token_registry: RegistryServer) -> None:
    assert token(token_registry, "repository:a:pull", basic_header("writer", "wrong"))[0] == 401
    assert token(token_registry, "repository:a:pull", "Basic !!!")[0] == 401


def test_refresh_tokens_and_passwords_work_over_oauth(token_registry: RegistryServer) -> None:
    assert isinstance(token_registry.auth, TokenAuth)
    token_registry.push_image("team/base:1", files={})
    reader = next(one for one in token_registry.auth.accounts.all() if one.username == "reader")
    answer = token(token_registry, "repository:team/base:pull", basic_header("reader", reader.password))[1]
    assert answer["refresh_token"] == reader.identity_token
    common = {"service": token_registry.auth.realm.service, "scope": "repository:team/base:pull", "client_id": "test"}

    def exchange(form: dict[str, str]) -> tuple[int, bytes]:
        body = urllib.parse.urlencode({**common, **form}).encode()
        status, _, content = ask(token_registry, token_registry.auth.realm.url, method="POST", data=body)  # type: ignore[attr-defined]
        return status, content

    for form in (
        {"grant_type": "refresh_token", "refresh_token": str(answer["refresh_token"])},
        {"grant_type": "password", "username": "reader", "password": reader.password},
    ):
        status, content = exchange(form)
        assert status == 200
        bearer = f"Bearer {json.loads(content)['access_token']}"
        assert ask(token_registry, "/v2/team/base/manifests/1", authorization=bearer)[0] == 200
    assert exchange({"grant_type": "refresh_token", "refresh_token": "stolen"})[0] == 401


def test_everybody_may_pull_what_is_public(registry_factory: RegistryFactory) -> None:
    server = registry_factory(auth=TokenAuth(anonymous_pull=("public/*",)))
    for name in ("public/a:1", "private/a:1"):
        server.push_image(name, files={})

    for repository, expected in (("public/a", 200), ("private/a", 401)):
        answer = token(server, f"repository:{repository}:pull")[1]
        bearer = f"Bearer {answer['token']}"
        assert ask(server, f"/v2/{repository}/manifests/1", authorization=bearer)[0] == expected


def test_an_expired_token_is_refused(registry_factory: RegistryFactory) -> None:
    auth = TokenAuth([Identity(username="a", password="p")], lifetime=-61)
    server = registry_factory(auth=auth)
    answer = token(server, "repository:x:pull", basic_header("a", "p"))[1]

    status, headers, _ = ask(server, "/v2/x/tags/list", authorization=f"Bearer {answer['token']}")

    assert status == 401
    assert 'error="invalid_token"' in headers["Www-Authenticate"]


def test_a_token_of_another_realm_is_refused(registry_factory: RegistryFactory) -> None:
    server, other = (registry_factory(auth=TokenAuth()) for _ in range(2))
    assert isinstance(other.auth, TokenAuth)

    bearer = f"Bearer {other.auth.realm.token_for('x', 'pull')}"

    assert ask(server, "/v2/x/tags/list", authorization=bearer)[0] == 401
    assert ask(other, "/v2/x/tags/list", authorization=bearer)[0] == 404


def test_names_and_addresses_are_the_callers_choice(
    registry_factory: RegistryFactory, tls_authority: Authority
) -> None:
    name = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"

    server = registry_factory(tls=tls_authority, host=name, bind="127.0.0.2")
    server.push_image("base:1", files={})

    assert server.address == f"{name}:{server.port}"
    assert ask(server, f"https://127.0.0.2:{server.port}/v2/base/tags/list")[0] == 200
    assert server.client().tags("base") == ("1",)


def test_a_registry_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    with RegistryServer() as first, pytest.raises(RegistryError) as caught:
        RegistryServer(port=first.port, directory=tmp_path / "second").start()
    assert "address already in use" in str(caught.value)
    assert "ended with code" in str(caught.value)


def test_a_registry_that_dies_in_the_middle_shows_its_log() -> None:
    server = RegistryServer()
    server.start()
    os.kill(server.pid, signal.SIGKILL)
    os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)

    with pytest.raises(RegistryError, match="ended by itself with code -9") as caught:
        server.stop()

    assert "listening on 127.0.0.1" in str(caught.value)


def test_a_missing_program_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ocibuild_registry", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RegistryError, match=r"pip install 'ocibuild-testkit\[registry\]'"):
        RegistryServer().start()


def test_it_leaves_no_directory_and_no_process() -> None:
    with RegistryServer(auth=PasswordAuth({"a": "b"}), tls=Authority()) as server:
        directory, pid = server.ca_file.parent, server.pid
        ask(server, "/v2/")
    assert not directory.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert [one.path for one in server.requests] == ["/v2/"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other kernels have no parent-death signal")
def test_it_dies_with_the_program_that_started_it(tmp_path: Path) -> None:
    program = """
import sys
from ocibuild_testkit.registry import RegistryServer
server = RegistryServer()
server.start()
print(server.pid, flush=True)
sys.stdin.read()
"""
    # Whoever is killed removes no directory.
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as child:
        assert child.stdout
        pid = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)

    deadline = time.monotonic() + 5
    while _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_no_password_shows_in_a_repr() -> None:
    identity = Identity(username="a", password="hidden-1", identity_token="hidden-2")
    assert "hidden" not in repr(identity)
    assert base64.b64decode(basic_header("a", "b").split()[1]) == b"a:b"
