from __future__ import annotations

import pytest
from ocibuild_core.errors import UsageError
from ocibuild_core.selection import select_plugins


def test_without_a_word_everything_is_allowed() -> None:
    selection = select_plugins(env={"OCIBUILD_PLUGINS": ""})
    assert selection.allowed is None
    assert selection.refusal("anything") == ""


def test_environment_replaces_the_files_list() -> None:
    selection = select_plugins(env={"OCIBUILD_PLUGINS": " ECR, basic ,,"}, file="f.yml", file_allow=["gcr"])
    assert selection.allowed == frozenset({"ecr", "basic"})
    assert selection.refusal("gcr") == "it is not in the list of OCIBUILD_PLUGINS"


def test_files_list() -> None:
    selection = select_plugins(env={}, file="f.yml", file_allow=[])
    assert selection.refusal("ecr") == "it is not in the list of f.yml: plugins.allow"


def test_blocks_add_up_and_win_over_the_allow_list() -> None:
    env = {"OCIBUILD_PLUGINS": "a,b,c"}
    selection = select_plugins(env=env, no_plugin=["A"], file="f.yml", file_block=["b"])
    assert selection.refusal("a") == "by --no-plugin a"
    assert selection.refusal("b") == "by f.yml: plugins.block"
    assert selection.refusal("c") == ""


def test_core_is_always_there() -> None:
    assert select_plugins(env={"OCIBUILD_PLUGINS": "ecr"}).refusal("core") == ""
    with pytest.raises(UsageError, match="--no-plugin core: 'core' is ocibuild itself"):
        select_plugins(env={}, no_plugin=["core"])


def test_allowing_core_alone_blocks_every_other() -> None:
    assert select_plugins(env={"OCIBUILD_PLUGINS": "core"}).refusal("ecr")
