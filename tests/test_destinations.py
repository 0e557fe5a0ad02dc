"""What is no place for an output, because moving something there would remove what it is."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from ocibuild_core.destinations import refuse_unwritable
from ocibuild_core.errors import UsageError


def refused(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        refuse_unwritable([path])
    return str(caught.value)


@pytest.mark.parametrize("name", ["null", "stdout"])
def test_a_device_and_a_link_among_the_devices_are_none(name: str) -> None:
    # Redirected to a plain file, /dev/stdout is a link to one, and the link would be replaced.
    assert f"an output cannot go to /dev/{name}" in refused(Path("/dev") / name)


def test_a_link_to_a_device_is_none(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/null")
    assert "it is a device" in refused(tmp_path / "link")


def test_a_pipe_and_a_socket_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "it is a pipe" in refused(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        assert "it is a socket" in refused(tmp_path / "socket")


@pytest.mark.parametrize("above", ["file", "link-to-file", "link-to-nothing", "pipe"])
def test_what_lies_below_something_that_is_no_directory_is_none(above: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link-to-file").symlink_to("file")
    (tmp_path / "link-to-nothing").symlink_to("nothing")
    for below in ("x", "x/y"):
        assert f"why    {tmp_path / above} is no directory\n" in refused(tmp_path / above / below)


def test_stdout_is_none(tmp_path: Path) -> None:
    assert "an output cannot go to stdout" in refused(tmp_path / "-")


def test_files_directories_links_to_them_and_what_is_not_there_are_places(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "here").symlink_to(".")
    names = ("file", "link", "missing", "missing/below", "here/missing")
    refuse_unwritable([tmp_path, *(tmp_path / name for name in names), Path("/dev/out.tar"), Path("/")])
