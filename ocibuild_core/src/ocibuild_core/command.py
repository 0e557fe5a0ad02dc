"""One solve as the arguments of `buildctl build`: pure, for the run and for `--print` alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.image_args import image_arguments
from ocibuild_core.inputs import annotation_attributes, timestamp_attributes
from ocibuild_core.plan import output_argument

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ocibuild_core.export_records import BuildOutput
    from ocibuild_core.image_args import ImageArgument
    from ocibuild_core.plan import BuildPlan
    from ocibuild_core.settings.model import BuildSettings


def solve_arguments(  # noqa: PLR0913  # each from another part
    settings: BuildSettings,
    plan: BuildPlan,
    *,
    progress: str,
    metadata: Path,
    files: Mapping[BuildOutput, Path],
    images: Sequence[ImageArgument],
    proxy_args: Mapping[str, str],
) -> list[str]:
    """The arguments.

    Args:
        settings: what was asked for.
        plan: what is built and what becomes of it.
        progress: the value of `--progress`.
        metadata: where BuildKit writes its metadata.
        files: where it writes each output that has a file.
        images: images that lie in files.
        proxy_args: build arguments of the user's docker config; those of the build count more.
    """
    arguments = ["--progress", progress, "--metadata-file", str(metadata), *plan.arguments]
    given = {pair.key for pair in settings.build_args}
    for name, value in proxy_args.items():
        if name not in given:
            arguments += ["--opt", f"build-arg:{name}={value}"]
    arguments += image_arguments(images)
    for output in plan.outputs:
        more = {**timestamp_attributes(settings, output.type), **annotation_attributes(settings, output.type)}
        own = {key: value for key, value in more.items() if key not in output.attributes}
        arguments += ["--output", output_argument(output, files.get(output), own)]
    return arguments
