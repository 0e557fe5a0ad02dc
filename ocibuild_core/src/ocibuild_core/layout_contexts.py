"""Named contexts that are OCI layouts: which image of the layout is meant, as docker buildx takes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocibuild_core.errors import UsageError
from ocibuild_core.places import is_directory, is_file
from ocibuild_core.records import NamedTuple
from ocibuild_core.settings.values import LAYOUT_SCHEME

if TYPE_CHECKING:
    from ocibuild_core.settings.model import Pair

_NAME = "org.opencontainers.image.ref.name"
_DEFAULT_TAG = "latest"


class LayoutContext(NamedTuple):
    """The directory of a layout, and the digest of a manifest or index in it."""

    directory: str
    digest: str


def layout_context(pair: Pair) -> LayoutContext:
    """`oci-layout://DIRECTORY[:TAG][@DIGEST]`; without both, `latest`, or the only image that there is.

    Raises UsageError when the directory is no layout, or has no such image.
    """
    directory, _, digest = pair.value.removeprefix(LAYOUT_SCHEME).partition("@")
    tag = ""
    if not is_directory(directory):
        before, colon, after = directory.rpartition(":")
        directory, tag = (before, after) if colon else (directory, "")
    manifests = _manifests(pair, directory)
    if digest:
        if not is_file(Path(directory) / "blobs" / digest.replace(":", "/", 1)):
            raise _error(pair, f"{directory} has no {digest}", why="there is no such blob in it")
        return LayoutContext(directory, digest)
    wanted = tag or _DEFAULT_TAG
    found = [one for one in manifests if (one.get("annotations") or {}).get(_NAME) == wanted]
    if not found and not tag and len({str(one.get("digest")) for one in manifests}) == 1:
        found = manifests  # with several tags, it may be
    if not found:
        names = [str((one.get("annotations") or {}).get(_NAME, one.get("digest"))) for one in manifests]
        raise _error(pair, f"{directory} has no image {wanted!r}", why=f"it has {', '.join(names) or 'none'}")
    return LayoutContext(directory, str(found[0].get("digest")))


def _manifests(pair: Pair, directory: str) -> list[dict[str, Any]]:
    try:
        manifests = json.loads((Path(directory) / "index.json").read_bytes())["manifests"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        why = error.strerror if isinstance(error, OSError) else "index.json is missing or damaged"
        raise _error(pair, f"{directory!r} is no OCI layout", why=why or "") from None
    return [one for one in manifests if isinstance(one, dict)] if isinstance(manifests, list) else []


def _error(pair: Pair, summary: str, *, why: str) -> UsageError:
    do = f"write {LAYOUT_SCHEME}DIRECTORY:TAG or @DIGEST"
    return UsageError(f"{pair.origin} {pair.key}: {summary}", why=why, do=do)
