from __future__ import annotations

import pytest
from ocibuild_core.failures import TRUST_NOT_PLAIN, Failure, Refusal, refusal_of, remedy_of_way

ASKING = 'failed to do request: Head "https://r.example:5000/v2/a/manifests/1"'

LOAD = "[internal] load metadata for r.example:5000/team/base:1"


@pytest.mark.parametrize(
    ("vertex", "text", "host", "refusal"),
    [
        (
            LOAD,
            "unexpected status from HEAD request to http://r.example:5000/v2/b/manifests/1: 401 Unauthorized",
            "r.example:5000",
            Refusal.UNAUTHORIZED,
        ),
        (
            LOAD,
            (
                "failed to authorize: failed to fetch oauth token: unexpected status from GET request to "
                "https://auth.example/token?scope=x: 401 Unauthorized"
            ),
            "r.example:5000",
            Refusal.UNAUTHORIZED,
        ),
        (
            "[internal] load metadata for docker.io/library/x:latest",
            (
                "pull access denied, repository does not exist or may require authorization: server message: "
                "insufficient_scope: authorization failed"
            ),
            "docker.io",
            Refusal.FORBIDDEN,
        ),
        (
            "exporting to image",
            (
                "failed to push r.example/x: unexpected status from POST request to "
                "https://r.example/v2/x/blobs/uploads/: 403 Forbidden"
            ),
            "r.example",
            Refusal.FORBIDDEN,
        ),
        ("exporting to image", "failed to push r.example:5000/team/x:2: denied", "r.example:5000", Refusal.FORBIDDEN),
        (LOAD, "denied: Your authorization token has expired. Reauthenticate", "r.example:5000", Refusal.EXPIRED),
        (
            "[internal] load metadata for [::1]:5000/x:1",
            "unexpected status from HEAD request to https://[::1]:5000/v2/x/manifests/1: 401 Unauthorized",
            "[::1]:5000",
            Refusal.UNAUTHORIZED,
        ),
    ],
)
def test_a_refusal_is_read_from_the_events(vertex: str, text: str, host: str, refusal: Refusal) -> None:
    found = refusal_of(vertex, text)
    assert found is not None
    assert (found.host, found.refusal) == (host, refusal)


DENIED = "pull access denied, repository does not exist or may require authorization"
BLOB = (
    "failed to copy: httpReadSeeker: failed open: unexpected status from GET request to https://r.example/v2/x/blobs/y"
)


@pytest.mark.parametrize(
    ("vertex", "text"),
    [
        ("[internal] load metadata for r.example/x:1", DENIED),
        ("[linux/arm64 internal] load metadata for r.example/x:1", DENIED),
        ("resolve image config for docker-image://r.example/frontend:1", DENIED),
        ("docker-image://r.example/frontend:1@sha256:0", DENIED),
        ("[1/2] FROM r.example/x:1@sha256:0", DENIED),
        ("[linux/arm64->amd64 build  1/12] FROM r.example/x:1@sha256:0", DENIED),
        ("FROM r.example/x:1@sha256:0", DENIED),
        ("[context base] r.example/x:1", DENIED),
        ("importing cache manifest from r.example/c:1", DENIED),
        ("exporting cache to registry", "failed to push r.example/c:1: denied"),
        ("[2/2] RUN make conf.d/app", f"{BLOB}: 403 Forbidden"),
        ("[2/2] COPY x conf.d/app", f"{BLOB}: 401 Unauthorized"),
    ],
)
def test_what_speaks_to_a_registry_is_known_by_its_name(vertex: str, text: str) -> None:
    found = refusal_of(vertex, text)
    assert found is not None
    assert found.host == "r.example"


@pytest.mark.parametrize(
    ("vertex", "text"),
    [
        ("[2/2] COPY x conf.d/app", "failed to copy: open /x: permission denied"),
        ("[2/2] COPY --from=r.example/x /x conf.d/app", "cannot copy to conf.d/app: permission denied"),
        ("[2/2] ADD https://files.example/x.d/y", "https://files.example/x.d/y: 403 Forbidden"),
        ("[internal] load build context", "error from sender: open a.b/c: permission denied"),
        ("[context base] load from client", "error from sender: open a.b/c: permission denied"),
        ("exporting to client directory", "open a.b/c: permission denied"),
        ("[2/2] RUN echo FROM r.example/x", "mount callback failed on /a.b/c: permission denied"),
        ("mkdir a.b/c", "mkdir a.b/c: permission denied"),
    ],
)
def test_nothing_else_is_a_registrys_refusal(vertex: str, text: str) -> None:
    assert refusal_of(vertex, text) is None


@pytest.mark.parametrize(
    "text",
    [
        'process "/bin/sh -c echo 401 Unauthorized https://r.example/" did not complete successfully: exit code: 1',
        "failed to do request: dial tcp 127.0.0.1:1: connect: connection refused",
        "not found",
        (
            "failed to fetch remote https://git.example/x.git: git stderr:\nremote: HTTP Basic: Access denied\n"
            "fatal: unable to access 'https://git.example/x.git/': The requested URL returned error: 403"
        ),
    ],
)
def test_other_errors_are_no_refusals(text: str) -> None:
    assert refusal_of(LOAD, text) is None


def test_errors_are_kept_once_and_cancelled_steps_left_out() -> None:
    failure = Failure()
    failure.observe({"vertexes": [{"digest": "a", "name": "one", "error": "boom"}, {"digest": "b", "name": "two"}]})
    failure.observe({"vertexes": [{"digest": "a", "name": "one", "error": "boom"}]})
    failure.observe({"vertexes": [{"digest": "c", "name": "three", "error": "context canceled"}]})
    failure.observe({"statuses": [{"id": "x"}], "logs": None})
    assert failure.errors() == (("one", "boom"),)


def test_what_was_pushed_before_another_push_failed_is_known() -> None:
    failure = Failure()
    done = {"completed": "2024-01-01T00:00:00Z"}
    for name in ("r.example/a:1", "s.example/a:1"):
        failure.observe({"statuses": [{"id": f"pushing manifest for {name}@sha256:abc"}]})
        failure.observe({"statuses": [{"id": f"pushing manifest for {name}@sha256:abc", **done}]})
    failure.observe(
        {"vertexes": [{"digest": "v", "name": "exporting", "error": "failed to push s.example/a:1: denied"}]}
    )
    assert failure.pushed() == ("r.example/a:1",)


def test_a_git_server_that_refuses_is_no_registry() -> None:
    vertex = "[internal] load git source git@git.example:org/repo.git#main"
    text = "failed to fetch remote git@git.example:org/repo.git: git stderr:\nPermission denied (publickey)."
    assert refusal_of(vertex, text) is None


IMPORT = {"digest": "i", "name": "importing cache manifest from r.example/c:1", "error": "401 Unauthorized"}
EXPORT = {"digest": "e", "name": "exporting cache to registry", "error": "failed to push r.example/c:1: denied"}
STEP = {"digest": "s", "name": "RUN false", "error": "exit code: 1"}


@pytest.mark.parametrize(
    ("vertexes", "reason", "blamed"),
    [
        ([IMPORT, STEP], "failed to solve: exit code: 1", ["RUN false"]),
        ([EXPORT, STEP], "failed to solve: exit code: 1", ["RUN false"]),
        ([EXPORT], "failed to push r.example/c:1: denied", ["exporting cache to registry"]),
        ([IMPORT, STEP], "", ["RUN false"]),
    ],
)
def test_a_cache_that_the_build_went_on_without_is_not_blamed(
    vertexes: list[dict[str, str]], reason: str, blamed: list[str]
) -> None:
    failure = Failure()
    failure.observe({"vertexes": vertexes})
    failure.observe({"reason": reason})
    assert [name for name, _ in failure.errors()] == blamed
    assert [one.host for one in failure.refusals()] == (
        ["r.example"] if "exporting cache to registry" in blamed else []
    )


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (
            f"{ASKING}: tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "name the CA that signed its certificate: --registry-ca r.example:5000=FILE",
        ),
        (
            f"{ASKING}: http: server gave HTTP response to HTTPS client",
            "say that it speaks plain HTTP: --registry-http r.example:5000",
        ),
        (
            f"{ASKING}: tls: first record does not look like a TLS handshake",
            "say that it speaks plain HTTP: --registry-http r.example:5000",
        ),
        (
            "unexpected status from HEAD request to http://localhost:5000/v2/a/manifests/1: 400 Bad Request",
            TRUST_NOT_PLAIN.format(host="localhost:5000"),
        ),
        (f"{ASKING}: dial tcp: no such host", ""),
        ('process "/bin/sh -c curl https://r.example/: x509: certificate signed by unknown authority"', ""),
    ],
)
def test_a_registry_spoken_to_in_the_wrong_way_has_a_remedy(text: str, remedy: str) -> None:
    assert remedy_of_way(text) == remedy
