from __future__ import annotations

import pytest
from ocibuild_core.errors import UsageError
from ocibuild_core.selection import select_plugins
from ocibuild_core.settings.documents import SettingsFile


def file(name: str = "f.yml", *, trusted: bool = True, **plugins: object) -> SettingsFile:
    return SettingsFile(name=name, trusted=trusted, values={"plugins": plugins})


def test_without_a_word_everything_is_allowed() -> None:
    selection = select_plugins(env={"OCIBUILD_PLUGINS": ""})
    assert selection.allowed is None
    assert selection.refusal("anything") == ""


@pytest.mark.parametrize("text", [" ECR, basic ,,", '["ECR","basic"]'])
def test_environment_replaces_the_files_list(text: str) -> None:
    selection = select_plugins(env={"OCIBUILD_PLUGINS": text}, files=[file(allow=["gcr"])])
    assert selection.allowed == frozenset({"ecr", "basic"})
    assert selection.refusal("gcr") == "it is not in the list of OCIBUILD_PLUGINS"


def test_files_list() -> None:
    selection = select_plugins(env={}, files=[file(allow=[])])
    assert selection.refusal("ecr") == "it is not in the list of f.yml: plugins.allow"


def test_blocks_add_up_and_win_over_the_allow_list() -> None:
    env = {"OCIBUILD_PLUGINS": "a,b,c"}
    selection = select_plugins(env=env, no_plugin=["A"], files=[file(block=["b"])])
    assert selection.refusal("a") == "by --no-plugin a"
    assert selection.refusal("b") == "by f.yml: plugins.block"
    assert selection.refusal("c") == ""


def test_core_is_always_there() -> None:
    assert select_plugins(env={"OCIBUILD_PLUGINS": "ecr"}).refusal("core") == ""
    with pytest.raises(UsageError, match="--no-plugin core: 'core' is ocibuild itself"):
        select_plugins(env={}, no_plugin=["core"])


def test_allowing_core_alone_blocks_every_other() -> None:
    assert select_plugins(env={"OCIBUILD_PLUGINS": "core"}).refusal("ecr")


def test_of_several_files_the_first_list_counts_and_all_blocks() -> None:
    files = [file("named", allow=["a", "b"]), file("own", allow=["c"], block=["b"])]
    selection = select_plugins(env={}, files=files)
    assert selection.refusal("a") == ""
    assert selection.refusal("b") == "by own: plugins.block"
    assert selection.refusal("c") == "it is not in the list of named: plugins.allow"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (file(allow="ecr"), "f.yml: plugins.allow: a list of plugin ids"),
        (file(block=[1]), "f.yml: plugins.block: a list of plugin ids"),
        (file(alow=["ecr"]), "f.yml: plugins: a mapping with 'allow' and 'block' is expected; 'alow' is neither"),
        (SettingsFile(name="f.yml", trusted=True, values={"plugins": ["ecr"]}), "f.yml: plugins: a mapping"),
        (file(trusted=False, allow=["evil"]), "not allowed in a file that lies beside the sources"),
    ],
)
def test_file_that_says_something_else(given: SettingsFile, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        select_plugins(env={}, files=[given])
    assert message in str(caught.value)
