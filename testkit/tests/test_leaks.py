"""The leak watcher finds what got out; planted secrets make tests fail."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from ocibuild_testkit.leaks import Leak, LeakWatcher, SecretLeakError

pytest_plugins = ["pytester"]

# Changed by each way of quoting; its base64 differs from the URL-safe one wherever it lies.
ODD = 'p"\\ä s/w?>~~?>>~?>+x'


def user_password(user: str, secret: str) -> str:
    return base64.b64encode(f"{user}:{secret}".encode()).decode()


@pytest.mark.parametrize(
    ("form", "dressed"),
    [
        ("plain", lambda value: value),
        ("as JSON", json.dumps),
        ("as Python's repr", lambda value: repr([value])),
        ("URL-encoded", lambda value: quote(value, safe="")),
        ("URL-encoded as a form", quote_plus),
        ("hexadecimal", lambda value: value.encode().hex()),
        ("base64", lambda value: user_password("", value)),
        ("base64", lambda value: user_password("a", value)),
        ("base64", lambda value: user_password("AWS", value)),
        ("base64", lambda value: user_password("some+one", value + "and more")),
        ("base64, URL-safe", lambda value: base64.urlsafe_b64encode(f"x{value}".encode()).decode()),
    ],
)
def test_a_secret_is_found_in_each_form(form: str, dressed: object) -> None:
    assert callable(dressed)
    watcher = LeakWatcher()
    watcher.register(ODD, "the password")

    found = watcher.find(f"before{dressed(ODD)}after", "a log")

    assert found == (Leak(secret="the password", form=form, where="a log"),)


def test_other_texts_are_left_alone() -> None:
    watcher = LeakWatcher()
    watcher.register(ODD, "the password")
    watcher.fresh()
    assert watcher.find(ODD[:-1] + user_password("AWS", ODD[1:]) + LeakWatcher().fresh(), "a log") == ()


def test_every_fresh_secret_is_found() -> None:
    watcher = LeakWatcher()
    for _ in range(3):
        assert watcher.find(user_password("a", watcher.fresh()), "a log")


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter than 8"):
        LeakWatcher().register("hunter2", "the password")


def test_files_are_searched_across_the_edges_of_reads(tmp_path: Path) -> None:
    watcher = LeakWatcher()
    secret = watcher.fresh()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "big").write_bytes(b"x" * ((1 << 20) - 10) + secret.encode())
    (tmp_path / "good").write_text("nothing")
    (tmp_path / f"name-{secret}").touch()

    with pytest.raises(SecretLeakError) as caught:
        watcher.check_files(tmp_path)

    assert str(tmp_path / "deep" / "big") in str(caught.value)
    assert "the name of" in str(caught.value)
    assert secret not in str(caught.value)
    assert "good" not in str(caught.value)
    with pytest.raises(SecretLeakError):
        watcher.check_files(tmp_path / "deep" / "big")


def test_what_may_hold_secrets_is_left_out(tmp_path: Path) -> None:
    watcher = LeakWatcher()
    (tmp_path / "config.json").write_text(watcher.fresh())
    watcher.check_files(tmp_path, ignore=[tmp_path / "config.json"])
    (tmp_path / "link").symlink_to(tmp_path / "config.json")
    watcher.check_files(tmp_path / "link")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ("print(secret)", "captured stdout call"),
        ("import sys; print(secret, file=sys.stderr)", "captured stderr call"),
        ("import os; os.system(f'echo {secret}')", "captured stdout call"),
        ("import logging; logging.getLogger('x').warning('got %s', secret)", "captured log call"),
        ("print(secret); request.getfixturevalue('capsys').readouterr()", "captured stdout call"),
        (
            "request.getfixturevalue('capfd'); print(secret); request.getfixturevalue('capfd').readouterr()",
            "captured stdout",
        ),
        ("raise ValueError(secret)", "the failure's message"),
        ("assert secret == 'something else'", "the failure's message"),
        ("leak_watcher.check(secret, 'what a child said')", "what a child said"),
    ],
)
def test_a_planted_secret_fails_the_test(pytester: pytest.Pytester, body: str, where: str) -> None:
    result = run_planted(pytester, body)

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines([f"*a fresh secret (plain) in {where}"])


def test_a_secret_in_a_watched_directory_fails_the_test(pytester: pytest.Pytester) -> None:
    result = run_planted(pytester, "(watch_for_leaks(tmp_path) / 'planted').write_text(secret)")

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*a fresh secret (plain) in */planted"])


def test_a_clean_test_passes(pytester: pytest.Pytester) -> None:
    run_planted(pytester, "print('nothing')").assert_outcomes(passed=2)


def run_planted(pytester: pytest.Pytester, body: str) -> pytest.RunResult:
    """Run one test that does `body`, and one that is innocent. Checks that the secret is not shown by pytest itself."""
    pytester.makepyfile(f"""
        def test_planted(request, fresh_secret, tmp_path, watch_for_leaks, leak_watcher):
            secret = fresh_secret()
            (tmp_path.parent / "value").write_text(secret)
            {body}

        def test_innocent(fresh_secret):
            print("hello")
    """)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--basetemp=made")
    assert (pytester.path / "made" / "value").read_text() not in result.stdout.str()
    return result
