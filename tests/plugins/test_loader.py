from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.catalog import Catalog, PluginState, PluginStatus
from ocibuild_core.errors import Interrupted, PluginError
from ocibuild_core.selection import Selection

if TYPE_CHECKING:
    from support.made_plugins import Site

HOOK = "@hookimpl\ndef ocibuild_auth_providers():\n    "


def state(catalog: Catalog, plugin_id: str) -> PluginState:
    (found,) = [state for state in catalog.plugins if state.source.id == plugin_id]
    return found


def test_good_plugin_is_in_the_catalog_with_its_source(site: Site) -> None:
    site.add("good", version="2.3")
    catalog = site.load()
    assert [str(loaded.source) for loaded in catalog.providers] == ["plugin 'good' (ocibuild-good 2.3)"]
    assert catalog.provider("GOOD").provider.name == "good"
    assert state(catalog, "good").status is PluginStatus.OK
    assert state(catalog, "good").hook_api == 1
    assert state(catalog, "good").location.endswith(".py")
    assert catalog.remarks() == ()


def test_entry_point_may_name_an_object(site: Site) -> None:
    source = (
        "class Hooks:\n    @hookimpl\n    def ocibuild_auth_providers(self):\n        return [Provider('held')]\n"
        "class holder:\n    hooks = Hooks()\n"
    )
    module = site.add("held", source)
    site.metadata("ocibuild-held", "1.0", f"held = {module}:holder.hooks [extra]")
    assert site.load().provider("held").provider.name == "held"


def test_generator_of_records_is_taken(site: Site) -> None:
    site.add("lazy", HOOK + "yield Provider('a'); yield Provider('b')")
    assert [loaded.provider.name for loaded in site.load().providers] == ["a", "b"]


# id: source, words of the one-line message, words of the remedy
BROKEN = {
    "import-error": ("import no_such_sdk.client", "misses a module", "No module named 'no_such_sdk'", "reinstall"),
    "syntax-error": ("def f(:\n", "has a syntax error", "line ", "--upgrade ocibuild-broken"),
    "system-exit": ("raise SystemExit(3)", "ends the program while it is imported", "exit status 3", "author"),
    "exception": ("raise ValueError('oh no')", "fails while it is imported", "ValueError: oh no", "author"),
    "base-exception": ("class Odd(BaseException): ...\nraise Odd", "fails while it is imported", "Odd", "author"),
    "recursion": ("def f(): f()\nf()", "fails while it is imported", "RecursionError", "author"),
    "unprintable-exception": (
        "class Odd(Exception):\n    def __str__(self): raise KeyError\nraise Odd",
        "fails while it is imported",
        "cannot be printed",
        "author",
    ),
    "newer-surface": (
        "from ocibuild_core.plugin import SomethingOfTheFuture",
        "needs ocibuild-core newer than",
        "SomethingOfTheFuture",
        "--upgrade ocibuild-core",
    ),
    "newer-hook-api": (
        "OCIBUILD_HOOK_API = 99",
        "needs ocibuild-core newer than",
        "hook API 99",
        "--upgrade ocibuild-core",
    ),
    "odd-hook-api": ("OCIBUILD_HOOK_API = 'two'", "invalid OCIBUILD_HOOK_API", "'two'", "author"),
    "no-hook": ("", "implements no hook", "neither", "author"),
    "unmarked-hook": ("def ocibuild_exporters(): return []", "without marking it", "", "@hookimpl"),
    "misspelt-hook": (
        "@hookimpl\ndef ocibuild_auth_provider(): return []",
        "unknown hook 'ocibuild_auth_provider'; did you mean 'ocibuild_auth_providers'?",
        "",
        "author",
    ),
    "wrong-arguments": (
        "@hookimpl\ndef ocibuild_auth_providers(registry): return []",
        "hook with wrong arguments",
        "registry",
        "author",
    ),
    "keyword-argument": (
        "@hookimpl\ndef ocibuild_auth_providers(*, registry): return []",
        "fails when ocibuild_auth_providers is called",
        "registry",
        "author",
    ),
    "defaulted-parameter": (
        "@hookimpl\ndef ocibuild_auth_providers(registry=None): return []",
        "defaulted parameter",
        "registry",
        "author",
    ),
    "wrapper": ("@hookimpl(wrapper=True)\ndef ocibuild_exporters(): return (yield)", "as a wrapper", "", "author"),
    "hook-raises": (HOOK + "raise OSError('disk')", "fails when ocibuild_auth_providers", "disk", "author"),
    "hook-exits": (HOOK + "raise SystemExit", "ends the program when", "exit status None", "author"),
    "generator-raises": (HOOK + "yield Provider('x'); raise OSError('later')", "fails when", "later", "author"),
    "endless-generator": (HOOK + "while True: yield Provider('x')", "more than 200 records", "", "author"),
    "returns-none": (HOOK + "return None", "returns the wrong type", "'NoneType'", "author"),
    "returns-text": (HOOK + "return 'x'", "returns the wrong type", "'str'", "author"),
    "returns-one": (HOOK + "return Provider('x')", "returns the wrong type", "'Provider'", "author"),
    "returns-classes": (HOOK + "return [Provider]", "returns the class 'Provider'", "Provider()", "author"),
    "returns-others": (HOOK + "return [42]", "type 'int' where an AuthProvider is due", "subclass", "author"),
    "exporter-as-provider": (HOOK + "return [Writer('x')]", "type 'Writer' where an AuthProvider", "", "author"),
    "no-name": (
        "class Bare(Provider):\n    def __init__(self): pass\n" + HOOK + "return [Bare()]",
        "without a name",
        "Bare",
        "author",
    ),
    "name-property-raises": (
        "class Odd(Provider):\n    name = property(lambda self: 1 / 0)\n    def __init__(self): pass\n"
        + HOOK
        + "return [Odd()]",
        "fails",
        "ZeroDivisionError",
        "author",
    ),
    "invalid-name": (HOOK + "return [Provider('Not Good')]", "invalid name 'Not Good'", "lower-case words", "author"),
    "reserved-name": (HOOK + "return [Provider('none')]", "invalid name 'none'", "reserved", "author"),
    "no-summary": (HOOK + "return [Provider('x', summary=' ')]", "without a summary", "one line", "author"),
    "summary-of-two-lines": (HOOK + "return [Provider('x', summary='a\\nb')]", "without a summary", "", "author"),
    "aliases-as-text": (HOOK + "return [Provider('x', aliases='ab')]", "aliases that are no tuple", "str", "author"),
    "invalid-alias": (HOOK + "return [Provider('x', aliases=('A!',))]", "invalid alias 'A!'", "", "author"),
    "alias-twice": (HOOK + "return [Provider('x', aliases=('x',))]", "auth provider 'x' twice", "", "author"),
    "options-as-list": (HOOK + "return [Provider('x', options=[])]", "options of the wrong type", "tuple", "author"),
    "option-twice": (
        HOOK + "return [Provider('x', options=(Option(name='a', help='A'), Option(name='a', help='B')))]",
        "option 'a' of 'x' twice",
        "",
        "author",
    ),
    "invalid-option": (HOOK + "return [Provider('x', options=(Option(name='A b', help='A'),))]", "fails", "", "author"),
    "provider-twice": (HOOK + "return [Provider('x'), Provider('x')]", "auth provider 'x' twice", "", "author"),
    "abstract-provider": (
        "class Half(AuthProvider):\n    name = 'half'; summary = 'Half.'\n" + HOOK + "return [Half()]",
        "fails when",
        "abstract",
        "author",
    ),
    "removes-itself": (
        "import sys\ndel sys.modules[__name__]\n" + HOOK + "return []",
        "fails while it is imported",
        "KeyError",
        "author",
    ),
}


@pytest.mark.parametrize(("source", "what", "why", "do"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_plugin_is_named_with_cause_and_remedy_and_leaves_the_others_alone(
    site: Site, source: str, what: str, why: str, do: str
) -> None:
    site.add("broken", source or "\n", version="0.7")
    site.add("good")
    catalog = site.load()
    assert [loaded.source.id for loaded in catalog.providers] == ["good"]
    assert state(catalog, "broken").status is PluginStatus.BROKEN
    with pytest.raises(PluginError) as caught:
        catalog.provider("broken")
    message = str(caught.value)
    assert message.startswith("plugin 'broken' (ocibuild-broken 0.7): ")
    assert what in message.splitlines()[0]
    assert why in message
    assert do in message.partition("  do  ")[2]
    (remark,) = catalog.remarks()
    assert remark.startswith("plugin 'broken' (ocibuild-broken 0.7) is not used: ")
    assert what in remark
    assert "\n" not in remark


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("no_such_module_at_all", "there is no module 'no_such_module_at_all'"),
        ("json.no_such_part", "there is no module 'json.no_such_part'"),
        ("json:no_such_attribute", "there is no attribute 'no_such_attribute'"),
        ("not a module", "neither module nor module:attribute"),
        ("", "neither module nor module:attribute"),
    ],
)
def test_entry_point_that_points_nowhere(site: Site, value: str, why: str) -> None:
    site.metadata("ocibuild-lost", "1.0", f"lost = {value}")
    assert why in str(state(site.load(), "lost").error())


def test_module_that_the_plugin_misses_is_found_in_its_extra(site: Site) -> None:
    site.add("a", "import aws_sdk", requires=('Aws.Sdk>=2; extra == "cloud"',))
    site.add("b", "import aws_sdk.client", requires=("aws-sdk",))
    catalog = site.load()
    assert state(catalog, "a").error().do == "pip install 'ocibuild-a[cloud]'"
    assert state(catalog, "b").error().do == "pip install aws-sdk"


def test_two_distributions_with_one_id_are_both_named_and_neither_is_imported(site: Site) -> None:
    first = site.add("same", distribution="ocibuild-one", version="1")
    second = site.add("same", distribution="ocibuild-two", version="2")
    site.add("good")
    catalog = site.load()
    assert [loaded.source.id for loaded in catalog.providers] == ["good"]
    assert not {first, second} & set(sys.modules)
    with pytest.raises(PluginError) as caught:
        catalog.provider("same")
    assert "several distributions claim its id: ocibuild-one 1, ocibuild-two 2" in str(caught.value)
    assert "uninstall all but one" in str(caught.value)


def test_one_distribution_that_claims_an_id_twice(site: Site) -> None:
    module = site.add("same")
    site.metadata("ocibuild-same", "1.0", f"same = {module}\nsame = {module}:Provider")
    catalog = site.load()
    assert catalog.providers == ()
    assert all("two entry points with the same id" in str(found.error()) for found in catalog.plugins)


def test_two_ids_for_one_object(site: Site) -> None:
    module = site.add("first")
    site.metadata("ocibuild-second", "1.0", f"second = {module}")
    catalog = site.load()
    assert [loaded.source.id for loaded in catalog.providers] == ["first"]
    assert "points at the same object as plugin 'first'" in str(state(catalog, "second").error())


def test_plugin_that_equals_everything_does_not_push_others_out(site: Site) -> None:
    source = "class Odd:\n    def __eq__(self, other): return True\n    __hash__ = None\nodd = Odd()"
    module = site.add("a-odd", source)
    site.metadata("ocibuild-a-odd", "1.0", f"a-odd = {module}:odd")
    site.add("good")
    assert [loaded.source.id for loaded in site.load().providers] == ["good"]


@pytest.mark.parametrize("plugin_id", ["Upper", "with space", "esc\x1b[31m", "-dash"])
def test_invalid_id_is_broken_and_never_imported(site: Site, plugin_id: str) -> None:
    module = site.add("fine")
    site.metadata("ocibuild-fine", "1.0", f"{plugin_id} = {module}")
    (found,) = site.load().plugins
    assert found.status is PluginStatus.BROKEN
    assert "invalid id" in found.line()
    assert "\x1b" not in str(found.error())
    assert module not in sys.modules


def test_host_keeps_its_id_against_a_stranger(site: Site) -> None:
    module = site.add("core", distribution="ocibuild-evil")
    catalog = site.load()
    assert "claims the id 'core', which is ocibuild's own" in str(state(catalog, "core").error())
    assert module not in sys.modules


def test_text_of_a_plugin_cannot_write_to_the_terminal_at_will(site: Site) -> None:
    site.add("loud", "raise ValueError('a\\x1b[2J\\nb' + 'c' * 5000)", version="1\x1b[31m")
    message = str(state(site.load(), "loud").error())
    assert "\x1b" not in message
    assert len(message) < 700
    assert "a?[2J b" in message


def test_what_a_plugin_prints_goes_to_stderr_and_is_named(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    site.add(
        "loud", "import os, sys\nprint('hello')\nos.write(1, b'low level')\nkept = sys.stdout\n" + HOOK + "return []"
    )
    site.load()
    sys.stdout.write("after")
    captured = capfd.readouterr()
    assert captured.out == "after"
    assert "hello" in captured.err
    assert "low level" in captured.err


def test_chatter_is_remarked_on(site: Site) -> None:
    site.add("loud", "print('hello\\n\\x1b[1mthere')\n" + HOOK + "return []")
    (remark,) = site.load().remarks()
    assert remark == "plugin 'loud' (ocibuild-loud 1.0) wrote to stdout while it was imported: hello ?[1mthere"


def test_slow_import_is_remarked_on(site: Site) -> None:
    site.add("slow", "import time\ntime.sleep(0.6)\n" + HOOK + "return []")
    (remark,) = site.load().remarks()
    assert remark.startswith("plugin 'slow' (ocibuild-slow 1.0) took 0.")


def test_hanging_import_is_named_while_it_hangs(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    site.add("stuck", "import time\ntime.sleep(5)\n" + HOOK + "return []")
    site.load()
    assert time.monotonic() - started >= 5
    assert "still importing plugin 'stuck' (ocibuild-stuck 1.0); --no-plugin" in capfd.readouterr().err


@pytest.mark.parametrize("where", ["", HOOK], ids=["import", "hook"])
@pytest.mark.parametrize("wish", [KeyboardInterrupt(), Interrupted(15)])
def test_interrupt_is_the_users_not_the_plugins(site: Site, wish: BaseException, where: str) -> None:
    site.add("slow", f"from ocibuild_core.errors import Interrupted\n{where}raise {wish!r}")
    with pytest.raises(type(wish)):
        site.load()
    assert sys.stdout.write("") == 0


def test_unknown_name_lists_what_is_installed_and_what_is_broken(site: Site) -> None:
    site.offer("good", providers="[Provider('harbour', aliases=('hb',))]")
    site.add("bad", "import no_such_sdk")
    with pytest.raises(PluginError) as caught:
        site.load().provider("habour")
    message = str(caught.value)
    assert "no auth provider 'habour' is installed; did you mean 'harbour'?" in message
    assert "installed: harbour, hb" in message
    assert "plugin 'bad' (ocibuild-bad 1.0) is not used: misses a module" in message
    assert caught.value.do == "write harbour"
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(("name", "extra"), [("ecr", "ecr"), ("GCR", "gcr"), ("basic", "basic"), ("PASS", "basic")])
def test_unknown_name_that_ocibuild_ships_is_hinted_as_an_extra(site: Site, name: str, extra: str) -> None:
    site.offer("near", providers="[Provider('ecrs'), Provider('gcrs'), Provider('basics')]")
    with pytest.raises(PluginError) as caught:
        site.load().provider(name)
    assert caught.value.do == f"pip install 'ocibuild-core[{extra}]'"
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("name", ["rm -rf /", "../x", "", "harbor", "all", "engine", "bsaic"])
def test_no_pip_command_is_proposed_for_what_is_no_name(site: Site, name: str) -> None:
    with pytest.raises(PluginError) as caught:
        site.load().provider(name)
    assert "pip" not in str(caught.value)


def test_unknown_exporter_is_never_hinted_as_a_distribution(site: Site) -> None:
    site.offer("out", exporters="[Writer('docker')]")
    for name, do in {
        "dockr": "write docker",
        "ecr": "install the plugin that offers it\nor, if it is a directory: --output ./ecr",
    }.items():
        with pytest.raises(PluginError) as caught:
            site.load().exporter(name)
        assert caught.value.do == do


def test_blocked_plugin_is_not_imported_and_says_so_to_whom_asks(site: Site) -> None:
    module = site.add("blocked", "raise SystemExit")
    catalog = site.load(Selection(blocked={"blocked": "--no-plugin blocked"}))
    assert state(catalog, "blocked").status is PluginStatus.BLOCKED
    assert module not in sys.modules
    assert catalog.remarks() == ()
    with pytest.raises(PluginError, match="is blocked") as caught:
        catalog.provider("blocked")
    assert caught.value.why == "by --no-plugin blocked"


def test_block_of_nothing_is_remarked_on(site: Site) -> None:
    site.add("good")
    (remark,) = site.load(Selection(blocked={"godo": "--no-plugin godo"})).remarks()
    assert remark == "--no-plugin godo: no plugin 'godo' is installed"


def test_allow_list_is_closed_and_counts_on_what_it_lists(site: Site) -> None:
    other = site.add("other")
    site.add("listed")
    selection = Selection(allowed=frozenset({"listed", "absent", "core"}), allowed_by="OCIBUILD_PLUGINS")
    catalog = site.load(selection)
    assert [loaded.source.id for loaded in catalog.providers] == ["listed"]
    assert other not in sys.modules
    assert state(catalog, "other").status is PluginStatus.BLOCKED
    with pytest.raises(PluginError, match=r"plugin 'absent'.*is listed by OCIBUILD_PLUGINS, but not installed"):
        catalog.check_allowed()


def test_listed_plugin_that_is_broken_is_an_error_too(site: Site) -> None:
    site.add("listed", "raise OSError('boom')")
    catalog = site.load(Selection(allowed=frozenset({"listed"})))
    with pytest.raises(PluginError, match="boom"):
        catalog.check_allowed()


def test_blocking_one_of_two_that_conflict_frees_the_other(site: Site) -> None:
    site.offer("a", providers="[Provider('x')]")
    site.offer("b", providers="[Provider('x')]")
    assert site.load().providers == ()
    assert site.load(Selection(blocked={"b": "--no-plugin b"})).provider("x").source.id == "a"
