from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from ocibuild_core.errors import OcibuildError, UsageError
from ocibuild_core.option_sources import (
    Document,
    OptionSources,
    StdinOnce,
    collect_options,
    exporter_attributes,
    wrong_types,
)
from ocibuild_core.options import Option, OptionType, OptionValues
from ocibuild_core.secret import Secret
from ocibuild_core.spellings import Owner, OwnerKind

REGION = Option(name="region", help="Region", env=("REGION", "OLD_REGION"), default="eu-west-1")
TRIES = Option(name="tries", help="Tries", type=OptionType.INT)
ACCOUNTS = Option(name="accounts", help="Accounts", type=OptionType.LIST)
PUBLIC = Option(name="public", help="Public too", type=OptionType.BOOL)
TOKEN = Option(name="token", help="Token", type=OptionType.SECRET, env=("OLD_TOKEN",))
ECR = Owner(kind=OwnerKind.PROVIDER, name="ecr", options=(REGION, TRIES, ACCOUNTS, PUBLIC, TOKEN))
SUMS = Owner(kind=OwnerKind.EXPORTER, name="sums", options=(REGION, TOKEN))


def yaml(**options: object) -> list[Document]:
    return [Document(name="ocibuild.yml", values={"auth": {"ecr": options}})]


def one(name: str, sources: OptionSources, owner: Owner = ECR) -> tuple[object, str | None]:
    values = collect_options(owner, sources)
    return values[name], values.origin(name)


def test_nothing_said_gives_defaults_without_origin() -> None:
    values = collect_options(ECR, OptionSources())
    assert dict(values) == {"region": "eu-west-1", "tries": None, "accounts": None, "public": None, "token": None}
    assert [values.origin(name) for name in values] == [None] * 5


# sources with what they add, in descending precedence; each row is a source below the one before
LADDER: list[tuple[dict[str, Any], str, str]] = [
    ({"cli": {"--ecr-region": ["cli-1", "cli-2"]}}, "cli-2", "--ecr-region"),
    ({"request": {"Ecr_Region": "json-1"}}, "json-1", "request: ecr_region"),
    ({"request": {"region": "json-2"}}, "json-2", "request: region"),
    ({"env": {"ECR_REGION": "env-1"}}, "env-1", "ECR_REGION"),
    ({"env": {"REGION": "env-2"}}, "env-2", "REGION"),
    ({"env": {"OLD_REGION": "env-3"}}, "env-3", "OLD_REGION"),
    ({"yaml": yaml(region="yaml")}, "yaml", "ocibuild.yml: auth.ecr.region"),
]


@pytest.mark.parametrize("first", range(len(LADDER)), ids=[origin for _, _, origin in LADDER])
def test_each_source_wins_over_all_below_it(first: int) -> None:
    merged: dict[str, dict[str, object]] = {"cli": {}, "env": {}, "request": {}}
    documents: list[Document] = []
    for said, _, _ in LADDER[first:]:
        for place, content in said.items():
            if isinstance(content, dict):
                merged[place].update(content)
            else:
                documents = content
    sources = OptionSources(**merged, yaml=documents)  # type: ignore[arg-type]
    assert one("region", sources) == LADDER[first][1:]


def test_first_file_wins() -> None:
    documents = [
        *yaml(region=None),
        *yaml(region="a"),
        Document(name="user", values={"auth": {"ecr": {"region": "b"}}}),
    ]
    assert one("region", OptionSources(yaml=documents)) == ("a", "ocibuild.yml: auth.ecr.region")


@pytest.mark.parametrize(
    "sources",
    [
        OptionSources(cli={"--ecr-region": [""]}),
        OptionSources(env={"ECR_REGION": "", "REGION": ""}),
        OptionSources(request={"region": "", "ecr_region": None}),
        OptionSources(yaml=yaml(region="")),
        OptionSources(yaml=[Document(name="f", values={"auth": None})]),
    ],
)
def test_empty_is_unset(sources: OptionSources) -> None:
    assert one("region", sources) == ("eu-west-1", None)


def test_repeated_list_flags_add_up() -> None:
    cli = {"--ecr-accounts": ["1,2", " 3"]}
    assert one("accounts", OptionSources(cli=cli)) == (("1", "2", "3"), "--ecr-accounts")


def test_switches_on_and_off() -> None:
    assert one("public", OptionSources(cli={"--ecr-public": ["true"]})) == (True, "--ecr-public")
    off = OptionSources(cli={"--no-ecr-public": ["true"]}, env={"ECR_PUBLIC": "1"})
    assert one("public", off) == (False, "--no-ecr-public")


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (OptionSources(cli={"--ecr-tries": ["x"]}), "--ecr-tries='x': not a whole number"),
        (OptionSources(env={"ECR_TRIES": "x"}), "ECR_TRIES='x': not a whole number"),
        (OptionSources(request={"ECR_tries": "x"}), "request: ecr_tries='x': not a whole number"),
        (OptionSources(yaml=yaml(tries="x")), "ocibuild.yml: auth.ecr.tries='x': not a whole number"),
        (OptionSources(yaml=yaml(tries=[1])), "ocibuild.yml: auth.ecr.tries: a list where one value is expected"),
        (OptionSources(yaml=yaml(trie=1)), "ocibuild.yml: auth.ecr: unknown option 'trie'; did you mean 'tries'?"),
        (OptionSources(yaml=[Document(name="f", values={"auth": {"ecr": 3}})]), "f: auth.ecr: a mapping of options"),
    ],
)
def test_message_names_the_spelling_that_the_user_used(sources: OptionSources, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        collect_options(ECR, sources)
    assert str(caught.value).startswith(message)


def test_all_mistakes_are_reported_together() -> None:
    sources = OptionSources(env={"ECR_TRIES": "x", "ECR_PUBLIC": "maybe"}, yaml=yaml(oops=1))
    with pytest.raises(OcibuildError) as caught:
        collect_options(ECR, sources)
    assert [word in str(caught.value) for word in ("ECR_TRIES", "ECR_PUBLIC", "oops")] == [True] * 3
    assert caught.value.exit_code == 2


def test_long_value_is_cut_in_a_message() -> None:
    with pytest.raises(UsageError) as caught:
        collect_options(ECR, OptionSources(env={"ECR_TRIES": "x" * 10_000}))
    assert len(str(caught.value)) < 150


def token(sources: OptionSources) -> tuple[str, str | None]:
    values = collect_options(ECR, sources)
    secret = values.secret("token")
    assert secret is not None
    assert "Secret('********')" in repr(values)
    return secret.reveal(), values.origin("token")


def test_secret_from_each_place(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("of-file\n")
    name = str(file)
    by_env, by_file = yaml(token={"env": "ANY"}), yaml(token={"file": name})
    assert token(OptionSources(env={"ECR_TOKEN": "a"})) == ("a", "ECR_TOKEN")
    assert token(OptionSources(env={"OLD_TOKEN": "a"})) == ("a", "OLD_TOKEN")
    assert token(OptionSources(env={"ECR_TOKEN_FILE": name})) == ("of-file", "ECR_TOKEN_FILE")
    assert token(OptionSources(cli={"--ecr-token-file": [name]}, env={"ECR_TOKEN": "a"})) == (
        "of-file",
        "--ecr-token-file",
    )
    assert token(OptionSources(request={"ecr_token": "a"})) == ("a", "request: ecr_token")
    assert token(OptionSources(request={"ecr_token_file": name})) == ("of-file", "request: ecr_token_file")
    assert token(OptionSources(yaml=by_env, env={"ANY": "a"})) == ("a", "ocibuild.yml: auth.ecr.token")
    assert token(OptionSources(yaml=by_file)) == ("of-file", "ocibuild.yml: auth.ecr.token")


def test_plugin_may_read_the_file_of_a_secret_itself() -> None:
    file = Option(name="token-file", help="File of the token", type=OptionType.PATH)
    owner = Owner(kind=OwnerKind.PROVIDER, name="ecr", options=(TOKEN, file))
    cli, env = {"--ecr-token-file": ["absent"]}, {"ECR_TOKEN_FILE": "other"}
    values = collect_options(owner, OptionSources(cli=cli, env=env))
    assert values.secret("token") is None
    assert values.path("token-file") == Path("absent")
    assert collect_options(owner, OptionSources(env=env)).path("token-file") == Path("other")


def test_secret_has_no_spelling_on_the_command_line() -> None:
    values = collect_options(ECR, OptionSources(cli={"--ecr-token": ["hunter2"], "": ["hunter2"]}))
    assert values.secret("token") is None


def stdin(content: bytes, taken_by: str = "") -> StdinOnce:
    return StdinOnce(io.BytesIO(content), taken_by)


def test_secret_from_stdin_once() -> None:
    sources = OptionSources(cli={"--ecr-token-file": ["-"]}, stdin=stdin(b"typed\n"))
    assert token(sources) == ("typed", "--ecr-token-file")
    with pytest.raises(UsageError, match="--ecr-token-file: stdin is already read by --ecr-token-file"):
        collect_options(ECR, sources)


@pytest.mark.parametrize("source", [None, stdin(b"x", "the request")])
def test_stdin_that_is_not_free(source: StdinOnce | None) -> None:
    with pytest.raises(UsageError, match="--ecr-token-file: stdin"):
        collect_options(ECR, OptionSources(cli={"--ecr-token-file": ["-"]}, stdin=source))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"pw\n", "pw"),
        (b"pw\r\n", "pw"),
        (b"pw\n\n", "pw\n"),
        (b"pw\r", "pw\r"),
        (b" pw ", " pw "),
        (b"\xff\xc3\xa9", "\udcff\xe9"),
        (b"x" * 65536 + b"\r\n", "x" * 65536),
    ],
)
def test_one_line_break_at_the_end_belongs_to_the_file(content: bytes, expected: str) -> None:
    assert token(OptionSources(cli={"--ecr-token-file": ["-"]}, stdin=stdin(content)))[0] == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "stdin is empty"), (b"\n", "is empty"), (b"s" * 65537, "holds more than 65536 bytes")],
)
def test_secret_file_that_cannot_be_right(content: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        collect_options(ECR, OptionSources(cli={"--ecr-token-file": ["-"]}, stdin=stdin(content)))
    assert "sss" not in str(caught.value)


def test_secret_file_that_cannot_be_read(tmp_path: Path) -> None:
    for name, why in ((str(tmp_path / "absent"), "No such file"), (str(tmp_path), "Is a directory"), ("a\0b", "path")):
        with pytest.raises(UsageError) as caught:
            collect_options(ECR, OptionSources(env={"ECR_TOKEN_FILE": name}))
        assert "ECR_TOKEN_FILE: the file cannot be read" in str(caught.value)
        assert name not in str(caught.value)
        assert why in caught.value.why


def test_secret_from_a_pipe(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"piped\n")
    os.close(writer)
    assert token(OptionSources(env={"ECR_TOKEN_FILE": f"/dev/fd/{reader}"}))[0] == "piped"
    os.close(reader)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["hunter2", {"text": "hunter2"}, {"env": ""}, ["hunter2"], {"env": 3}, 12])
def test_secret_written_into_a_file_of_settings_is_refused_without_showing_it(value: object) -> None:
    with pytest.raises(UsageError, match="is not written into a file") as caught:
        collect_options(ECR, OptionSources(yaml=yaml(token=value)))
    assert "hunter2" not in str(caught.value)


def test_reference_to_a_variable_that_is_not_set() -> None:
    with pytest.raises(UsageError, match=r"auth\.ecr\.token: the environment variable ABSENT is not set"):
        collect_options(ECR, OptionSources(yaml=yaml(token={"env": "ABSENT"})))


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"REGION": 5}, "request: region: a number where a text is expected"),
        ({"ecr_public": "true"}, "request: ecr_public: a text where true or false is expected"),
        ({"ecr_token_file": True}, "request: ecr_token_file: a boolean where a text is expected"),
    ],
)
def test_wrong_type_in_a_request_is_named_by_its_key(request_: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        collect_options(ECR, OptionSources(request=request_))
    assert str(caught.value) == says
    assert [str(error) for error in wrong_types(ECR, OptionSources(request=request_))] == [says]


def test_all_wrong_types_of_a_request_are_named() -> None:
    wrong = wrong_types(ECR, OptionSources(request={"region": ["a"], "token": 1, "ecr_token": 1, "ecr_accounts": 2}))
    assert [error.summary.split(":")[1].strip() for error in wrong] == ["region", "ecr_accounts", "ecr_token"]


def test_malformed_secret_of_a_request_is_not_shown() -> None:
    with pytest.raises(UsageError) as caught:
        collect_options(ECR, OptionSources(request={"ecr_token": ["hunter2"]}))
    assert str(caught.value) == "request: ecr_token: a list where a text is expected"


def test_exporter_options_come_from_its_output(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("t")
    cli = exporter_attributes(SUMS, [("region", "a"), ("region", "b"), ("token-file", str(file))])
    values = collect_options(SUMS, OptionSources(cli=cli, env={"REGION": "c"}))
    assert (values["region"], values.origin("region")) == ("b", "--output sums,region")
    assert (values["token"], values.origin("token")) == (Secret("t"), "--output sums,token-file")
    section = [Document(name="f", values={"exporters": {"sums": {"region": "y"}}, "auth": {"sums": {"region": "z"}}})]
    assert one("region", OptionSources(yaml=section), SUMS) == ("y", "f: exporters.sums.region")
    assert one("region", OptionSources(env={"SUMS_REGION": "e"}), SUMS) == ("e", "SUMS_REGION")


@pytest.mark.parametrize("key", ["regoin", "token", ""])
def test_unknown_key_of_an_output(key: str) -> None:
    with pytest.raises(UsageError, match=f"--output sums: unknown option {key!r}") as caught:
        exporter_attributes(SUMS, [(key, "hunter2")])
    assert "hunter2" not in str(caught.value)
    assert "region, token-file" in caught.value.do


def test_typed_getter_of_another_type_is_the_plugins_fault() -> None:
    values: OptionValues = collect_options(ECR, OptionSources())
    with pytest.raises(TypeError):
        values.number("region")
