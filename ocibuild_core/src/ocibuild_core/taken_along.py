"""What earlier builds left inside the context: `COPY .` takes it into the next image, which grows each time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.inputs import is_remote_context
from ocibuild_core.needs import dockerfile_text
from ocibuild_core.places import is_directory, is_file
from ocibuild_core.plan import dockerfile_location

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocibuild_core.settings.model import BuildSettings

_WHOLE_CONTEXT = r"(?im)^[ \t]*(?:COPY|ADD)[ \t]+(?:--(?!from=)\S+[ \t]+)*(?:\.|\./|\*|/)[ \t]"


def taken_along(settings: BuildSettings, places: Iterable[Path]) -> tuple[str, ...]:
    """The places that lie in the context and go into the image, by their names there.

    Who has a `.dockerignore` knows of such things: then there are none.

    Args:
        settings: what is built.
        places: what builds write; absolute.
    """
    if is_remote_context(settings.context) or _has_ignore_file(settings):
        return ()
    context = Path(settings.context).resolve()
    inside = [place for place in places if place.resolve().is_relative_to(context) and _is_there(place)]
    if not inside or not re.search(_WHOLE_CONTEXT, dockerfile_text(settings)):
        return ()
    return tuple(dict.fromkeys(str(place.resolve().relative_to(context)) for place in inside))


def _has_ignore_file(settings: BuildSettings) -> bool:
    """Either name that BuildKit looks for (frontend/dockerui/context.go in moby/buildkit)."""
    return any(
        is_file(path)
        for path in (
            Path(settings.context) / ".dockerignore",
            f"{'/'.join(dockerfile_location(settings))}.dockerignore",
        )
    )


def _is_there(place: Path) -> bool:
    return is_file(place) or is_directory(place)
