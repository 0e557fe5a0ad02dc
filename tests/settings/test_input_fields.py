from __future__ import annotations

import pytest
from ocibuild_core.settings.fields import Field, Kind
from ocibuild_core.settings.model import BuildSettings, Pair
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import CommandLine, Document, Environment
from ocibuild_core.settings.table import FIELDS

# The rows of the contract of the Concourse task: name, its spellings in the environment, its key in the request.
CONTRACT = {
    "debug": (("DEBUG", "debug"), "debug"),
    "context": (("CONTEXT",), "context"),
    "dockerfile": (("DOCKERFILE",), "dockerfile"),
    "target": (("TARGET", "target"), "target"),
    "target_file": (("TARGETFILE", "TARGET_FILE", "target_file", "targetfile"), "target_file"),
    "additional_targets": (("ADDITIONAL_TARGETS",), "additional_targets"),
    "build_args": (("BUILDARGS", "BUILD_ARGS", "build_args", "buildargs"), "build_args"),
    "build_args_file": (("BUILDARGSFILE", "BUILD_ARGS_FILE", "build_args_file", "buildargsfile"), "build_args_file"),
    "labels": (("LABELS", "labels"), "labels"),
    "labels_file": (("LABELSFILE", "LABELS_FILE", "labels_file", "labelsfile"), "labels_file"),
    "image_args": (("IMAGEARGS", "IMAGE_ARGS", "image_args", "imageargs"), "image_args"),
    "platforms": (("IMAGEPLATFORM", "IMAGE_PLATFORM", "image_platform", "imageplatform"), "image_platform"),
    "secret_files": ((), "buildkit_secrets"),
    "ssh": (("BUILDKITSSH", "BUILDKIT_SSH", "buildkit_ssh", "buildkitssh"), "buildkit_ssh"),
    "add_hosts": (("BUILDKIT_ADD_HOSTS",), "add_hosts"),
    "buildkit_extra_config": (("BUILDKIT_EXTRA_CONFIG",), "buildkit_extra_config"),
    "registry_mirrors": (("REGISTRY_MIRRORS",), "registry_mirrors"),
    "unpack_rootfs": (("UNPACKROOTFS", "UNPACK_ROOTFS", "unpack_rootfs", "unpackrootfs"), "unpack_rootfs"),
    "output_oci": (("OUTPUTOCI", "OUTPUT_OCI", "output_oci", "outputoci"), "output_oci"),
}
PREFIXES = {
    "BUILD_ARG_": "build_args",
    "LABEL_": "labels",
    "IMAGE_ARG_": "image_args",
    "BUILDKIT_SECRET_": "secret_files",
    "BUILDKIT_SECRETTEXT_": "secret_texts",
}
SAMPLES = {Kind.BOOL: "true", Kind.PAIRS: "k=v"}
READ = {Kind.BOOL: True, Kind.LIST: ("x",), Kind.ITEMS: ("x",), Kind.OUTPUTS: ("x",)}
BY_NAME = {field.name: field for field in FIELDS}
# Files that settings name are read at once, so these have tests of their own.
WITHOUT_FILES = [name for name in CONTRACT if not name.endswith("_file")]


def settle(env: dict[str, str], *more: Document) -> BuildSettings:
    return resolve([CommandLine({}, env), Environment(env), *more])


def expected(field: Field, origin: str) -> object:
    return (Pair("k", "v", origin),) if field.kind is Kind.PAIRS else READ.get(field.kind, "x")


@pytest.mark.parametrize("name", CONTRACT)
def test_every_param_has_exactly_its_spellings(name: str) -> None:
    assert (BY_NAME[name].env, BY_NAME[name].request) == CONTRACT[name]


@pytest.mark.parametrize(("name", "spelling"), [(name, one) for name in WITHOUT_FILES for one in CONTRACT[name][0]])
def test_every_spelling_sets_its_field(name: str, spelling: str) -> None:
    field = BY_NAME[name]
    settings = settle({spelling: SAMPLES.get(field.kind, "x")})
    assert getattr(settings, name) == expected(field, spelling)
    assert settings.origin(name) == spelling


@pytest.mark.parametrize("name", WITHOUT_FILES)
def test_every_key_of_a_request_sets_its_field_in_any_case(name: str) -> None:
    field, key = BY_NAME[name], CONTRACT[name][1]
    value: object = {Kind.BOOL: True, Kind.PAIRS: {"k": "v"}}.get(field.kind, "x")
    settings = resolve([Document({key.upper(): value}, "request", is_request=True)])
    assert getattr(settings, name) == expected(field, f"request: {key}")


@pytest.mark.parametrize(("prefix", "name"), PREFIXES.items())
def test_every_prefix_is_taken_verbatim_and_in_its_case_alone(prefix: str, name: str) -> None:
    (pair,) = getattr(settle({f"{prefix}a,B": "1,2", f"{prefix.lower()}c": "3", prefix: "4"}), name)
    assert pair.key == "a,B"
    assert pair.value == (f"{prefix}a,B" if name == "secret_texts" else "1,2")


def test_the_text_of_a_secret_is_in_no_setting() -> None:
    settings = settle({"BUILDKIT_SECRETTEXT_x": "very secret"})
    assert "very secret" not in repr(settings)


def test_an_ssh_setting_is_one_item_with_its_commas() -> None:
    assert settle({"BUILDKIT_SSH": "default=/a,/b"}).ssh == ("default=/a,/b",)


@pytest.mark.parametrize("key", ["image-args", "build-contexts", "secrets", "ssh", "network", "allow", "cgroup-parent"])
def test_a_file_beside_the_sources_may_not_reach_out(key: str) -> None:
    with pytest.raises(Exception, match=f"{key}: not allowed in a file that lies beside the sources"):
        settle({}, Document({key: "x"}, "ocibuild.yml", trusted=False))
