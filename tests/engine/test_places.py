"""Where the engine puts its sockets and its state."""

import contextlib
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from ocibuild_core.engine import runtime
from ocibuild_core.engine.lease import Lease
from ocibuild_core.engine.runtime import make_runtime_directory
from ocibuild_core.engine.state import State, _places, take_state
from ocibuild_core.errors import EngineError

UID = os.geteuid()
OTHER = 4_000_000_000
"""A user whom nobody has: nothing of root's or of ours is his."""
NOWHERE = Path("/nonexistent/scratch")


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s")


def released(lease: Lease) -> Path:
    os.close(lease.lock)
    return lease.path


def state(env: dict[str, str], chosen: Path | None = None, *, uid: int = UID, scratch: Path = NOWHERE) -> State:
    return take_state(chosen, env, uid, scratch=scratch)


def runtime_directory(env: dict[str, str], *, run: Path = NOWHERE, for_programs: bool = False) -> Path:
    return released(make_runtime_directory(env, UID, run=run, for_programs=for_programs))


def foreign(directory: Path) -> Path:
    """The directory given to another user; for one who cannot give, a directory that is root's."""
    if UID:
        return Path("/")
    os.chown(directory, OTHER, OTHER)
    return directory


def test_sockets_go_below_the_users_runtime_directory(short: Path) -> None:
    path = runtime_directory({"XDG_RUNTIME_DIR": str(short)})
    assert path.parent == short / "ocibuild"
    assert path.stat().st_mode & 0o777 == 0o700


def test_without_the_variable_the_usual_directory_is_found(short: Path) -> None:
    (short / "user" / str(UID)).mkdir(parents=True)
    assert runtime_directory({}, run=short).parent in {short / "ocibuild", short / "user" / str(UID) / "ocibuild"}


def test_roots_own_place_goes_before_the_one_of_who_called_sudo() -> None:
    places = runtime._parents({"XDG_RUNTIME_DIR": "/run/user/1000"}, 0, Path("/run"))
    assert next(places) == Path("/run/ocibuild")


def test_another_users_runtime_directory_is_passed_over(short: Path) -> None:
    (short / "theirs").mkdir()
    env = {"XDG_RUNTIME_DIR": str(foreign(short / "theirs")), "TMPDIR": str(short)}
    assert runtime_directory(env).parent == short / f"ocibuild-{UID}"


def test_a_place_too_deep_for_sockets_is_passed_over(short: Path) -> None:
    deep = short / ("d" * 70)
    deep.mkdir()
    path = runtime_directory({"XDG_RUNTIME_DIR": str(deep), "TMPDIR": str(short)})
    assert path.parent.parent == short
    assert len(str(path / "rootlesskit" / "api.sock")) <= 107


def test_a_place_that_others_may_enter_is_not_used(short: Path) -> None:
    trap = short / f"ocibuild-{UID}"
    trap.mkdir()
    trap.chmod(0o777)
    path = runtime_directory({"TMPDIR": str(short)})
    assert path.parent != trap
    path.joinpath("lock").unlink()
    path.rmdir()
    with contextlib.suppress(OSError):  # others may be using it
        path.parent.rmdir()


def test_no_place_for_sockets_is_an_error_that_lists_them(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (short / "file").touch()
    places = [short / "file" / "a", Path("/" + "x" * 90)]
    monkeypatch.setattr(runtime, "_parents", lambda *_: iter(places))
    with pytest.raises(EngineError) as caught:
        runtime_directory({})
    assert f"{short}/file/a (Not a directory)" in str(caught.value)
    assert "(too long for a socket's path)" in str(caught.value)
    assert "TMPDIR" in caught.value.do


def test_programs_are_not_put_where_nothing_may_be_run(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def statvfs(path: Path) -> SimpleNamespace:
        return SimpleNamespace(f_flag=os.ST_NOEXEC if path == short / "noexec" else 0)

    (short / "noexec").mkdir()
    monkeypatch.setattr(os, "statvfs", statvfs)
    env = {"XDG_RUNTIME_DIR": str(short / "noexec"), "TMPDIR": str(short)}
    assert runtime_directory(env, for_programs=True).parent == short / f"ocibuild-{UID}"
    assert runtime_directory(env).parent == short / "noexec" / "ocibuild"


def test_the_state_is_kept_in_the_users_home(short: Path) -> None:
    taken = state({"HOME": str(short)})
    assert released(taken.lease) == short / ".local/state/ocibuild/buildkit"
    assert (taken.is_kept, taken.notice) == (True, "")


def test_xdg_state_home_is_honoured(short: Path) -> None:
    taken = state({"HOME": "/nonexistent", "XDG_STATE_HOME": str(short / "state")})
    assert released(taken.lease) == short / "state/ocibuild/buildkit"


def test_scratch_goes_before_the_home(short: Path) -> None:
    (short / "scratch").mkdir()
    taken = state({"HOME": str(short)}, scratch=short / "scratch")
    assert released(taken.lease) == short / "scratch" / "buildkitd"


def test_a_home_of_somebody_else_is_not_written_to(short: Path) -> None:
    home = foreign(short)
    places = list(_places({"HOME": str(home), "XDG_STATE_HOME": str(home / "state")}, UID, NOWHERE))
    assert not any(place.is_relative_to(short) or place == home / "state/ocibuild/buildkit" for place in places)


def test_the_users_choice_is_taken_or_an_error(short: Path) -> None:
    assert released(state({}, short / "a" / "b").lease) == short / "a" / "b"
    (short / "file").touch()
    with pytest.raises(EngineError, match=r"state directory .*/file/x cannot be used") as caught:
        state({}, short / "file" / "x")
    assert "--state-dir" in caught.value.do


def test_a_chosen_directory_of_somebody_else_is_refused() -> None:
    with pytest.raises(EngineError, match="cannot be used") as caught:
        state({}, Path("/proc"), uid=OTHER)
    assert caught.value.why == "it belongs to another user"


def test_a_chosen_directory_that_all_may_write_to_is_refused(short: Path) -> None:
    """In /tmp anybody could have put a link in the place of what is emptied, logged to, or run."""
    short.chmod(0o1777)
    with pytest.raises(EngineError, match="cannot be used") as caught:
        state({}, short)
    assert caught.value.why.startswith("everybody may write to it")
    assert list(short.iterdir()) == []
    assert released(state({}, short / "own").lease) == short / "own"


def test_while_one_build_holds_the_state_the_next_gets_one_of_its_own_and_says_so(short: Path) -> None:
    first = state({}, short)
    second = state({}, short)
    assert not second.is_kept
    assert second.lease.path.parent == short
    assert "another build is using the cache" in second.notice
    assert second.remedy.startswith("wait for the other build")
    assert second.swept == (short, "once-")
    released(first.lease)
    released(second.lease)
    assert state({}, short).is_kept


def test_without_any_place_the_state_is_thrown_away_and_that_is_said(short: Path) -> None:
    taken = state({"HOME": "/", "TMPDIR": str(short)}, uid=OTHER)
    assert released(taken.lease).parent == short
    assert not taken.is_kept
    assert taken.notice == (
        "the cache is not kept: no place for it (this user has no home directory that is there and his own)"
    )
    assert taken.remedy == "choose a directory with --state-dir; it must be writable and belong to you"
