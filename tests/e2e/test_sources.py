"""Where sources may come from besides a directory: stdin, layouts, contexts elsewhere with a Dockerfile here."""

from __future__ import annotations

import io
import json
import tarfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from support.images import read_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.programs import ProgramRunner

pytestmark = pytest.mark.e2e

HERE = "FROM scratch\nCOPY f /of-here\n"


@pytest.fixture
def work(sandbox: Path) -> Path:
    """A directory with `image/`, and with sources that no build from stdin may look at."""
    directory = sandbox / "work"
    (directory / "image").mkdir(parents=True)
    (directory / "Dockerfile").write_text(HERE)
    (directory / "f").write_text("here")
    return directory


def archive(path: Path, form: str, **files: str) -> Path:
    """A tar in one of the forms that `tarfile` writes."""
    with tarfile.open(path, f"w:{form}") as tar:  # type: ignore[call-overload]  # one of those that there are
        for name, content in files.items():
            member = tarfile.TarInfo(name.replace("__", "/").replace("Dockerfile_", "Dockerfile."))
            member.size = len(content)
            member.mode = 0o640
            tar.addfile(member, io.BytesIO(content.encode()))
    return path


def piped(*argv: str, file: Path) -> tuple[str, ...]:
    return "sh", "-c", 'in="$1"; shift; exec build "$@" < "$in"', "sh", str(file), *argv


def files_of(work: Path) -> dict[str, bytes]:
    return read_image(work / "image" / "image.tar").files


@pytest.mark.parametrize("form", ["", "gz", "bz2", "xz"])
def test_an_archive_on_stdin_is_the_context(form: str, work: Path, run: ProgramRunner) -> None:
    context = archive(
        work.parent / "context",
        form,
        Dockerfile="FROM scratch\nCOPY f d/g /\n",
        Dockerfile_other="FROM scratch\nCOPY d /other\n",
        f="of the archive",
        d__g="below",
    )
    run(*piped("-", file=context), cwd=work).succeeded()
    assert files_of(work) == {"f": b"of the archive", "g": b"below"}
    run(*piped("-f", "Dockerfile.other", "-", file=context), cwd=work).succeeded()
    assert files_of(work) == {"other/g": b"below"}
    assert list(run.temporary.iterdir()) == []


def test_text_on_stdin_is_a_dockerfile_without_a_context(work: Path, run: ProgramRunner) -> None:
    run("build", "-", cwd=work, stdin="FROM scratch\nLABEL of=stdin\n").succeeded()
    assert read_image(work / "image" / "image.tar").config["config"]["Labels"] == {"of": "stdin"}
    result = run("build", "-", cwd=work, stdin=HERE).ended_with(1)
    assert '"/f": not found' in result.stdout


@pytest.mark.parametrize(
    ("argv", "stdin", "says"),
    [
        (("-f", "-", "-"), HERE, "context and Dockerfile cannot both come from stdin"),
        (("-f", "Dockerfile", "-"), HERE, "stdin holds a Dockerfile, and --file names another"),
        (("-",), "", "stdin is empty"),
        (("-",), " \n", "stdin is empty"),
    ],
)
def test_what_stdin_cannot_be_is_said(
    argv: tuple[str, ...], stdin: str, says: str, work: Path, run: ProgramRunner
) -> None:
    result = run("build", *argv, cwd=work, stdin=stdin).ended_with(2)
    assert says in result.stderr
    assert result.stdout == ""


def test_a_hostile_or_damaged_archive_on_stdin_leaves_nothing(work: Path, run: ProgramRunner) -> None:
    hostile = archive(work.parent / "hostile", "", Dockerfile=HERE, **{"..__..__escaped": "x"})
    run(*piped("-", file=hostile), cwd=work)
    assert not list(work.parent.rglob("escaped"))
    linked = work.parent / "linked"
    with tarfile.open(linked, "w") as tar:
        link = tarfile.TarInfo("d")
        link.type, link.linkname = tarfile.SYMTYPE, str(work.parent)
        tar.addfile(link)
        through = tarfile.TarInfo("d/through")
        tar.addfile(through, io.BytesIO())
    run(*piped("-", file=linked), cwd=work).ended_with(2)
    assert not (work.parent / "through").exists()
    whole = archive(work.parent / "whole", "", Dockerfile=HERE, f="x" * 5000).read_bytes()
    (work.parent / "cut").write_bytes(whole[:4000])
    result = run(*piped("-", file=work.parent / "cut"), cwd=work).ended_with(2)
    assert "the argument CONTEXT -: the archive cannot be unpacked" in result.stderr
    result = run(*piped("-f", "../x", "-", file=hostile), cwd=work).ended_with(2)
    assert "not inside of the archive" in result.stderr
    assert list(run.temporary.iterdir()) == []
    assert list((work / "image").iterdir()) == []


def test_a_context_from_stdin_whose_build_was_killed_is_swept_by_the_next(work: Path, run: ProgramRunner) -> None:
    context = archive(work.parent / "context", "", Dockerfile="FROM scratch\nCOPY f /\nRUN sleep\n", f="x")
    killing = 'p=$$; (while ! ls -d "$TMPDIR"/ocibuild-*/context; do sleep 0.02; done; kill -9 $p) >/dev/null 2>&1 & '
    run("sh", "-c", f'{killing} exec build - < "$1"', "sh", str(context), cwd=work).ended_with(-9)
    assert list(run.temporary.glob("ocibuild-*/context"))
    run("build", "-", cwd=work, stdin="FROM scratch\nLABEL a=b\n").succeeded()
    assert not list(run.temporary.glob("ocibuild-*"))


def test_a_dockerfile_of_an_archive_is_of_that_archive(work: Path, run: ProgramRunner) -> None:
    outside = work.parent / "outside"
    outside.mkdir()
    (outside / "Dockerfile").write_text("FROM scratch\nLABEL of=outside\n")
    (outside / "own").write_text("FROM scratch\nLABEL of=archive\n")
    piped_in = work.parent / "linked"
    with tarfile.open(piped_in, "w") as tar:
        tar.add(outside / "own", "d/Dockerfile")
        for name, target in (("out", str(outside)), ("in", "d"), ("Dockerfile", str(outside / "Dockerfile"))):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)

    for argv in (("-f", "out/Dockerfile"), ("-f", "Dockerfile"), (), ("-f", ".."), ("-f", "in/../../x"), ("-f", "/x")):
        result = run(*piped(*argv, "-", file=piped_in), cwd=work).ended_with(2)
        assert "not inside of the archive on stdin" in result.stderr, argv
    run(*piped("-f", "in/Dockerfile", "-", file=piped_in), cwd=work).succeeded()
    assert read_image(work / "image" / "image.tar").config["config"]["Labels"] == {"of": "archive"}


@pytest.fixture
def served(sandbox: Path) -> Iterator[str]:
    """The address of a context on the web."""
    directory = sandbox / "served"
    directory.mkdir()
    archive(directory / "context.tgz", "gz", Dockerfile="FROM scratch\nLABEL of=there\n", f="there")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(directory))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/context.tgz"
        server.shutdown()


def test_a_context_elsewhere_takes_a_dockerfile_of_this_machine(work: Path, run: ProgramRunner, served: str) -> None:
    run("build", served, cwd=work).succeeded()
    assert files_of(work) == {}
    run("build", "-f", str(work / "Dockerfile"), served, cwd=work).succeeded()
    assert files_of(work) == {"of-here": b"there"}
    run("build", "-f", "-", served, cwd=work, stdin="FROM scratch\nCOPY f /of-stdin\n").succeeded()
    assert files_of(work) == {"of-stdin": b"there"}
    result = run("build", "-f", "/no/such", served, cwd=work).ended_with(2)
    assert "there is no /no/such" in result.stderr


@pytest.fixture
def layout(work: Path, run: ProgramRunner) -> Path:
    """An OCI layout with two images, named one and latest."""
    found = work.parent / "lay:out"
    manifests = []
    for name in ("one", "latest"):
        (work / "f").write_text(name)
        run("build", "-o", f"oci,tar=false,dest={work.parent}/{name}", ".", cwd=work).succeeded()
        (manifest,) = json.loads((work.parent / name / "index.json").read_bytes())["manifests"]
        manifests.append({**manifest, "annotations": {"org.opencontainers.image.ref.name": name}})
        for blob in (work.parent / name).rglob("*"):
            if blob.is_file():
                target = found / blob.relative_to(work.parent / name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(blob.read_bytes())
    (found / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))
    return found


def test_a_named_context_that_is_a_layout(work: Path, run: ProgramRunner, layout: Path) -> None:
    (work / "Dockerfile").write_text("FROM scratch AS base\nCOPY Dockerfile /of-here\nFROM base\n")
    run("build", ".", cwd=work).succeeded()
    assert files_of(work)["of-here"].startswith(b"FROM")
    digest = json.loads((layout / "index.json").read_bytes())["manifests"][0]["digest"]
    alone = work.parent / "one"
    for value, content in (
        (f"{layout}", b"latest"),
        (f"{layout}:one", b"one"),
        (f"{layout}@{digest}", b"one"),
        (f"{alone}", b"one"),
    ):
        run("build", "--build-context", f"base=oci-layout://{value}", ".", cwd=work).succeeded()
        assert files_of(work)["of-here"] == content
    for value, says in (
        (f"{layout}:two", "has no image 'two'\n  why    it has one, latest"),
        ("missing", "'missing' is no OCI layout"),
        (str(work), "is no OCI layout"),
    ):
        result = run("build", "--build-context", f"base=oci-layout://{value}", ".", cwd=work).ended_with(2)
        assert says in result.stderr


def test_heredocs_and_dockerignore(work: Path, run: ProgramRunner) -> None:
    (work / "Dockerfile").write_text("FROM scratch\nCOPY . /\nCOPY <<one <<two /made/\nfirst\none\nsecond\ntwo\n")
    run("build", ".", cwd=work).succeeded()
    with_all = files_of(work)
    assert (with_all["made/one"], with_all["made/two"], with_all["f"]) == (b"first\n", b"second\n", b"here")
    (work / ".dockerignore").write_text("*\n!Dockerfile\n")
    run("build", ".", cwd=work).succeeded()
    assert sorted(files_of(work)) == ["Dockerfile", "made/one", "made/two"]
