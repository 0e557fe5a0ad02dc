"""Google's logins."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bad_input.case import Case, case
from fake_google import Cloud, Internet, MetadataServer

if TYPE_CHECKING:
    from collections.abc import Iterator

REGISTRY = "europe-docker.pkg.dev"
BLAME = "plugin 'gcr' (ocibuild-gcr"


@contextmanager
def machine() -> Iterator[tuple[MetadataServer, dict[str, str]]]:
    """A machine of Google's, whose account would log in, with the environment that leads to it."""
    with MetadataServer() as server:
        yield server, {"LOGIN": "gcr", "GCE_METADATA_HOST": server.address, "GCE_METADATA_IP": server.address}


@case("GOOGLE_APPLICATION_CREDENTIALS missing / invalid type")
def _(given: Case) -> None:
    path = given.demo.home / "key.json"
    name = "GOOGLE_APPLICATION_CREDENTIALS"
    with machine() as (server, env):
        given.fails(3, BLAME, name, str(path), host=REGISTRY, **env, GOOGLE_APPLICATION_CREDENTIALS=str(path))
        for content in ({"type": "no_such_type", "private_key": given.token}, [given.token], given.token):
            path.write_text(json.dumps(content))
            given.fails(3, BLAME, name, host=REGISTRY, **env, GOOGLE_APPLICATION_CREDENTIALS=str(path))
        path.write_text("{" + given.token)
        given.fails(3, BLAME, name, host=REGISTRY, **env, GOOGLE_APPLICATION_CREDENTIALS=str(path))
        assert server.asked == []
        assert given.answer(REGISTRY, **env) == "oauth2accesstoken"


@case("not on GCE (metadata probe)")
def _(given: Case) -> None:
    with machine() as (server, env):
        says = (BLAME, f"no Google credentials for {REGISTRY}", "metadata server (switched off by NO_GCE_CHECK)")
        given.fails(3, *says, host=REGISTRY, **env, NO_GCE_CHECK="true")
        server.is_google = False
        given.fails(3, BLAME, "what answers there is not Google's", host=REGISTRY, **env)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"127.0.0.1:{closed.getsockname()[1]}"
        given.fails(3, BLAME, "Connection refused", host=REGISTRY, LOGIN="gcr", GCE_METADATA_IP=nowhere)
    with machine() as (server, env):
        server.hangs = True
        given.fails(3, BLAME, "metadata server (no answer in time)", host=REGISTRY, **env)
        assert len(server.asked) == 1


@case("invalid_rapt reauth")
def _(given: Case) -> None:
    cloud = Cloud()
    login = cloud.user("alice@example.com")
    cloud.needs_reauthentication = True
    browser = given.demo.home / "browser"
    browser.write_text(f"#!/bin/sh\ntouch {browser}.opened\n")
    browser.chmod(0o755)
    authority = given.fixture("tls_authority")
    with Internet(cloud, authority) as internet:
        env = {
            "LOGIN": "gcr",
            "GCR_KEY_JSON": json.dumps(login),
            "HTTPS_PROXY": internet.proxy.url,
            "SSL_CERT_FILE": str(authority.write(given.sandbox / "ca.pem")),
            "BROWSER": str(browser),
        }
        given.fails(3, BLAME, "gcloud auth application-default login", host=REGISTRY, **env)
    assert cloud.asked == ["oauth2 refresh_token"]
    assert not browser.with_name("browser.opened").exists()
