"""What `docker build` and `docker buildx build` call otherwise, or have and BuildKit alone has not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocibuild_core.csv_fields import join_fields, split_fields
from ocibuild_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LEAVE_OUT = "leave it out: "
_BOUNDS = "bound the steps by --ulimit, or by a control group of yours: --cgroup-parent"
_HINTS = {
    "--builder": "name a BuildKit that runs by its address: --addr; without, one is started for the run",
    "--rm": f"{_LEAVE_OUT}BuildKit keeps no containers",
    "--force-rm": f"{_LEAVE_OUT}BuildKit keeps no containers",
    "--squash": f"{_LEAVE_OUT}a last stage FROM scratch with COPY --from=STAGE / / has one layer",
    "--compress": f"{_LEAVE_OUT}the context is read where it lies",
    "--isolation": f"{_LEAVE_OUT}it is for containers of Windows",
    "--security-opt": f"{_LEAVE_OUT}what a step may do is said by RUN --security, and allowed by --allow",
    "--disable-content-trust": f"{_LEAVE_OUT}BuildKit checks digests, and no signatures of Notary",
    "--stream": f"{_LEAVE_OUT}the context is read where it lies",
    **dict.fromkeys(("--memory", "-m", "--memory-swap", "--cpu-period", "--cpu-quota", "--cpu-shares"), _BOUNDS),
    **dict.fromkeys(("-c", "--cpuset-cpus", "--cpuset-mems"), _BOUNDS),
}
_ATTESTED = ("provenance", "sbom")


def refusal_of(flag: str) -> UsageError | None:
    """What to say to a flag of docker's that there is not here; None for any other."""
    hint = _HINTS.get(flag)
    return UsageError(f"there is no {flag} here, as docker has it", do=hint) if hint else None


def with_buildx_flags(values: Mapping[str, Any]) -> dict[str, Any]:
    """A command line's values, with what `--attest` and `--call` stand for. Raises UsageError."""
    return {**values, **_called(values["call"]), **_attested(values["attest"], values)}


def _called(wanted: str | None) -> dict[str, bool]:
    if wanted in (None, "build"):
        return {}
    if wanted == "check":
        return {"check": True}
    raise UsageError(f"--call {wanted}: there is no such call here", do="use build, or check, which is --check")


def _attested(texts: Sequence[str], values: Mapping[str, Any]) -> dict[str, str]:
    """`type=provenance|sbom[,KEY=VALUE…]`, as the flags of these names take the rest."""
    asked: dict[str, str] = {}
    for text in texts:
        fields = split_fields(text, "--attest")
        kind = next((field.removeprefix("type=") for field in fields if field.startswith("type=")), "")
        if kind not in _ATTESTED:
            raise UsageError(
                f"--attest {text!r}: no type that there is", do="write --attest type=provenance, or type=sbom"
            )
        if kind in asked or values[kind] is not None:
            raise UsageError(f"--attest {text!r}: {kind} is asked for twice", do="leave one of them out")
        asked[kind] = join_fields(field for field in fields if not field.startswith("type=")) or "true"
    return asked
