"""What a build is refused for, and what it is told: before the solve where that can be known."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_buildkit import binary
from support.programs import PROGRAMS, ProgramRunner

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.e2e


@pytest.fixture
def work(sandbox: Path) -> Path:
    """A directory with a Dockerfile that needs nobody, and `image/`."""
    directory = sandbox / "work"
    (directory / "image").mkdir(parents=True)
    (directory / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    return directory


@pytest.fixture
def programs(sandbox: Path) -> Callable[..., dict[str, str]]:
    """Puts BuildKit's programs on PATH, some of them behind a shell script; gives the environment for that."""

    def make(**scripts: str) -> dict[str, str]:
        directory = sandbox / "bin"
        directory.mkdir()
        for name in ("buildctl", "buildkitd", "runc", "rootlesskit"):
            path = directory / name
            if name in scripts:
                path.write_text(f'#!/bin/sh\n{scripts[name]}\nexec {binary(name)} "$@"\n')
                path.chmod(0o755)
            else:
                path.symlink_to(binary(name))
        return {"PATH": f"{directory}:{PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin"}

    return make


def version(name: str, number: str) -> str:
    """What a release of that version prints."""
    return f'[ "$1" != --version ] || {{ echo "{name} github.com/moby/buildkit v{number} 0123abcd"; exit; }}'


INFO = 'case "$*" in *"debug info"*) printf "BuildKit: github.com/moby/buildkit v%s 0123abcd\\n" {0}; exit;; esac'


@pytest.mark.parametrize("name", ["buildctl", "buildkitd"])
def test_an_old_program_on_path_is_named_with_the_version_that_is_needed(
    name: str, work: Path, run: ProgramRunner, programs: Callable[..., dict[str, str]]
) -> None:
    env = programs(**{name: version(name, "0.12.5")})
    result = run("build", "-o", "docker,dest=a", "-o", "oci,dest=b", ".", cwd=work, env=env).ended_with(5)
    assert f"bin/{name} on PATH is too old: BuildKit 0.12.5, needed is 0.17.0 or newer" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("argv", "needed", "why"),
    [
        (("--annotation", "a=b"), "0.11.0", "--annotation came with 0.11.0"),
        (("-o", "docker,dest=a", "-o", "oci,dest=b"), "0.13.0", "several outputs of one build came with 0.13.0"),
        (("--check",), "0.14.0", "checks of the Dockerfile (--check) came with 0.14.0"),
        (("--provenance", "true", "--progress", "rawjson"), "0.13.0", "attestations (--provenance, --sbom) came with"),
    ],
)
def test_an_old_daemon_elsewhere_is_named_with_what_the_build_asks_of_it(
    argv: tuple[str, ...],
    needed: str,
    why: str,
    work: Path,
    run: ProgramRunner,
    programs: Callable[..., dict[str, str]],
) -> None:
    env = programs(buildctl=INFO.format("0.10.6"))
    result = run("build", "--addr", "tcp://127.0.0.1:9", *argv, ".", cwd=work, env=env).ended_with(5)
    said = f"the BuildKit at tcp://127.0.0.1:9 is too old: BuildKit 0.10.6, needed is {needed} or newer"
    assert said in result.stderr
    assert why in result.stderr
    assert result.stdout == ""


def test_an_old_client_for_a_daemon_elsewhere_is_named_too(
    work: Path, run: ProgramRunner, programs: Callable[..., dict[str, str]]
) -> None:
    env = programs(buildctl=f"{version('buildctl', '0.10.6')}\n{INFO.format('0.32.2')}")
    result = run("build", "--addr", "tcp://127.0.0.1:9", "--annotation", "a=b", ".", cwd=work, env=env).ended_with(5)
    assert "bin/buildctl on PATH is too old: BuildKit 0.10.6, needed is 0.11.0 or newer" in result.stderr


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("oci,tar=false,dest=lay", "digest,dest=lay/digest"),
        ("oci,tar=false,dest=other/../lay", "digest,dest=lay/./digest"),
        ("rootfs,dest=.", "docker,dest=rootfs/image.tar"),
        ("docker,dest=a", "digest,dest=a/b/c"),
        ("oci,tar=false,dest=image/lay", "digest,dest=link/lay/digest"),
    ],
)
def test_destinations_in_each_other_are_refused_before_the_build(
    outer: str, inner: str, work: Path, run: ProgramRunner
) -> None:
    (work / "link").symlink_to("image")
    for first, second in ((outer, inner), (inner, outer)):
        result = run("build", "-o", first, "-o", second, ".", cwd=work).ended_with(2)
        assert "inside of another's" in result.stderr
        assert result.stdout == ""
    assert sorted(path.name for path in work.iterdir()) == ["Dockerfile", "image", "link"]


def test_a_target_whose_directory_is_anothers_by_a_link_is_refused(work: Path, run: ProgramRunner) -> None:
    (work / "Dockerfile").write_text("FROM scratch AS two\nFROM scratch\n")
    (work / "two").symlink_to("image")
    result = run("build", ".", env={"ADDITIONAL_TARGETS": "two"}, cwd=work).ended_with(2)
    assert f"two outputs write {work}/image/image.tar" in result.stderr
    assert not list((work / "image").iterdir())


@pytest.mark.parametrize(
    ("step", "argv", "entitlement"),
    [
        ("RUN --security=insecure", (), "security.insecure"),
        ("RUN --network=host", (), "network.host"),
    ],
)
@pytest.mark.parametrize("progress", ["plain", "quiet"])
def test_a_missing_entitlement_is_named_with_the_flag_that_gives_it(
    step: str, argv: tuple[str, ...], entitlement: str, progress: str, work: Path, run: ProgramRunner
) -> None:
    (work / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (work / "busybox").chmod(0o755)
    (work / "Dockerfile").write_text(f'FROM scratch\nCOPY busybox /b\n{step} ["/b", "true"]\n')
    result = run("build", "--progress", progress, *argv, ".", cwd=work).ended_with(1)
    assert f"error: the build may not use {entitlement}\n" in result.stderr
    assert f"if you trust this Dockerfile: build --allow {entitlement}" in result.stderr


def test_the_size_of_the_engines_cache_is_the_engines_configuration(
    work: Path, run: ProgramRunner, sandbox: Path, programs: Callable[..., dict[str, str]]
) -> None:
    seen = sandbox / "seen.toml"
    env = programs(buildkitd=f'for a; do case "$a" in --config=*) cp "${{a#--config=}}" {seen};; esac; done')
    run("build", ".", cwd=work, env=env).succeeded()
    assert '"maxUsedSpace" = "20000000000"' in seen.read_text()
    for argv, more in ((("--max-used-space", "3GiB"), {}), ((), {"OCIBUILD_MAX_USED_SPACE": "3221225472"})):
        run("build", *argv, ".", cwd=work, env={**env, **more}).succeeded()
        assert '"maxUsedSpace" = "3221225472"' in seen.read_text()
    (work / "named.yml").write_text("max-used-space: 1GB\n")
    run("build", "--config", "named.yml", ".", cwd=work, env=env).succeeded()
    assert '"maxUsedSpace" = "1000000000"' in seen.read_text()
    assert '"reservedSpace" = "1000000000"' in seen.read_text()
    both = {**env, "BUILDKIT_EXTRA_CONFIG": '[worker.oci]\nmaxUsedSpace = "5GB"\n'}
    result = run("build", "--max-used-space", "1GB", ".", cwd=work, env=both).ended_with(2)
    assert "--max-used-space and BUILDKIT_EXTRA_CONFIG both set 'maxUsedSpace'" in result.stderr
    elsewhere = ("--addr", "tcp://127.0.0.1:9", "--max-used-space", "1GB")
    result = run("build", *elsewhere, ".", cwd=work).ended_with(2)
    assert "cannot be configured from here\n  why    asked for: --max-used-space" in result.stderr
    result = run("build", "--max-used-space", "much", ".", cwd=work).ended_with(2)
    assert "--max-used-space='much': not a size: use 512MB, 10GB or 2GiB" in result.stderr


@pytest.mark.parametrize("progress", ["plain", "rawjson", "quiet"])
@pytest.mark.parametrize(
    ("lines", "why"),
    [("COPY nothing-there /", '"/nothing-there": not found'), ("NOTHING here", "unknown instruction: NOTHING")],
    ids=["step", "syntax"],
)
def test_a_failure_is_told_once(lines: str, why: str, progress: str, work: Path, run: ProgramRunner) -> None:
    """By us: BuildKit's client has the same for its last word, which is no JSON either."""
    (work / "Dockerfile").write_text(f"FROM scratch\n{lines}\n")
    result = run("build", "--progress", progress, ".", cwd=work).ended_with(1)
    assert "error: failed to solve" not in result.stdout
    assert result.stderr.count(why) == 1
    assert result.stderr.count("error: the build failed") == 1
    assert f">>> {lines}" in (result.stderr if progress == "rawjson" else result.stdout)


@pytest.mark.parametrize("more", [(), ("--check",)])
def test_rawjson_is_json_also_of_a_failure(more: tuple[str, ...], work: Path, run: ProgramRunner) -> None:
    (work / "Dockerfile").write_text("FROM scratch\ncopy nothing-there /\n")
    result = run("build", "--progress", "rawjson", *more, ".", cwd=work).ended_with(1)
    assert all(isinstance(json.loads(line), dict) for line in result.stdout.splitlines())
    assert ">>> copy nothing-there /" in result.stderr


def test_a_secret_in_what_buildkit_says_of_a_failure_is_masked(work: Path, run: ProgramRunner) -> None:
    """A careless Dockerfile's, which BuildKit itself writes down; so it is none of those that are looked for."""
    secret = "hunter2-hunter2"
    (work / "Dockerfile").write_text("FROM scratch\nARG WHAT\nCOPY $WHAT /\n")
    result = run("build", ".", cwd=work, env={"BUILD_ARG_WHAT": secret, "BUILDKIT_SECRETTEXT_s": secret})
    said = result.ended_with(1).stderr
    assert "error: the build failed at '[1/1] COPY ******** /'\n" in said
    assert '"/********": not found' in said
    assert secret not in result.stdout


def test_a_secret_from_a_pipe_is_refused(work: Path, run: ProgramRunner) -> None:
    os.mkfifo(work / "pipe")
    for more in ((), ("--print",)):
        result = run("build", *more, "--secret", "id=x,src=pipe", ".", cwd=work).ended_with(2)
        assert "--secret: the secret's file pipe is a pipe" in result.stderr


@pytest.mark.parametrize("param", ["BUILDKIT_SECRET_HOME", "IMAGE_ARG_base"])
def test_a_path_that_is_set_to_nothing_is_named(param: str, work: Path, run: ProgramRunner) -> None:
    (work / "HOME").write_text("another file")
    assert f"error: {param}: it is empty" in run("build", env={param: ""}, cwd=work).ended_with(2).stderr


def test_a_dockerfile_is_taken_apart_as_go_does(work: Path, run: ProgramRunner) -> None:
    (work / "d").mkdir()
    (work / "d" / "d").write_text("FROM scratch\nCOPY Dockerfile /\n")
    run("build", env={"DOCKERFILE": "d/"}, cwd=work).succeeded()
    assert "there is no d/d/d" in run("build", env={"DOCKERFILE": "d/d/"}, cwd=work).ended_with(2).stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("auth: {ekr: {region: x}}", "auth.ekr: there is no provider 'ekr'\n  do     did you mean 'ecr'?"),
        ("auth: {ecr: {regoin: x}}", "auth.ecr: unknown option 'regoin'; did you mean 'region'?"),
        ("exporters: {dokcer: {dest: x}}", "exporters.dokcer: there is no exporter 'dokcer'"),
        ("plugins: {alow: [ecr]}", "'alow' is neither; did you mean 'allow'?"),
        ("{auth: {not-installed-here: {a: b}}}", ""),
    ],
)
def test_a_misspelt_name_in_a_file_of_settings_is_told(text: str, says: str, work: Path, run: ProgramRunner) -> None:
    (work / "own.yml").write_text(text)
    result = run("build", "--config", "own.yml", "--print", ".", cwd=work).ended_with(2 if says else 0)
    assert says in result.stderr


def test_a_digest_that_a_layout_does_not_hold_is_refused(work: Path, run: ProgramRunner) -> None:
    run("build", "-o", "oci,tar=false,dest=layout", ".", cwd=work).succeeded()
    digest = f"sha256:{'0' * 64}"
    result = run("build", "--build-context", f"base=oci-layout://layout@{digest}", ".", cwd=work).ended_with(2)
    assert f"layout has no {digest}" in result.stderr
