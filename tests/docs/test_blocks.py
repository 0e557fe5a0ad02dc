"""What the pages tell people to type works: every shell block runs as it stands, or says why it does not."""

from __future__ import annotations

import json
import tomllib
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from support.doc_blocks import ROOT, Block, Script, blocks, pages, scripts, unfenced
from support.doc_scenes import SCENES, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ocibuild_testkit.leaks import LeakWatcher
    from ocibuild_testkit.registry import Authority
    from support.fresh_env import Wheelhouse
    from support.programs import ProgramRunner

PAGES = pages()
BLOCKS = [block for page in PAGES for block in blocks(page)]
_A_REASON = 20


def read_yaml(text: str) -> object:
    import yaml

    return list(yaml.safe_load_all(text))


_PARSERS: dict[str, Callable[[str], object]] = {"json": json.loads, "toml": tomllib.loads, "yaml": read_yaml}


@pytest.fixture
def stage(
    sandbox: Path,
    run: ProgramRunner,
    tls_authority: Authority,
    fresh_secret: Callable[[], str],
    leak_watcher: LeakWatcher,
    request: pytest.FixtureRequest,
) -> Iterator[Stage]:
    def wheelhouse() -> Wheelhouse:
        return request.getfixturevalue("wheelhouse")  # type: ignore[no-any-return]

    with ExitStack() as running:
        yield Stage(
            running=running,
            run=run,
            directory=sandbox / "app",
            authority=tls_authority,
            fresh_secret=fresh_secret,
            watcher=leak_watcher,
            wheelhouse=wheelhouse,
        )


@pytest.mark.e2e
@pytest.mark.parametrize("script", list(scripts()), ids=str)
def test_a_shell_block_runs_as_it_stands(script: Script, stage: Stage) -> None:
    for name in script.blocks[0].scenes:
        assert name in SCENES, f"{script} wants the scene {name!r}; there are {', '.join(SCENES)}"
        SCENES[name](stage)
    command = ("bash", "-euo", "pipefail", "-c", script.code)
    holders = stage.may_hold_secrets
    done = stage.run(*command, env=stage.environment(), cwd=stage.directory, may_hold_secrets=holders).succeeded()
    assert "does not provide the extra" not in done.stderr


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.is_left_out], ids=str)
def test_a_block_that_is_not_run_says_why(block: Block) -> None:
    assert len(block.mark) >= _A_REASON


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.mark.startswith("by ")], ids=str)
def test_the_test_that_runs_a_block_exists(block: Block) -> None:
    test = (ROOT / block.mark.removeprefix("by ").partition(",")[0]).read_text()
    assert block.page.rpartition("/")[2] in test


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_its_language(page: str) -> None:
    assert unfenced(page) == []
    assert [str(block) for block in blocks(page) if not block.language] == []


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.language in _PARSERS], ids=str)
def test_data_in_the_pages_can_be_read(block: Block) -> None:
    assert _PARSERS[block.language](block.code)
