"""What comes out of a build, beyond `--output`: the short flags, the archive's format, attestations. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.csv_fields import split_fields
from ocibuild_core.errors import UsageError
from ocibuild_core.inputs import chosen_platforms
from ocibuild_core.settings.values import parse_bool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ocibuild_core.settings.model import BuildSettings

_SCANNER = "docker/buildkit-syft-scanner:stable-1"
"""What BuildKit scans with when nobody says otherwise (frontend/attestations/parse.go)."""
_OF_PROVENANCE = {"mode": ("min", "max", "full"), "version": ("v0.2", "v1")}
"""What BuildKit takes, which looks when all steps have run (solver/llbsolver/provenance.go in moby/buildkit)."""


def short_outputs(settings: BuildSettings) -> list[tuple[str, Mapping[str, str]]]:
    """The exporters that short flags stand for, with their options. Raises UsageError."""
    chosen: list[tuple[str, Mapping[str, str]]] = []
    if settings.iidfile:
        chosen.append(("digest", {"dest": str(settings.iidfile)}))
    if settings.metadata_file:
        chosen.append(("metadata", {"dest": str(settings.metadata_file)}))
    for name, is_asked in (("load", settings.load), ("registry", settings.push)):
        if not is_asked:
            continue
        if name == "registry" and not settings.tags:
            raise UsageError("--push: the image has no name", do="name it: --tag HOST/REPO:TAG")
        chosen.append((name, {}))
    return chosen


def image_names(settings: BuildSettings) -> tuple[str, ...]:
    """The references of `--tag`, each once, in full. Raises UsageError."""
    return names_in_full(settings.tags, "--tag")


def names_in_full(names: Iterable[str], origin: str) -> tuple[str, ...]:
    """What an image is called, each name once, in full. Raises UsageError naming `origin`."""
    from ocibuild_core.registry.reference import parse_reference  # noqa: PLC0415  # only where there are names

    references = [parse_reference(name) for name in names]
    digested = next((reference for reference in references if reference.digest), None)
    if digested:
        raise UsageError(f"{origin} {digested}: an image cannot be given a digest", do="write HOST/REPO:TAG")
    return tuple(dict.fromkeys(map(str, references)))


def writes_oci(settings: BuildSettings, exporters: Iterable[str]) -> bool:
    """Whether a target's archive is an OCI one: the one that is kept, else the one that the settings ask for or need.

    Args:
        settings: what was asked for.
        exporters: the names of the chosen ones.

    Raises UsageError when docker's format was asked for all the same.
    """
    kept = {"docker", "oci"}.intersection(exporters)
    beyond = _beyond_docker(settings)
    if beyond and "docker" in kept:
        raise UsageError(f"a docker archive cannot hold {beyond}", do="write --output oci, which does")
    if len(kept) == 1:
        return kept == {"oci"}
    return settings.output_oci or bool(beyond)


def _beyond_docker(settings: BuildSettings) -> str:
    """What docker's format has no place for; BuildKit would leave out the file that makes it docker's."""
    if len(chosen_platforms(settings)) > 1:
        return "several platforms"
    return "attestations" if attestations(settings) else ""


def attestations(settings: BuildSettings) -> dict[str, str]:
    """Options of the frontend that ask for attestations (docs/attestations in moby/buildkit). Raises UsageError."""
    options = {}
    for kind, text in (("provenance", settings.provenance), ("sbom", settings.sbom)):
        if text and (fields := _fields(text, settings.origin(kind))) is not None:
            check = _check_provenance if kind == "provenance" else _check_sbom
            check(fields, settings.origin(kind))
            options[f"attest:{kind}"] = text if fields else ""
    return options


def scanner_image(settings: BuildSettings) -> str | None:
    """The image that makes the SBOM, which is pulled from its registry; None without one."""
    asked = attestations(settings).get("attest:sbom")
    if asked is None:
        return None
    named = (field.partition("=") for field in asked.split(","))
    return next((value for key, _, value in named if key == "generator"), _SCANNER)


def _fields(text: str, origin: str) -> Mapping[str, str] | None:
    """What was said of an attestation; None when it is switched off."""
    try:
        return {} if parse_bool(text) else None
    except ValueError:
        pass
    fields = [field.partition("=") for field in split_fields(text, origin)]
    if not all(key and equals for key, equals, _ in fields):
        raise UsageError(f"{origin} {text!r}: neither a boolean nor key=value", do=f"write {origin} true")
    found = {key: value for key, _, value in fields}
    return None if _flag(found, "disabled", origin) else found


def _flag(fields: Mapping[str, str], key: str, origin: str) -> bool:
    try:
        return parse_bool(fields.get(key, "false"))
    except ValueError:
        raise UsageError(f"{origin} {key}={fields[key]}: not a boolean", do="write true or false") from None


def _check_provenance(fields: Mapping[str, str], origin: str) -> None:
    for key, known in _OF_PROVENANCE.items():
        if fields.get(key, known[0]) not in known:
            do = f"use one of {', '.join(known)}"
            raise UsageError(f"{origin} {key}={fields[key]}: BuildKit knows no such {key}", do=do)
    _flag(fields, "reproducible", origin)


def _check_sbom(fields: Mapping[str, str], origin: str) -> None:
    if "generator" not in fields:
        return
    from ocibuild_core.registry.reference import parse_reference  # noqa: PLC0415  # few choose a scanner

    try:
        parse_reference(fields["generator"])
    except UsageError as error:
        raise UsageError(f"{origin} generator: {error.summary}", why=error.why, do=error.do) from None
