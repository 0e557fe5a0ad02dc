"""Makes a test fail when what it printed, logged or raised holds a registered secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ocibuild_testkit.leaks import Leak, LeakWatcher

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

_KEY = pytest.StashKey["_Session"]()


class _Session:
    """The watcher of a run, and what the current test still has to be looked at for."""

    def __init__(self) -> None:
        self.watcher = LeakWatcher()
        self.directories: list[Path] = []
        self.drained: list[Leak] = []

    def take_drained(self) -> list[Leak]:
        """What was found in output that the test itself has read (`capsys`, `capfd`)."""
        found, self.drained = self.drained, []
        return found

    def take_files(self) -> list[Leak]:
        """What is in the files of the directories that the test named."""
        directories, self.directories = self.directories, []
        return list(self.watcher.find_in_files(*directories))


def pytest_configure(config: pytest.Config) -> None:
    """Begin to watch."""
    session = config.stash[_KEY] = _Session()
    original = pytest.CaptureFixture.readouterr

    def readouterr(self: pytest.CaptureFixture[str]) -> object:
        result = original(self)
        for stream, text in zip(("stdout", "stderr"), result, strict=True):
            session.drained.extend(session.watcher.find(text, f"captured {stream}"))
        return result

    # What a test reads with capsys or capfd is in no report any more, so that this is the only place to see it.
    pytest.CaptureFixture.readouterr = readouterr  # type: ignore[assignment, method-assign]
    config.add_cleanup(lambda: setattr(pytest.CaptureFixture, "readouterr", original))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the report into a failure when a secret is in it, and mask it there."""
    report = yield
    session = item.config.stash[_KEY]
    leaks = session.take_drained()
    # The sections of the phases before are here again.
    for title, text in (section for section in report.sections if section[0].endswith(call.when)):
        leaks.extend(session.watcher.find(text, title.lower()))
    leaks.extend(session.watcher.find(report.longreprtext, "the failure's message"))
    if call.when == "teardown":
        leaks.extend(session.take_files())
    if leaks:
        _fail(report, session.watcher, leaks)
    return report


def _fail(report: pytest.TestReport, watcher: LeakWatcher, leaks: list[Leak]) -> None:
    lines = [f"  {leak}" for leak in dict.fromkeys(leaks)]
    text = "\n".join(["a secret got out:", *lines, "", watcher.mask(report.longreprtext)])
    report.outcome = "failed"
    report.longrepr = text.rstrip()
    report.sections = [(title, watcher.mask(content)) for title, content in report.sections]


@pytest.fixture(scope="session")
def leak_watcher(request: pytest.FixtureRequest) -> LeakWatcher:
    """Finds secrets that got out.

    Every test fails that prints, logs or raises a secret from `fresh_secret` or one told to `leak_watcher.register`.
    What a child process says or a file holds is looked at by `leak_watcher.check` and `check_files`.
    """
    return request.config.stash[_KEY].watcher


@pytest.fixture
def fresh_secret(leak_watcher: LeakWatcher) -> Callable[[], str]:
    """Makes random secrets that are watched; each call gives another."""
    return leak_watcher.fresh


@pytest.fixture
def watch_for_leaks(request: pytest.FixtureRequest) -> Callable[[Path], Path]:
    """Names a directory (and returns it) in whose files no secret may be when the test has ended."""
    session = request.config.stash[_KEY]

    def watch(directory: Path) -> Path:
        session.directories.append(directory)
        return directory

    return watch
