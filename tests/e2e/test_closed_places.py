"""Places that this user may not look into, as another user's earlier build or login leaves them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.programs import PROGRAMS, ProgramRunner, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.users import OrdinaryUser

    Build = Callable[..., Run]

pytestmark = pytest.mark.e2e


@pytest.fixture
def work(sandbox: Path, ordinary_user: OrdinaryUser) -> Path:
    directory = sandbox / "work"
    for name in ("image", "cache"):
        (directory / name).mkdir(parents=True)
    (directory / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    sandbox.chmod(0o755)
    ordinary_user.own(directory)
    return directory


@pytest.fixture
def close() -> Iterator[Callable[[Path], Path]]:
    """Makes a directory with a file in it that nobody but root can look into."""
    closed: list[Path] = []

    def make(directory: Path) -> Path:
        directory.mkdir(exist_ok=True)
        (directory / "file").touch()
        directory.chmod(0)
        closed.append(directory)
        return directory

    yield make
    for directory in closed:
        directory.chmod(0o755)


@pytest.fixture
def build(work: Path, run: ProgramRunner, ordinary_user: OrdinaryUser) -> Build:
    def build(*argv: str, env: dict[str, str] | None = None) -> Run:
        state = ("--state-dir", str(work / "state"))
        return run("build", *state, *argv, cwd=work, env=env, user=ordinary_user)

    return build


@pytest.mark.parametrize(
    ("argv", "summary"),
    [
        (["{}/x"], "the argument CONTEXT '{}/x' is not a directory"),
        (["-f", "{}/file", "."], "there is no {}/file"),
        (["--registry-ca", "r.example={}/file", "."], "--registry-ca r.example: there is no file {}/file"),
        (["--addr", "tcp://127.0.0.1:1", "--tlscacert", "{}/file", "."], "--tlscacert: there is no file {}/file"),
        (["--metadata-file", "{}/m.json", "."], "cannot write {}/m.json"),
        (["-o", "docker,dest={}/a.tar", "."], "cannot write {}/a.tar"),
        (["-o", "local,dest={}/tree", "."], "cannot write {}/tree"),
        (["--config", "{}/file", "."], "cannot read {}/file"),
        (["--state-dir", "{}/state", "."], "the engine's state directory {}/state cannot be used"),
        (["--build-context", "n=oci-layout://{}/x", "."], "--build-context n: '{}/x' is no OCI layout"),
    ],
)
def test_a_place_that_is_named_is_said_to_be_closed(
    argv: list[str], summary: str, work: Path, close: Callable[[Path], Path], build: Build
) -> None:
    closed = close(work.parent / "closed")
    result = build(*(word.format(closed) for word in argv))
    assert result.code in {2, 5, 6}, result.stderr
    assert f"error: {summary.format(closed)}\n  why    Permission denied\n" in result.stderr


@pytest.mark.parametrize(
    ("argv", "code", "summary"),
    [
        ((), 0, "nothing is kept, because no output was chosen"),
        (("-o", "docker,dest=x.tar"), 6, "cannot write"),
        (("-f", "Dockerfile"), 2, "there is no Dockerfile"),
        (("--secret", "id=x,src=y"), 2, "cannot read the secret's file y"),
        (("--ssh", "k=y"), 2, "--ssh k=y: cannot read y"),
        (("--build-context", "x=y"), 2, "--build-context x: 'y' is no directory"),
        (("--image-arg", "x=y"), 2, "--image-arg: y is no image"),
    ],
)
def test_in_a_directory_that_is_closed_only_what_is_named_there_is_missing(
    argv: tuple[str, ...], code: int, summary: str, work: Path, run: ProgramRunner, ordinary_user: OrdinaryUser
) -> None:
    """As with `sudo -u somebody build …` in root's own directory."""
    here = work / "here"
    here.mkdir()
    ordinary_user.own(work)
    words = ["build", "--state-dir", str(work / "state"), *argv, str(work)]
    script = f'cd {here} && chmod 0 . && exec "$@"'
    result = run("sh", "-c", script, "sh", *words, cwd=work, user=ordinary_user)
    here.chmod(0o755)
    assert summary in result.ended_with(code).stderr
    assert ("  why    Permission denied\n" in result.stderr) == (code != 0)


@pytest.mark.parametrize("is_above_his", [False, True])
@pytest.mark.parametrize("place", ["image", "cache", "cache/mounts"])
def test_what_another_users_build_left_is_an_error_before_the_build(
    place: str,
    *,
    is_above_his: bool,
    work: Path,
    close: Callable[[Path], Path],
    build: Build,
    ordinary_user: OrdinaryUser,
) -> None:
    if is_above_his:  # what is made for the outputs lies there, then
        ordinary_user.own(work.parent)
    (work / "Dockerfile").write_text("FROM scratch\nRUN --mount=type=cache,target=/c true\n")
    close(work / place)
    result = build("--cache-mounts", ".").ended_with(6)
    assert f"error: cannot write {'' if place == 'image' else 'into '}{work / place}" in result.stderr
    assert "  why    Permission denied\n  do " in result.stderr
    assert "#1 " not in result.stdout


def test_directories_on_path_and_of_another_users_podman_are_passed_over(
    work: Path, close: Callable[[Path], Path], build: Build
) -> None:
    closed = close(work.parent / "closed")
    result = build(".", env={"PATH": f"{closed}:{PROGRAMS}:/usr/bin:/bin", "XDG_RUNTIME_DIR": ""}).succeeded()
    assert "ignored" not in result.stderr


def test_a_home_that_is_closed_costs_its_settings_and_a_word_of_them(
    work: Path, close: Callable[[Path], Path], build: Build, run: ProgramRunner, ordinary_user: OrdinaryUser
) -> None:
    closed = close(work.parent / "closed")
    ignored = f"the docker config {closed}/.docker/config.json is ignored: Permission denied"
    assert f"warning: {ignored}" in build(".", env={"HOME": str(closed)}).succeeded().stderr

    def from_there(*argv: str, stdin: str = "") -> Run:
        return run(*argv, stdin=stdin, cwd=work, env={"HOME": str(closed)}, user=ordinary_user)

    helper = from_there("docker-credential-ocibuild", "get", stdin="r.example")
    assert helper.ended_with(1).stdout.strip() == "credentials not found in native keychain"
    assert ignored in helper.stderr
    from_there("ocibuild", "plugins").succeeded()
