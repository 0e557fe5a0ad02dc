"""Progress is told on long work, and only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.unpack import progress
from ocibuild_core.unpack.progress import Progress
from ocibuild_core.unpack.rootfs import unpack
from support.tars import archive, file, gzipped, layer

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from ocibuild_testkit.clock import FakeClock


def test_a_line_every_five_seconds_and_none_about_short_work(fake_clock: FakeClock) -> None:
    lines: list[str] = []
    told = Progress(lines.append, 9_000_000, monotonic=fake_clock.monotonic)
    for done in range(9):
        told.at(done * 1_000_000, f"layer {done // 5 + 1} of 2")
        fake_clock.advance(1.5)
    assert lines == ["unpacking: 4 of 9 MB, layer 1 of 2", "unpacking: 8 of 9 MB, layer 2 of 2"]


def test_unpacking_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_INTERVAL", 0.0)
    layers = [gzipped(layer(file(b"%d" % number, bytes(3_000_000) + b"end"))) for number in range(2)]
    (tmp_path / "archive").write_bytes(archive(layers))
    lines: list[str] = []
    unpack(tmp_path / "archive", tmp_path / "rootfs", tell=lines.append)
    assert lines[0].startswith("unpacking: 0 of 0 MB, layer 1 of 2")
    assert lines[-1].endswith("layer 2 of 2")
    assert len(lines) > 4
