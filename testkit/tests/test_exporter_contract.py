"""Each deliberately bad exporter fails the one test of the contract that is about its fault; a good one passes all."""

from __future__ import annotations

import sys
from textwrap import dedent, indent

import pytest

pytest_plugins = ["pytester"]

GOOD = """
    import json
    import os
    import tarfile
    from pathlib import Path

    from ocibuild_core.plugin import (
        Artifact, BuildOutput, ExportError, Exporter, ExportPlan, Option, OptionType, Secret, hookimpl,
    )

    ARCHIVE = BuildOutput(type="oci")
    TREE = BuildOutput(type="tar")


    class Made(Exporter):
        name = "made"
        summary = "Lists what is in the image."
        options = (Option(name="key", help="Signs the list", type=OptionType.SECRET),)

        def plan(self, request):
            return ExportPlan(
                outputs=(ARCHIVE, TREE, BuildOutput(type="image", attributes={"push": "true"}, has_file=False)),
                destinations=(request.directory / "list.json", request.directory / "image.tar"),
            )

        def finish(self, request, results):
            try:
                with tarfile.open(results.files[ARCHIVE]) as archive:
                    index = json.load(archive.extractfile("index.json"))
                with tarfile.open(results.files[TREE]) as tree:
                    names = tree.getnames()
            except (tarfile.TarError, OSError, KeyError, ValueError) as error:
                raise ExportError("cannot read the image", why=type(error).__name__) from None
            request.log.info("%d files", len(names))
            made = results.staging / "list.json"
            made.write_text(json.dumps({"digest": index["manifests"][0]["digest"], "files": names}))
            return [
                Artifact(source=made, destination=request.directory / "list.json", description="list of files"),
                Artifact(source=results.files[ARCHIVE], destination=request.directory / "image.tar"),
                Artifact(source=None, destination="r.example/app:1", description="pushed"),
            ]


    @hookimpl
    def ocibuild_exporters():
        return [Made()]
"""

TESTS = """
    import pytest
    from made_plugin import {name} as Made
    from ocibuild_core.plugin import Secret
    from ocibuild_testkit.contracts import ExporterContract


    class TestMade(ExporterContract):
        @pytest.fixture
        def exporter(self):
            return Made()

        @pytest.fixture
        def options(self):
            return {{"key": Secret("correct horse battery")}}
"""

ALL_TESTS = 10

BAD = {
    "writes where the result will be": (
        "test_writes_in_the_staging_area_alone",
        "finish changed files outside staging",
        """
        def finish(self, request, results):
            (request.directory / "list.json").write_text("early")
            return super().finish(request, results)
        """,
    ),
    "changes the file of BuildKit": (
        "test_writes_in_the_staging_area_alone",
        "finish changed files outside staging",
        """
        def finish(self, request, results):
            found = super().finish(request, results)
            with results.files[ARCHIVE].open("ab") as file:
                file.write(b"more")
            return found
        """,
    ),
    "hands over a file from elsewhere": (
        "test_writes_in_the_staging_area_alone",
        "is neither in the staging area nor a file of BuildKit",
        """
        def finish(self, request, results):
            found = super().finish(request, results)
            elsewhere = results.staging.parent / "elsewhere"
            elsewhere.write_text("x")
            return [Artifact(source=elsewhere, destination=found[0].destination), *found[1:]]
        """,
    ),
    "makes what it did not plan": (
        "test_makes_what_it_planned",
        "more.txt is written, but not in the plan",
        """
        def finish(self, request, results):
            found = super().finish(request, results)
            return [*found, Artifact(source=found[0].source, destination=request.directory / "more.txt")]
        """,
    ),
    "does not make what it planned": (
        "test_makes_what_it_planned",
        "list.json is planned, but not made",
        """
        def finish(self, request, results):
            return super().finish(request, results)[1:]
        """,
    ),
    "names a file that it did not make": (
        "test_makes_what_it_planned",
        "was not made",
        """
        def finish(self, request, results):
            found = super().finish(request, results)
            found[0].source.unlink()
            return found
        """,
    ),
    "plans a relative path": (
        "test_plans_outputs_and_destinations",
        "the destination list.json is not absolute",
        """
        def plan(self, request):
            plan = super().plan(request)
            return ExportPlan(outputs=plan.outputs, destinations=(*plan.destinations, Path("list.json")))

        def finish(self, request, results):
            found = super().finish(request, results)
            return [*found, Artifact(source=found[0].source, destination=Path("list.json"))]
        """,
    ),
    "tells BuildKit where to write": (
        "test_plans_outputs_and_destinations",
        "where BuildKit writes is the host's",
        """
        def plan(self, request):
            plan = super().plan(request)
            own = BuildOutput(type="oci", attributes={"dest": "/tmp/x"})
            return ExportPlan(outputs=(*plan.outputs, own), destinations=plan.destinations)
        """,
    ),
    "makes a directory to plan": (
        "test_plans_without_io",
        "plan does I/O",
        """
        def plan(self, request):
            request.directory.mkdir(exist_ok=True)
            return super().plan(request)
        """,
    ),
    "plans otherwise when it is asked again": (
        "test_plans_the_same_when_asked_again",
        "plan gives another answer",
        """
        asked = 0

        def plan(self, request):
            self.asked += 1
            plan = super().plan(request)
            more = BuildOutput(type="image", attributes={"asked": str(self.asked)}, has_file=False)
            return ExportPlan(outputs=(*plan.outputs, more), destinations=plan.destinations)
        """,
    ),
    "raises what comes": (
        "test_raises_documented_errors_alone",
        "finish raised FileNotFoundError (a file that is not there)",
        """
        def finish(self, request, results):
            results.files[ARCHIVE].stat()
            return super().finish(request, results)
        """,
    ),
    "reads os.environ": (
        "test_reads_no_environment_behind_the_hosts_back",
        "reads MADE_KEY",
        """
        def finish(self, request, results):
            os.environ.get("MADE_KEY")
            return super().finish(request, results)
        """,
    ),
    "logs its key": (
        "test_says_no_secret",
        "the option 'key' (plain) in its log",
        """
        def finish(self, request, results):
            request.log.debug("signing with %s", request.options.secret("key").reveal())
            return super().finish(request, results)
        """,
    ),
    "puts its key into an error": (
        "test_says_no_secret",
        "the option 'key' (plain) in an error",
        """
        def finish(self, request, results):
            try:
                return super().finish(request, results)
            except ExportError:
                raise ExportError(f"{request.options.secret('key').reveal()} does not sign") from None
        """,
    ),
    "has no summary": (
        "test_describes_itself",
        "summary is empty",
        """
        summary = " "
        """,
    ),
}


def test_a_good_exporter_passes(pytester: pytest.Pytester) -> None:
    run_contract(pytester, GOOD, "Made").assert_outcomes(passed=ALL_TESTS)


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_exporter_fails_the_test_that_is_about_it(pytester: pytest.Pytester, fault: str) -> None:
    expected, words, body = BAD[fault]
    source = f"{dedent(GOOD)}\n\nclass Bad(Made):\n{indent(dedent(body), '    ')}"

    result = run_contract(pytester, source, "Bad")

    assert failed_tests(result) == [expected]
    result.assert_outcomes(failed=1, passed=ALL_TESTS - 1)
    result.stdout.fnmatch_lines([f"*{words}*"])


def test_a_heavy_import_at_load_is_found(pytester: pytest.Pytester) -> None:
    result = run_contract(pytester, f"    import bcrypt\n{GOOD}", "Made")

    assert failed_tests(result) == ["test_imports_nothing_heavy_when_it_is_loaded"]


def run_contract(pytester: pytest.Pytester, plugin: str, name: str) -> pytest.RunResult:
    pytester.makepyfile(made_plugin=dedent(plugin))
    pytester.makepyfile(test_made=dedent(TESTS.format(name=name)))
    pytester.syspathinsert()
    sys.modules.pop("made_plugin", None)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider")


def failed_tests(result: pytest.RunResult) -> list[str]:
    summary = [line.split()[1] for line in result.outlines if line.startswith("FAILED test_made.py::")]
    return [name.rpartition("::")[2] for name in summary]
