import tomllib
from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocibuild_core.engine.config import Tables, check_extra, merge, own_tables, render
from ocibuild_core.errors import UsageError

OWN = own_tables(
    root=Path("/state/root"),
    runtime=Path("/run/x"),
    runc=Path("/opt/bin/runc"),
    cgroup_parent="ocibuild-1",
    is_rootless=True,
    max_cache=5 * 10**9,
    collects=False,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.one_of(
    TEXT,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.dates(),
    st.times(),
    st.datetimes(),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=10)


@settings(max_examples=60)
@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_what_is_written_is_read_back(tables: Tables) -> None:
    assert tomllib.loads(render(tables)) == tables


def test_times_with_a_zone_are_read_back() -> None:
    tables = {"a": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "b": date(2026, 1, 2), "c": time(3, 4)}
    assert tomllib.loads(render(tables)) == tables


def test_tables_of_user_and_engine_become_one() -> None:
    extra = {
        "registry": {"docker.io": {"mirrors": ["mirror.example"]}, "r.example:5000": {"http": True, "ca": ["/ca.pem"]}},
        "worker": {"oci": {"max-parallelism": 4, "maxUsedSpace": "1GB"}},
    }
    tables = tomllib.loads(render(merge(OWN, extra)))

    assert tables["registry"] == extra["registry"]
    assert tables["root"] == "/state/root"
    worker = tables["worker"]["oci"]
    assert (worker["max-parallelism"], worker["maxUsedSpace"], worker["rootless"]) == (4, "1GB", True)
    assert tables["worker"]["containerd"] == {"enabled": False}


def test_the_daemon_collects_no_garbage_while_steps_run() -> None:
    """It would hold the cache mounts, and the steps that want them get empty ones."""
    worker = OWN["worker"]
    assert isinstance(worker, dict)
    assert worker["oci"]["gc"] is False


def test_a_small_limit_bounds_what_is_reserved_too() -> None:
    worker = OWN["worker"]
    assert isinstance(worker, dict)
    assert (worker["oci"]["maxUsedSpace"], worker["oci"]["reservedSpace"]) == ("5000000000", "2000000000")


def test_the_history_of_builds_is_bounded_and_the_user_may_say_how() -> None:
    assert tomllib.loads(render(OWN))["history"] == {"maxEntries": 20, "maxAge": "1s"}
    assert merge(OWN, {"history": {"maxEntries": 5}})["history"] == {"maxEntries": 5, "maxAge": "1s"}


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"root": "/elsewhere"}, "root"),
        ({"Root": "/elsewhere"}, "root"),
        ({"grpc": {"address": ["tcp://0.0.0.0:1"]}}, "grpc.address"),
        ({"grpc": {}, "GRPC": {"Address": ["tcp://0.0.0.0:1"]}}, "grpc.address"),
        ({"otel": {"socketPath": "/x"}}, "otel.socketPath"),
        ({"worker": {"containerd": {"enabled": True}}}, "worker.containerd.enabled"),
        ({"worker": {"oci": {"enabled": False}}}, "worker.oci.enabled"),
        ({"worker": {"oci": {"binary": "crun"}}}, "worker.oci.binary"),
        ({"worker": {"oci": {"rootless": False}}}, "worker.oci.rootless"),
        ({"worker": {"oci": {"defaultCgroupParent": "/"}}}, "worker.oci.defaultCgroupParent"),
    ],
)
def test_what_the_engine_needs_for_itself_cannot_be_set(extra: Tables, named: str) -> None:
    with pytest.raises(UsageError, match=rf"may not set {named}\n"):
        check_extra(extra)


def test_a_table_where_a_value_is_expected_is_no_crash() -> None:
    check_extra({"grpc": "text", "worker": {"oci": []}})


@pytest.mark.parametrize("value", [None, object(), b"bytes", {"deep": [None]}])
def test_a_value_without_a_spelling_is_named(value: object) -> None:
    with pytest.raises(UsageError, match="no spelling for some"):
        check_extra({"some": value})


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(UsageError, match="UTF-8"):
        render({"a": "\udc80"})
