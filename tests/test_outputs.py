from __future__ import annotations

from pathlib import Path

import pytest
from ocibuild_core.errors import UsageError
from ocibuild_core.outputs import attestations, image_names, scanner_image, short_outputs, writes_oci
from ocibuild_core.plan import choose_outputs
from ocibuild_core.remote_tls import tls_files
from ocibuild_core.settings.fields import four_spellings
from ocibuild_core.settings.model import BuildSettings
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import CommandLine, Environment


def settings(**flags: object) -> BuildSettings:
    return resolve([CommandLine(flags, {})])


@pytest.mark.parametrize("spelling", four_spellings("OUTPUT_OCI"))
def test_each_spelling_makes_the_output_directory_hold_the_oci_format(spelling: str, tmp_path: Path) -> None:
    def names(value: str) -> list[str]:
        return [choice.name for choice in choose_outputs(resolve([Environment({spelling: value})]), tmp_path)]

    assert names("true") == ["oci", "digest"]
    assert names("false") == names("") == ["docker", "digest"]


def test_several_platforms_or_the_oci_exporter_alone_decide_for_oci() -> None:
    assert writes_oci(settings(platforms=("linux/amd64,linux/arm64",)), ["digest"])
    assert writes_oci(settings(provenance="true"), [])
    assert not writes_oci(settings(provenance="false"), [])
    assert not writes_oci(settings(platforms=("linux/arm64",)), ["docker"])
    assert writes_oci(settings(), ["oci", "digest"])
    assert not writes_oci(settings(), ["oci", "docker", "digest"])


def test_the_archive_that_is_kept_decides_before_the_setting() -> None:
    asked = settings(output_oci=True)
    assert not writes_oci(asked, ["docker", "digest"])
    assert writes_oci(asked, ["oci", "docker", "digest"])
    assert writes_oci(asked, ["digest"])


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"platforms": ("linux/amd64,linux/arm64",)}, "cannot hold several platforms"),
        ({"platforms": ("linux/amd64,linux/arm64",), "output_oci": True}, "cannot hold several platforms"),
        ({"sbom": "true"}, "cannot hold attestations"),
    ],
)
def test_what_a_docker_archive_cannot_hold_is_refused(flags: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        writes_oci(settings(**flags), ["docker", "digest"])


def test_short_flags_are_exporters() -> None:
    given = settings(tags=("r.example/a:1",), push=True, load=True, iidfile="id", metadata_file="m.json")
    assert short_outputs(given) == [
        ("digest", {"dest": "id"}),
        ("metadata", {"dest": "m.json"}),
        ("load", {}),
        ("registry", {}),
    ]


def test_a_push_needs_a_name() -> None:
    with pytest.raises(UsageError, match="--push: the image has no name"):
        short_outputs(settings(push=True))


def test_names_are_told_in_full_each_once() -> None:
    assert image_names(settings(tags=("app", "app:latest", "r.example/a:1"))) == (
        "docker.io/library/app:latest",
        "r.example/a:1",
    )
    with pytest.raises(UsageError, match="cannot be given a digest"):
        image_names(settings(tags=("app@sha256:" + "0" * 64,)))


@pytest.mark.parametrize(
    ("text", "attributes"),
    [("true", ""), ("1", ""), ("mode=max", "mode=max"), ("false", None), ("disabled=true", None)],
)
def test_attestations_are_asked_for_as_in_buildx(text: str, attributes: str | None) -> None:
    expected = {} if attributes is None else {"attest:provenance": attributes}
    assert attestations(settings(provenance=text)) == expected


def test_an_attestation_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="--sbom 'maybe'"):
        attestations(settings(sbom="maybe"))


@pytest.mark.parametrize(
    ("flag", "text", "says"),
    [
        (
            "provenance",
            "mode=bogus",
            "--provenance mode=bogus: BuildKit knows no such mode\n  do     use one of min, max",
        ),
        ("provenance", "mode=max,version=v9", "--provenance version=v9: BuildKit knows no such version"),
        ("provenance", "mode=", "--provenance mode=: BuildKit"),
        ("provenance", "reproducible=maybe", "--provenance reproducible=maybe: not a boolean"),
        ("provenance", "disabled=maybe", "--provenance disabled=maybe: not a boolean"),
        ("sbom", "generator=r.example/UPPER", "--sbom generator: 'r.example/UPPER' is no image reference"),
    ],
)
def test_what_buildkit_would_refuse_of_an_attestation_at_its_end_is_refused(flag: str, text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        attestations(settings(**{flag: text}))
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize("text", ["mode=full,version=v1", "mode=min,version=v0.2,reproducible=true"])
def test_what_buildkit_takes_of_an_attestation_it_gets(text: str) -> None:
    assert attestations(settings(provenance=text)) == {"attest:provenance": text}


def test_the_scanner_is_an_image_that_the_build_needs() -> None:
    assert scanner_image(settings()) is None
    assert scanner_image(settings(sbom="false")) is None
    assert scanner_image(settings(sbom="generator=r.example/scan:1,x=y")) == "r.example/scan:1"
    assert str(scanner_image(settings(sbom="true"))).startswith("docker/buildkit-syft-scanner")


def test_certificates_come_from_a_directory_or_one_by_one(tmp_path: Path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem", "other.pem"):
        (tmp_path / name).touch()
    assert tls_files(settings()) is None
    found = tls_files(settings(addr="tcp://h:1", tls_dir=str(tmp_path), tls_ca=str(tmp_path / "other.pem")))
    assert found
    assert (found.ca, found.cert, found.key) == (tmp_path / "other.pem", tmp_path / "cert.pem", tmp_path / "key.pem")


def test_a_flag_without_an_address_is_refused_and_a_variable_is_left(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--tlsdir goes with a tcp:// address\n  why    there is no --addr"):
        tls_files(settings(tls_dir=str(tmp_path)))
    assert tls_files(resolve([Environment({"BUILDKIT_TLS_DIR": str(tmp_path)})])) is None


@pytest.mark.parametrize("address", ["unix:///run/b.sock", "docker-container://b", "kube-pod://b", "ssh://h"])
def test_certificates_are_for_tcp_alone(address: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"why    --addr {address} is not of tcp://"):
        tls_files(settings(addr=address, tls_ca=str(tmp_path / "ca.pem")))
    env = Environment({"BUILDKIT_HOST": address, "BUILDKIT_TLS_DIR": str(tmp_path)})
    assert tls_files(resolve([env])) is None


def test_a_certificate_without_its_key_and_a_missing_file_are_said(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").touch()
    with pytest.raises(UsageError, match="needs its key"):
        tls_files(settings(addr="tcp://h:1", tls_cert=str(tmp_path / "cert.pem")))
    with pytest.raises(UsageError, match="--tlsdir: there is no file"):
        tls_files(settings(addr="tcp://h:1", tls_dir=str(tmp_path)))
