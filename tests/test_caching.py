from __future__ import annotations

from pathlib import Path

import pytest
from ocibuild_core.caching import cache_arguments, cache_types, parse_cache
from ocibuild_core.errors import UsageError
from ocibuild_core.needs import exported_images, needed_registries
from ocibuild_core.settings.model import BuildSettings
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import CommandLine


def settings(**flags: object) -> BuildSettings:
    return resolve([CommandLine(flags, {})])


def test_an_image_alone_is_a_cache_in_a_registry() -> None:
    assert cache_arguments(settings(cache_from=("r.example/c:1",), cache_to=("type=inline",))) == [
        *("--import-cache", "type=registry,ref=r.example/c:1"),
        *("--export-cache", "type=inline"),
    ]


def test_a_local_cache_is_named_by_its_whole_path() -> None:
    cache = parse_cache('type=local,"dest=a,b",mode=max', "--cache-to", "dest")
    assert cache.argument() == f'type=local,"dest={Path.cwd()}/a,b",mode=max'


def test_the_engine_is_told_the_types_each_once() -> None:
    given = settings(cache_from=("type=s3,region=x,bucket=b", "r.example/c"), cache_to=("type=s3,region=x,bucket=b",))
    assert cache_types(given) == ("s3", "registry")


def test_the_registries_of_caches_are_needed_and_exports_are_pushes(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    given = settings(
        context=str(tmp_path), cache_from=("from.example/c",), cache_to=("type=registry,ref=to.example/c,mode=max",)
    )
    assert needed_registries(given) == ("from.example", "to.example")
    assert exported_images(given) == ("to.example/c",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("type=registry", "needs 'ref'"),
        ("type=local,src=x", "needs 'dest'"),
        ("type=nosuch,a=b", "no cache of type 'nosuch'"),
        ("ref=a", "no cache of type ''"),
        ("type=registry,ref", "not key=value"),
        ("type=registry,ref=r.example/UPPER", "no image reference"),
        ("no reference,at all", "not key=value"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_cache(text, "--cache-to", "dest")


@pytest.mark.parametrize(
    "text",
    ["type=s3,secret_access_key=hush", "type=azblob,secret_access_key=hush", "type=gha,token=hush"],
)
def test_a_secret_in_an_argument_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError, match="is not taken from an argument") as error:
        parse_cache(text, "--cache-to", "dest")
    assert "hush" not in str(error.value)
