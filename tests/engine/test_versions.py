import pytest
from ocibuild_core.engine.versions import CACHE_LIMIT, OCI_LAYOUTS, SEVERAL_OUTPUTS, check_features, parse_version
from ocibuild_core.errors import EngineError


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("buildkitd github.com/moby/buildkit v0.32.2 \n", (0, 32, 2)),
        ("buildctl github.com/moby/buildkit v0.13.0-rc1 abcdef", (0, 13, 0)),
        ("buildctl github.com/moby/buildkit 0.12.5 bac3f2b", (0, 12, 5)),
        ("BuildKit:   github.com/moby/buildkit v1.2.3 0\nDockerfile: 1.20\n", (1, 2, 3)),
        ("buildkitd github.com/moby/buildkit 0.0.0+unknown", None),
        ("buildkitd github.com/moby/buildkit v0.9", None),
        ("", None),
    ],
)
def test_versions_are_read_from_what_the_programs_print(printed: str, version: tuple[int, int, int] | None) -> None:
    assert parse_version(printed) == version


def test_an_old_one_is_named_with_the_version_that_all_its_features_need() -> None:
    with pytest.raises(EngineError) as caught:
        check_features((0, 12, 5), [OCI_LAYOUTS, SEVERAL_OUTPUTS, CACHE_LIMIT], what="/usr/bin/buildkitd on PATH")
    assert str(caught.value).splitlines() == [
        "/usr/bin/buildkitd on PATH is too old: BuildKit 0.12.5, needed is 0.17.0 or newer",
        "  why    several outputs of one build came with 0.13.0; a limit for the kept cache came with 0.17.0",
        "  do     update it, or take it off PATH and: pip install ocibuild-buildkit",
    ]


@pytest.mark.parametrize("found", [(0, 17, 0), (1, 0, 0), None])
def test_a_new_enough_or_unknown_one_passes(found: tuple[int, int, int] | None) -> None:
    check_features(found, [SEVERAL_OUTPUTS, CACHE_LIMIT], what="it")
