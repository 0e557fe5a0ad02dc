from __future__ import annotations

from pathlib import Path

import pytest
from ocibuild_core.daemon_config import client_tls, daemon_config
from ocibuild_core.errors import UsageError
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import CommandLine, Environment


def tables(**env: str) -> dict[str, object]:
    return dict(daemon_config(resolve([Environment(env)])))


def test_nothing_asked_gives_nothing() -> None:
    assert tables() == {}


def test_mirrors_are_docker_hubs() -> None:
    assert tables(REGISTRY_MIRRORS="m.example,n.example:5000") == {
        "registry": {"docker.io": {"mirrors": ["m.example", "n.example:5000"]}}
    }


def test_a_text_is_joined_with_mirrors_and_certificates(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    found = tables(
        BUILDKIT_EXTRA_CONFIG='[registry."m.example"]\nhttp = true\n[worker.oci]\nmax-parallelism = 2\n',
        REGISTRY_MIRRORS="m.example",
        REGISTRY_CA=f"r.example={tmp_path}/ca.crt",
    )
    assert found == {
        "registry": {
            "m.example": {"http": True},
            "docker.io": {"mirrors": ["m.example"]},
            "r.example": {"ca": [f"{tmp_path}/ca.crt"], "http": False},
        },
        "worker": {"oci": {"max-parallelism": 2}},
    }


def test_two_wishes_for_one_key_name_the_table_and_both_settings() -> None:
    extra = '[registry."docker.io"]\nmirrors = ["other.example"]\n'
    with pytest.raises(UsageError, match=r'\[registry."docker.io"\]') as error:
        tables(BUILDKIT_EXTRA_CONFIG=extra, REGISTRY_MIRRORS="m.example")
    assert "REGISTRY_MIRRORS and BUILDKIT_EXTRA_CONFIG" in str(error.value)


def test_the_same_wish_twice_is_none_too_many() -> None:
    extra = '[registry."docker.io"]\nmirrors = ["m.example"]\n'
    assert tables(BUILDKIT_EXTRA_CONFIG=extra, REGISTRY_MIRRORS="m.example") == {
        "registry": {"docker.io": {"mirrors": ["m.example"]}}
    }


@pytest.mark.parametrize("flags", [{"network": "host"}, {"allow": ("network.host",)}])
def test_what_a_build_is_allowed_is_joined_with_what_the_text_allows(flags: dict[str, object]) -> None:
    def allowed(text: str) -> object:
        env = Environment({"BUILDKIT_EXTRA_CONFIG": text})
        (found,) = daemon_config(resolve([CommandLine(flags, {}), env])).values()
        return found

    assert allowed('insecure-entitlements = ["security.insecure"]') == ["security.insecure", "network.host"]
    assert allowed('Insecure-Entitlements = ["security.insecure"]') == ["security.insecure", "network.host"]
    assert allowed('insecure-entitlements = ["network.host"]') == ["network.host"]
    assert allowed("") == ["network.host"]
    with pytest.raises(UsageError, match="BUILDKIT_EXTRA_CONFIG: 'insecure-entitlements' is no list") as error:
        allowed('insecure-entitlements = "network.host"')
    assert f"--{next(iter(flags))} adds to it" in str(error.value)


def test_what_is_no_toml_is_said_with_line_and_column() -> None:
    with pytest.raises(UsageError, match="BUILDKIT_EXTRA_CONFIG is no TOML") as error:
        tables(BUILDKIT_EXTRA_CONFIG="[registry\n")
    assert "line 1" in str(error.value)


def test_a_certificate_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=r"REGISTRY_CA r\.example: there is no file /no/such"):
        tables(REGISTRY_CA="r.example=/no/such")


def test_a_file_without_a_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    with pytest.raises(UsageError, match=rf"REGISTRY_CA r\.example: {tmp_path}/key\.pem holds no certificate"):
        tables(REGISTRY_CA=f"r.example={tmp_path}/key.pem")


def test_registries_without_tls_or_with_a_certificate_that_is_not_checked() -> None:
    assert tables(REGISTRY_HTTP_HOSTS="a.example,b.example:5000", REGISTRY_INSECURE_HOSTS="c.example") == {
        "registry": {
            "a.example": {"http": True},
            "b.example:5000": {"http": True},
            "c.example": {"insecure": True, "http": False},
        }
    }


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("https://127.0.0.1:5443", ["127.0.0.1:5443"]),
        (" 127.0.0.1:5443/", ["127.0.0.1:5443"]),
        ("LOCALHOST:5443", ["localhost:5443"]),
        ("index.docker.io", ["docker.io"]),
        ("R.example:443/v2/", ["r.example"]),
        ("r.example:443", ["r.example", "r.example:443"]),
    ],
)
def test_a_registry_is_named_as_references_name_it(text: str, hosts: list[str], tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    ca = {"ca": [f"{tmp_path}/ca.crt"], "http": False}
    assert tables(REGISTRY_HTTP_HOSTS=text)["registry"] == {host: {"http": True} for host in hosts}
    assert tables(REGISTRY_INSECURE_HOSTS=text)["registry"] == {
        host: {"insecure": True, "http": False} for host in hosts
    }
    assert tables(REGISTRY_CA=f"{text}={tmp_path}/ca.crt")["registry"] == dict.fromkeys(hosts, ca)


@pytest.mark.parametrize("text", ["r.example/team", "a b", "r.example:x", "u:hidden@r.example", "ftp://r.example"])
def test_what_is_no_registry_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"REGISTRY_HTTP_HOSTS\b") as error:
        tables(REGISTRY_HTTP_HOSTS=text)
    assert "hidden" not in str(error.value)


def test_two_settings_that_contradict_each_other_are_both_named() -> None:
    with pytest.raises(UsageError, match="REGISTRY_INSECURE_HOSTS and REGISTRY_HTTP_HOSTS both set 'http'"):
        tables(REGISTRY_HTTP_HOSTS="a.example", REGISTRY_INSECURE_HOSTS="a.example")


def test_the_client_is_told_of_tls_whoever_said_it(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    extra = """
        debug = true
        [registry."docker.io"]
        mirrors = ["m.example"]
        ca = ["/hub.pem", "/more.pem"]
        [registry."client.example:5000"]
        insecure = true
        keypair = [{ key = "/own.key", cert = "/own.pem" }, { key = "/half.key" }]
        [registry."broken.example"]
        insecure = "yes"
        ca = "/no-list.pem"
        [registry]
        text = "no table"
    """
    found = tables(
        BUILDKIT_EXTRA_CONFIG=extra,
        REGISTRY_CA=f"r.example={tmp_path}/ca.crt",
        REGISTRY_INSECURE_HOSTS="loose.example",
    )
    assert list(client_tls(found)) == [
        ("host=registry-1.docker.io", "ca=/hub.pem"),
        ("host=registry-1.docker.io", "ca=/more.pem"),
        ("host=client.example:5000", "insecure=true"),
        ("host=client.example:5000", "cert=/own.pem", "key=/own.key"),
        ("host=loose.example", "insecure=true"),
        ("host=r.example", f"ca={tmp_path}/ca.crt"),
    ]


def test_without_a_word_of_tls_the_client_is_told_nothing() -> None:
    assert list(client_tls({})) == list(client_tls({"registry": "text", "debug": True})) == []
