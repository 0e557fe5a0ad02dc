from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ocibuild_core.conflicts import Reserved
from ocibuild_core.errors import PluginError

if TYPE_CHECKING:
    from support.made_plugins import Site


def option(name: str, *env: str, kind: str = "TEXT") -> str:
    return f"(Option(name={name!r}, help='Help', env={env!r}, type=OptionType.{kind}),)"


# what it wants, offer of a, offer of b, words of both messages
SHARED = {
    "provider name": ({"providers": "[Provider('x')]"}, {"providers": "[Provider('x')]"}, "auth provider 'x'"),
    "alias against name": (
        {"providers": "[Provider('a', aliases=('x',))]"},
        {"providers": "[Provider('x')]"},
        "auth provider 'x'",
    ),
    "alias against alias": (
        {"providers": "[Provider('a', aliases=('x',))]"},
        {"providers": "[Provider('b', aliases=('x',))]"},
        "auth provider 'x'",
    ),
    "exporter name": ({"exporters": "[Writer('x')]"}, {"exporters": "[Writer('x')]"}, "exporter 'x'"),
    "flag": (
        {"providers": f"[Provider('a', options={option('b-c')})]"},
        {"providers": f"[Provider('a-b', options={option('c')})]"},
        "--a-b-c",
    ),
    "flag of a switch": (
        {"providers": f"[Provider('no-b', options={option('c')})]"},
        {"providers": f"[Provider('b', options={option('c', kind='BOOL')})]"},
        "--no-b-c",
    ),
    "flag of a secret's file": (
        {"providers": f"[Provider('a', options={option('key-file')})]"},
        {"providers": f"[Provider('b', options={option('y', 'A_KEY_FILE')})]"},
        "A_KEY_FILE",
    ),
    "historic variable": (
        {"providers": f"[Provider('a', options={option('p', 'REGION')})]"},
        {"providers": f"[Provider('b', options={option('q', 'REGION')})]"},
        "REGION",
    ),
    "variable of provider and exporter": (
        {"providers": f"[Provider('x', options={option('key')})]"},
        {"exporters": f"[Writer('x', options={option('key')})]"},
        "X_KEY",
    ),
}


@pytest.mark.parametrize(("first", "second", "thing"), SHARED.values(), ids=SHARED.keys())
def test_two_plugins_that_want_one_thing_are_both_out_and_both_named(
    site: Site, first: dict[str, str], second: dict[str, str], thing: str
) -> None:
    site.offer("a-plugin", **first)
    site.offer("b-plugin", **second, version="3")
    site.offer("good", providers="[Provider('good')]")
    catalog = site.load()
    assert [loaded.source.id for loaded in catalog.providers] == ["good"]
    with pytest.raises(PluginError) as caught:
        catalog.provider("a-plugin")
    message = str(caught.value)
    assert f"plugin 'a-plugin' (ocibuild-a-plugin 1.0): wants {thing}, and so does plugin 'b-plugin'" in message
    assert "(ocibuild-b-plugin 3)" in message
    assert "--no-plugin a-plugin or --no-plugin b-plugin" in message
    assert len(catalog.remarks()) == 2


def test_one_plugin_that_gives_two_options_one_variable(site: Site) -> None:
    site.offer(
        "a", providers=f"[Provider('x', options={option('p', 'SAME')}), Provider('y', options={option('q', 'SAME')})]"
    )
    (remark,) = site.load().remarks()
    assert "wants SAME twice (for option 'p' of provider 'x' and option 'q' of provider 'y')" in remark


RESERVED = Reserved(flags=frozenset({"--no-cache"}), variables=frozenset({"TARGET"}), prefixes=("BUILD_ARG_",))


@pytest.mark.parametrize(
    ("provider", "thing"),
    [
        (f"Provider('no', options={option('cache')})", "--no-cache"),
        (f"Provider('x', options={option('y', 'TARGET')})", "TARGET"),
        (f"Provider('build', options={option('arg-x')})", "BUILD_ARG_X"),
    ],
)
def test_what_is_the_hosts_own_stays_the_hosts(site: Site, provider: str, thing: str) -> None:
    site.offer("greedy", providers=f"[{provider}]")
    catalog = site.load(reserved=RESERVED)
    with pytest.raises(PluginError, match="its author must rename it") as caught:
        catalog.provider("greedy")
    assert f"wants {thing}, which is ocibuild's own" in str(caught.value)


def test_nothing_pushes_the_built_in_exporters_out(site: Site) -> None:
    """The host's own conflict with nobody's favour: only the stranger is out."""
    module = site.offer("core", exporters="[Writer('docker')]", distribution="ocibuild-core")
    site.offer("greedy", exporters="[Writer('docker')]")
    catalog = site.load()
    assert catalog.exporter("docker").source.id == "core"
    assert "wants exporter 'docker', and so does plugin 'core' (ocibuild-core 1.0)" in catalog.remarks()[0]
    assert module


def test_same_option_name_of_two_providers_is_no_conflict(site: Site) -> None:
    site.offer("a", providers=f"[Provider('a', options={option('region')})]")
    site.offer("b", providers=f"[Provider('b', options={option('region')})]")
    assert len(site.load().providers) == 2
