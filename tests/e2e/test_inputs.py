"""What a build may use besides its context: each input with and without it, seen in what is built."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.emulation import can_run
from ocibuild_testkit.registry import own_platform
from support.images import Image, read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ocibuild_testkit.leaks import LeakWatcher
    from support.hub import DockerHub
    from support.programs import ProgramRunner, Run

pytestmark = pytest.mark.e2e

BASE = "FROM busybox\n"


@pytest.fixture
def work(sandbox: Path) -> Path:
    """A directory with `image/`."""
    directory = sandbox / "work"
    (directory / "image").mkdir(parents=True)
    return directory


class Builder:
    """Builds a Dockerfile on the stand-in for docker.io and reads the image."""

    def __init__(self, run: ProgramRunner, hub: DockerHub, work: Path) -> None:
        self._run = run
        self._env = {"BUILDKIT_EXTRA_CONFIG": hub.buildkitd_toml()}
        self.work = work
        self.secrets = work.parent / "secrets"

    def run(self, dockerfile: str, *argv: str, env: Mapping[str, str] | None = None, stdin: str = "") -> Run:
        (self.work / "Dockerfile").write_text(dockerfile)
        return self._run(
            "build",
            *argv,
            env={**self._env, **(env or {})},
            cwd=self.work,
            stdin=stdin,
            may_hold_secrets=[self.secrets],
        )

    def __call__(self, dockerfile: str, *argv: str, env: Mapping[str, str] | None = None) -> Image:
        self.run(dockerfile, *argv, env=env).succeeded()
        return read_image(self.work / "image" / "image.tar")


@pytest.fixture
def build(run: ProgramRunner, docker_hub: DockerHub, work: Path) -> Builder:
    return Builder(run, docker_hub, work)


WITH_SECRET = f"{BASE}RUN --mount=type=secret,id=it cat /run/secrets/it 2>/dev/null | sha256sum | cut -c 1-64 > /seen\n"


def hashed(text: str) -> bytes:
    return hashlib.sha256(text.encode()).hexdigest().encode() + b"\n"


def test_without_a_secret_a_step_sees_none(build: Builder) -> None:
    assert build(WITH_SECRET).files["seen"] == hashed("")


@pytest.mark.parametrize("way", ["param", "src", "text", "env"])
def test_a_secret_reaches_the_step_and_nothing_else(way: str, build: Builder, fresh_secret: Callable[[], str]) -> None:
    secret = fresh_secret()
    build.secrets.mkdir()
    file = build.secrets / "a,b"
    file.write_text(secret)
    argv, env = {
        "param": ((), {"BUILDKIT_SECRET_it": str(file)}),
        "src": (("--secret", f'id=it,"src={file}"'), {}),
        "text": ((), {"BUILDKIT_SECRETTEXT_it": secret}),
        "env": (("--secret", "id=it,env=TOKEN"), {"TOKEN": secret}),
    }[way]
    # The runner searches output, arguments and files for it.
    assert build(WITH_SECRET, *argv, env=env).files["seen"] == hashed(secret)


def test_a_secret_that_a_step_prints_is_masked(build: Builder, fresh_secret: Callable[[], str]) -> None:
    build.secrets.mkdir()
    # The engine's own history keeps what a step printed.
    env = {"BUILDKIT_SECRETTEXT_it": fresh_secret(), "OCIBUILD_STATE_DIR": str(build.secrets)}
    dockerfile = f"{BASE}RUN --mount=type=secret,id=it cat /run/secrets/it\n"
    assert "***" in build.run(dockerfile, env=env).succeeded().stdout


@pytest.mark.parametrize("progress", ["plain", "rawjson"])
def test_a_secret_that_a_step_prints_in_two_goes_is_masked(
    build: Builder, leak_watcher: LeakWatcher, fresh_secret: Callable[[], str], progress: str
) -> None:
    secret = fresh_secret()
    halves = (secret[:24], secret[24:])
    for half in halves:
        leak_watcher.register(half, "half of a secret")
    build.secrets.mkdir()
    env = {"BUILDKIT_SECRETTEXT_it": secret, "OCIBUILD_STATE_DIR": str(build.secrets)}
    # BuildKit makes a record of each read, and gathers for 150 ms what was read.
    prints = "head -c 24 /run/secrets/it; sleep 0.5; tail -c 24 /run/secrets/it; echo; echo the end"
    dockerfile = f"{BASE}RUN --mount=type=secret,id=it {prints}\n"

    said = build.run(dockerfile, "--progress", progress, ".", env=env).succeeded().stdout

    if progress == "plain":
        assert "***" in said
        return
    logs = [log for line in said.splitlines() for log in json.loads(line).get("logs") or ()]
    printed = b"".join(base64.b64decode(log["data"]) for log in logs).decode()
    leak_watcher.check(printed, "what the step printed")
    assert "***" in printed
    assert "the end" in printed


def test_a_secret_text_is_never_a_file_wherever_its_name_points(
    build: Builder, fresh_secret: Callable[[], str]
) -> None:
    build.run(BASE, env={"BUILDKIT_SECRETTEXT_../../x": fresh_secret()}).succeeded()
    assert list(build.work.parent.rglob("x")) == []


@pytest.mark.parametrize(
    ("argv", "env", "says"),
    [
        (
            (),
            {"BUILDKIT_SECRET_it": "missing"},
            "BUILDKIT_SECRET_it: cannot read the secret's file\n  why    No such file or directory; the path is not",
        ),
        (("--secret", "id=it,env=UNSET"), {}, "the environment variable UNSET is not set"),
        (("--secret", "id=it,env=PASS"), {"PASS": "u:p"}, "--secret id=it: PASS is handed to no other program"),
        (("--secret", "src=x"), {}, "--secret: not a secret"),
        (("--secret", "id=it"), {}, "--secret id=it: there is neither a variable nor a file it\n  do     say where"),
        (("--secret", "id=it,src=large"), {}, "the secret's file large is too large\n  why    BuildKit takes 500 KiB"),
        (("--cache-to", "type=local,dest=large"), {}, "large is no directory\n  why    a local cache is one"),
        (("--cache-from", "type=local,src=large"), {}, "large is no directory\n  why    a local cache is one"),
        (("--progress", "tty"), {}, "--progress tty: there is no terminal"),
        ((), {"BUILDKIT_PROGRESS": "tty"}, "BUILDKIT_PROGRESS tty: there is no terminal"),
        (("--build-context", "é=."), {}, "--build-context 'é': no stage and no image can have that name"),
        (("--build-context", "scratch=."), {}, "--build-context 'scratch': no stage and no image can have"),
        (("--build-context", "a::bogus=."), {}, "--build-context 'a::bogus': no stage and no image can have"),
        (("--platform", "bogus"), {}, "--platform 'bogus': there is no such platform"),
        (("--ssh", "default"), {}, "--ssh default: there is no agent\n  why    SSH_AUTH_SOCK is not set"),
        ((), {"BUILDKIT_SSH": "k=missing"}, "BUILDKIT_SSH k=missing: cannot read missing\n  why    No such file"),
        (("--add-host", "nothing"), {}, "--add-host 'nothing': not a host and its address"),
        (("--add-host", "a=b.example"), {}, "--add-host 'a=b.example': 'b.example' is no address"),
        (("--shm-size", "much"), {}, "--shm-size 'much': not a size"),
        (("--ulimit", "nofile"), {}, "--ulimit 'nofile': not a limit"),
        (("--ulimit", "bogus=1"), {}, "--ulimit 'bogus=1': there is no limit 'bogus'\n  do     use one of core, cpu"),
        (("--ulimit", "nofile=3:2"), {}, "--ulimit 'nofile=3:2': the soft limit is above the hard one"),
        ((), {"SOURCE_DATE_EPOCH": "9" * 20}, "9': not a number of seconds"),
        (("--allow", "everything"), {}, "--allow 'everything': no such entitlement"),
        ((), {"SOURCE_DATE_EPOCH": "today"}, "SOURCE_DATE_EPOCH 'today': not a number of seconds"),
        (("--registry-ca", "ca.pem"), {}, "--registry-ca: an item without '='"),
        (("--label", "=x"), {}, "--label: an item with nothing before its '='"),
        ((), {"LABELS": "bare"}, "LABELS: an item without '='"),
        (("--builder", "x"), {}, "there is no --builder here, as docker has it\n  do     name a BuildKit that runs"),
        (("-m", "1g"), {}, "there is no -m here, as docker has it\n  do     bound the steps"),
        (("--rm",), {}, "there is no --rm here, as docker has it\n  do     leave it out"),
        (("--call", "outline"), {}, "--call outline: there is no such call here"),
        (("--attest", "type=other"), {}, "--attest 'type=other': no type that there is"),
        (("--attest", "type=sbom", "--sbom", "true"), {}, "sbom is asked for twice"),
        (("--build-context", "a=missing"), {}, "--build-context a: 'missing' is no directory"),
        (("--image-arg", "a=Dockerfile"), {}, "--image-arg: Dockerfile is no image\n  why    it is no tar archive\n"),
        (
            ("--image-arg", "a=image"),
            {},
            "image is no image\n  why    it is a directory, and there is no OCI layout in it",
        ),
        (
            ("--file", "image"),
            {},
            "image is a directory where the Dockerfile is expected\n  do     name the file in it: --file image/Doc",
        ),
        ((), {"BUILD_ARGS": "x"}, "BUILD_ARGS: an item without '='\n  do     write NAME=VALUE"),
        (("--image-arg", "a=missing"), {}, "--image-arg: missing is no image"),
        ((), {"ADDITIONAL_TARGETS": "a,"}, "ADDITIONAL_TARGETS: an empty stage"),
        ((), {"IMAGE_PLATFORM": "linux/amd64,"}, "IMAGE_PLATFORM: an empty platform"),
        (("--file", "-"), {}, "stdin is empty"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_solved(
    argv: tuple[str, ...], env: dict[str, str], says: str, build: Builder
) -> None:
    (build.work / "large").write_bytes(bytes(500 * 1024 + 1))
    result = build.run(BASE, *argv, env=env).ended_with(2)
    assert says in result.stderr
    assert result.stdout == ""


def test_a_secret_that_is_only_named_is_a_variable_or_else_a_file(
    build: Builder, fresh_secret: Callable[[], str]
) -> None:
    asks = f"{BASE}RUN --mount=type=secret,id=it wc -c < /run/secrets/it > /seen\n"
    secret = fresh_secret()
    for written, env, seen in (("12345", {}, b"5\n"), ("1", {"it": secret}, f"{len(secret)}\n".encode())):
        (build.work / "it").write_text(written)
        assert build(asks, "--no-cache", "--secret", "id=it", env=env).files["seen"] == seen


@pytest.mark.parametrize("form", [(), ("-m", "PEM")])
def test_a_key_with_a_passphrase_is_refused(form: tuple[str, ...], build: Builder) -> None:
    key = build.work.parent / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", *form, "-N", "passphrase", "-f", str(key)], check=True)
    result = build.run(BASE, "--ssh", f"default={key}").ended_with(2)
    assert f"{key} has a passphrase\n  why    BuildKit asks nobody for it\n  do     hand the key" in result.stderr


def test_the_cache_of_github_is_passed_over_elsewhere(build: Builder) -> None:
    result = build.run(BASE, "--cache-to", "type=gha,mode=max", "--cache-from", "type=gha").succeeded()
    assert "warning: --cache-to type=gha is passed over: ACTIONS_RUNTIME_TOKEN" in result.stderr
    assert "warning: --cache-from type=gha is passed over" in result.stderr


def test_ssh_forwards_a_key(build: Builder) -> None:
    key = build.work.parent / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    # Whether a key is there is no part of what a step is remembered by, so each has a text of its own.
    step = 'RUN --mount=type=ssh,id=k if [ -S "$SSH_AUTH_SOCK" ]; then echo {0}; else echo no; fi > /seen\n'
    assert build(BASE + step.format("nobody")).files["seen"] == b"no\n"
    assert build(BASE + step.format("param"), env={"BUILDKIT_SSH": f"k={key}"}).files["seen"] == b"param\n"
    assert build(BASE + step.format("flag"), "--ssh", f"k={key}").files["seen"] == b"flag\n"


def test_a_step_without_its_key_says_how_to_forward_one(build: Builder) -> None:
    result = build.run(BASE + "RUN --mount=type=ssh,id=k,required=true true\n").ended_with(1)
    assert "do     forward it: --ssh k=FILE, or that of the agent: --ssh k" in result.stderr


@pytest.mark.parametrize("argv", [(), ("--add-host", "one.test:10.0.0.1", "--add-host", "six.test=[fd00::6]")])
def test_add_hosts(argv: tuple[str, ...], build: Builder) -> None:
    dockerfile = f"{BASE}RUN grep test /etc/hosts > /seen || true\n"
    assert build(dockerfile).files["seen"] == b""
    env = {} if argv else {"BUILDKIT_ADD_HOSTS": "one.test=10.0.0.1,six.test=fd00::6"}
    assert build(dockerfile, *argv, env=env).files["seen"].split() == [
        b"10.0.0.1",
        b"one.test",
        b"fd00::6",
        b"six.test",
    ]


def test_one_platform(build: Builder) -> None:
    assert build("FROM scratch\nCOPY Dockerfile /\n").config["architecture"] == "amd64"
    image = build("FROM scratch\nCOPY Dockerfile /\n", env={"IMAGE_PLATFORM": "linux/arm64"})
    assert image.config["architecture"] == "arm64"


def test_steps_of_a_platform_that_cannot_run_here_are_refused_before_the_solve(build: Builder) -> None:
    # The stand-in's image for the other architecture has no program: where an emulator is, the step itself fails.
    foreign = "arm64" if own_platform() == "linux/amd64" else "amd64"
    by_flag = build.run(f"{BASE}RUN true\n", "--platform", f"linux/{foreign}")
    by_stage = build.run(f"FROM --platform=linux/{foreign} busybox\nRUN true\n")
    for result in (by_flag, by_stage):
        if can_run(foreign, ""):
            result.ended_with(1)
            continue
        assert f"this machine cannot run the steps of linux/{foreign}" in result.ended_with(2).stderr
        assert result.stdout == ""


def test_a_named_context(build: Builder, sandbox: Path) -> None:
    (sandbox / "other").mkdir()
    (sandbox / "other" / "f").write_text("from the other")
    dockerfile = "FROM scratch AS other\nCOPY Dockerfile /f\nFROM scratch\nCOPY --from=other f /\n"
    assert build(dockerfile).files["f"] == dockerfile.encode()
    assert build(dockerfile, "--build-context", f"other={sandbox / 'other'}").files["f"] == b"from the other"


def test_a_named_context_that_is_an_image(build: Builder) -> None:
    dockerfile = "FROM named\nCOPY Dockerfile /\n"
    image = build(dockerfile, "--build-context", "named=docker-image://alpine:3")
    assert b"stand-in for Alpine" in image.files["etc/os-release"]


@pytest.mark.parametrize(
    ("count", "size", "says"),
    [
        (1, 300_000, "why    build-arg:A0 has 300014 bytes, and Linux takes 131072"),
        (40, 100_000, "bytes, and Linux takes a quarter of the stack's limit"),
    ],
)
def test_arguments_that_are_too_long_are_named(build: Builder, count: int, size: int, says: str) -> None:
    (build.work / "args").write_text("".join(f"A{number}={'x' * size}\n" for number in range(count)))
    result = build.run(BASE, env={"BUILD_ARGS_FILE": "args"}).ended_with(2)
    assert "are too long for BuildKit's client" in result.stderr
    assert says in result.stderr
    assert "xxx" not in result.stderr


@pytest.mark.parametrize("name", ["docker.io/library/named:latest", "library/named", "NAMED", "named::{}"])
def test_any_spelling_of_a_named_context(build: Builder, sandbox: Path, name: str) -> None:
    (sandbox / "other").mkdir()
    (sandbox / "other" / "f").write_text("from the other")
    context = f"{name.format(own_platform())}={sandbox / 'other'}"
    image = build("FROM scratch\nCOPY --from=named f /\n", "--build-context", context)
    assert image.files["f"] == b"from the other"


def test_any_spelling_of_a_named_context_that_is_an_image(build: Builder) -> None:
    context = "docker.io/library/named:latest=docker-image://alpine:3"
    image = build("FROM named\nCOPY Dockerfile /\n", "--build-context", context)
    assert b"stand-in for Alpine" in image.files["etc/os-release"]


@pytest.fixture
def base_image(build: Builder, sandbox: Path) -> Path:
    """An image archive as BuildKit writes it."""
    build("FROM scratch\nCOPY Dockerfile /base\n")
    archive = sandbox / "base.tar"
    (build.work / "image" / "image.tar").rename(archive)
    return archive


def layout_of(archive: Path, directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    subprocess.run(["tar", "-xf", archive, "-C", directory], check=True)
    return directory


def classic_archive(layout: Path, archive: Path) -> Path:
    """What `docker save` wrote for years: uncompressed layers beside a list of images; the second layer is a link."""
    import gzip

    index = json.loads((layout / "index.json").read_bytes())

    def blob(digest: str) -> bytes:
        return (layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()

    manifest = json.loads(blob(index["manifests"][0]["digest"]))
    tree = archive.parent / "tree"
    (tree / "a").mkdir(parents=True)
    (tree / "b").mkdir()
    (tree / "a" / "layer.tar").write_bytes(gzip.decompress(blob(manifest["layers"][0]["digest"])))
    (tree / "b" / "layer.tar").symlink_to("../a/layer.tar")
    (tree / "config.json").write_bytes(blob(manifest["config"]["digest"]))
    listed = [{"Config": "config.json", "RepoTags": ["x:1"], "Layers": ["b/layer.tar"]}]
    (tree / "manifest.json").write_text(json.dumps(listed))
    with tarfile.open(archive, "w") as tar:
        tar.add(tree, arcname=".")
    return archive


FROM_ARG = "ARG Base_Image=busybox\nFROM ${Base_Image}\nCOPY Dockerfile /mine\n"


@pytest.mark.parametrize("form", ["archive", "classic", "layout"])
def test_an_image_from_a_file(form: str, build: Builder, base_image: Path, sandbox: Path) -> None:
    base = read_image(base_image)
    path = base_image
    if form != "archive":
        path = layout_of(base_image, sandbox / "layout")
    if form == "classic":
        path = classic_archive(path, sandbox / "classic.tar")
    before = sorted(path.rglob("*")) if path.is_dir() else []
    without = build(FROM_ARG)
    assert without.layers[: len(base.layers)] != base.layers
    image = build(FROM_ARG, env={"IMAGE_ARG_Base_Image": str(path), "BUILD_ARG_Base_Image": "missing.invalid/x"})
    assert image.layers[:-1] == base.layers
    assert (sorted(path.rglob("*")) if path.is_dir() else []) == before


def test_an_image_of_several_platforms_from_a_layout(build: Builder, sandbox: Path) -> None:
    layout = sandbox / "layout"
    manifests = []
    for architecture in ("arm64", "amd64"):
        build(f"FROM scratch\nCOPY Dockerfile /{architecture}\n", "--platform", f"linux/{architecture}")
        layout_of(build.work / "image" / "image.tar", layout)
        manifests += json.loads((layout / "index.json").read_bytes())["manifests"]
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))
    image = build(FROM_ARG, "--image-arg", f"Base_Image={layout}")
    assert sorted(image.files) == ["amd64", "mine"]


def test_annotations(build: Builder) -> None:
    assert "annotations" not in build(BASE).manifest
    assert build(BASE, "--annotation", "a=1,2").manifest["annotations"]["a"] == "1,2"


def test_no_cache_filter_runs_one_stage_again(build: Builder) -> None:
    dockerfile = (
        f"{BASE[:-1]} AS one\nRUN cat /proc/sys/kernel/random/uuid > /a\n"
        "FROM busybox AS two\nRUN cat /proc/sys/kernel/random/uuid > /b\n"
        "FROM scratch\nCOPY --from=one a /\nCOPY --from=two b /\n"
    )
    first, second = build(dockerfile), build(dockerfile)
    assert first.files == second.files
    third = build(dockerfile, "--no-cache-filter", "two")
    assert third.files["a"] == first.files["a"]
    assert third.files["b"] != first.files["b"]


def test_limits_of_steps(build: Builder) -> None:
    dockerfile = f"{BASE}RUN ulimit -n > /n && df -k /dev/shm | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2 > /shm\n"
    plain = build(dockerfile)
    limited = build(dockerfile, "--ulimit", "nofile=777:777", "--shm-size", "16m")
    assert (limited.files["n"], limited.files["shm"]) == (b"777\n", b"16384\n")
    assert (plain.files["n"], plain.files["shm"]) != (b"777\n", b"16384\n")


def test_a_cgroup_parent(build: Builder) -> None:
    dockerfile = f"{BASE}RUN cat /proc/self/cgroup > /seen\n"
    name = f"test-{os.getpid()}"
    assert name.encode() not in build(dockerfile).files["seen"]
    if os.geteuid() == 0:
        assert f"/{name}/deep/".encode() in build(dockerfile, "--cgroup-parent", f"/{name}/deep").files["seen"]
        assert _groups(name) == []
    else:
        result = build.run(dockerfile, "--cgroup-parent", f"/{name}").succeeded()
        assert "--cgroup-parent has no effect" in result.stderr


def test_a_cgroup_parent_that_was_there_stays(build: Builder) -> None:
    if os.geteuid() != 0:
        return
    name = f"test-{os.getpid()}"
    place = Path("/sys/fs/cgroup/pids") if Path("/sys/fs/cgroup/pids").is_dir() else Path("/sys/fs/cgroup")
    (place / name).mkdir()
    try:
        build(f"{BASE}RUN cat /proc/self/cgroup > /seen\n", "--cgroup-parent", name)
        assert _groups(name) == [place / name]
        assert not (place / name / "buildkit").exists()
    finally:
        (place / name).rmdir()


def _groups(name: str) -> list[Path]:
    return [*Path("/sys/fs/cgroup").glob(name), *Path("/sys/fs/cgroup").glob(f"*/{name}")]


def test_networks_of_steps(build: Builder) -> None:
    dockerfile = f"{BASE}RUN cut -s -d: -f1 /proc/net/dev > /seen\n"
    here = [line.partition(":")[0] for line in Path("/proc/net/dev").read_text().splitlines() if ":" in line]
    assert build(dockerfile, "--network", "none").files["seen"].split() == [b"lo"]
    seen = build(dockerfile, "--network", "host").files["seen"].decode().split()
    assert sorted(seen) == sorted(map(str.strip, here))


def test_an_entitlement_must_be_given(build: Builder) -> None:
    dockerfile = f"{BASE}RUN --security=insecure grep CapEff /proc/self/status > /seen\n"
    assert "the build may not use security.insecure" in build.run(dockerfile).ended_with(1).stderr
    assert "ff" in build(dockerfile, "--allow", "security.insecure").files["seen"].decode()


def layer_times(archive: Path) -> set[int]:
    with tarfile.open(archive) as tar:
        (name,) = json.load(tar.extractfile("manifest.json") or io.BytesIO())[0]["Layers"]
        with tarfile.open(fileobj=tar.extractfile(name)) as layer:
            return {int(member.mtime) for member in layer}


def test_a_date_for_every_timestamp(build: Builder) -> None:
    dockerfile = "FROM scratch\nCOPY Dockerfile /\n"
    assert build(dockerfile).config["created"][:4] != "2001"
    assert build(dockerfile, env={"SOURCE_DATE_EPOCH": "1000000000"}).config["created"] == "2001-09-09T01:46:40Z"
    assert layer_times(build.work / "image" / "image.tar") == {1000000000}


def test_a_dockerfile_from_stdin(build: Builder) -> None:
    (build.work / "f").write_text("of the context")
    build.run("FROM missing.invalid/x\n", "--file", "-", ".", stdin="FROM scratch\nCOPY f /\n").succeeded()
    assert read_image(build.work / "image" / "image.tar").files == {"f": b"of the context"}


def test_check_says_what_is_wrong_and_builds_nothing(build: Builder) -> None:
    result = build.run("FROM scratch as x\nCOPY Dockerfile /\n", "--check").ended_with(1)
    assert "FromAsCasing" in result.stdout
    assert "the Dockerfile has 1 warning" in result.stderr
    assert "no warnings" in build.run("FROM scratch AS x\nCOPY Dockerfile /\n", "--check").succeeded().stderr
    assert list((build.work / "image").iterdir()) == []


@pytest.mark.parametrize(
    ("dockerfile", "arguments", "why"),
    [
        ("FROMM scratch\n", (), "unknown instruction: FROMM"),
        ("FROM scratch\nCOPY --bogus=1 Dockerfile /\n", (), "unknown flag: --bogus"),
        ("FROM scratch\nCOPY --from=9 Dockerfile /\n", (), "invalid stage index 9"),
        ("FROM scratch AS x\nCOPY Dockerfile /\n", ("--target", "y"), 'target stage "y" could not be found'),
    ],
)
def test_check_refuses_what_cannot_be_built(
    build: Builder, dockerfile: str, arguments: tuple[str, ...], why: str
) -> None:
    result = build.run(dockerfile, "--check", *arguments).ended_with(1)
    assert why in result.stderr
    assert "no warnings" not in result.stderr


@pytest.fixture
def git_url(sandbox: Path) -> Iterator[str]:
    """A repository behind a git daemon on loopback."""
    import socket
    import time

    tree = sandbox / "served" / "repo.git"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /from-git\n")
    for command in (
        ["init", "-q", "-b", "main", "."],
        ["add", "."],
        ["-c", "user.name=x", "-c", "user.email=x@x.test", "commit", "-q", "-m", "x"],
    ):
        subprocess.run(["git", *command], cwd=tree, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        ["git", "daemon", "--export-all", f"--base-path={tree.parent}", "--listen=127.0.0.1", f"--port={port}"]
    ) as daemon:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"git://127.0.0.1:{port}/repo.git#main:sub"
        daemon.terminate()


def test_a_context_in_git(build: Builder, git_url: str) -> None:
    assert sorted(build(BASE, git_url).files) == ["from-git"]


def test_a_context_in_an_archive_on_the_web(build: Builder, sandbox: Path) -> None:
    (sandbox / "served").mkdir()
    (sandbox / "served" / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /from-web\n")
    with tarfile.open(sandbox / "served" / "context.tgz", "w:gz") as tar:
        tar.add(sandbox / "served" / "Dockerfile", "Dockerfile")
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(sandbox / "served"))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        image = build(BASE, f"http://127.0.0.1:{server.server_port}/context.tgz")
        server.shutdown()
    assert sorted(image.files) == ["from-web"]


TARGETS = f"{BASE[:-1]} AS first\nLABEL of=first\nRUN grep test /etc/hosts > /seen || true\n{BASE[:-1]} AS second\n"


def test_additional_targets_have_outputs_where_their_directory_exists(build: Builder) -> None:
    (build.work / "first").mkdir()
    env = {"ADDITIONAL_TARGETS": "first", "BUILDKIT_ADD_HOSTS": "one.test=10.0.0.1"}
    last = build(TARGETS, env=env)
    first = read_image(build.work / "first" / "image.tar")
    assert first.config["config"]["Labels"] == {"of": "first"}
    assert b"one.test" in first.files["seen"]
    assert "Labels" not in last.config["config"]
    for image, directory in ((first, "first"), (last, "image")):
        assert (build.work / directory / "digest").read_text() == image.config_digest


def test_an_additional_target_without_a_directory_is_built_and_not_kept(build: Builder) -> None:
    result = build.run(TARGETS, env={"ADDITIONAL_TARGETS": "first", "TARGET": "second"}).succeeded()
    assert "[first " in result.stdout
    assert sorted(path.name for path in build.work.iterdir()) == ["Dockerfile", "image"]


def test_a_failed_target_leaves_the_outputs_of_all_as_they_were(build: Builder) -> None:
    (build.work / "first").mkdir()
    build.run(f"{TARGETS}RUN exit 7\n", env={"ADDITIONAL_TARGETS": "first"}).ended_with(1)
    assert list((build.work / "first").iterdir()) == []


def test_two_targets_that_write_one_path_are_refused(build: Builder) -> None:
    result = build.run("FROM scratch AS image\n", env={"ADDITIONAL_TARGETS": "image"}).ended_with(2)
    assert "two outputs write" in result.stderr
