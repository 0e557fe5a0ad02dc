"""What a build may use besides its context, as BuildKit wants it told. Pure: settings in, arguments out.

The frontend's options are those of frontend/dockerui/config.go in moby/buildkit, the client's flags those of
cmd/buildctl/build.go.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from ocibuild_core.csv_fields import join_fields, split_fields
from ocibuild_core.errors import UsageError
from ocibuild_core.places import closed, is_directory, is_pipe
from ocibuild_core.platforms import is_platform, native, normal, variables
from ocibuild_core.settings.values import LAYOUT_SCHEME, TOO_LARGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ocibuild_core.secret import Secret
    from ocibuild_core.settings.model import BuildSettings, Pair

_REMOTE_CONTEXT = r"(?:https?|git|ssh)://|git@|github\.com/"
_GIT_SOURCE = r"(?:git|ssh)://|git@|https?://[^?#]*\.git(?:[?#]|$)"
_SIZE = r"(?ai)(\d{1,19})([kmg]?)b?"
_LIMIT = r"(?a)([a-z]+)=(-1|\d{1,18})(?::(-1|\d{1,18}))?"
_LIMITS = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio"),
    *("rttime", "sigpending", "stack"),
)
"""Those of ulimit.go in docker/go-units, which BuildKit reads them with."""
_UNLIMITED = -1
_DATES = range(-62135596800, 253402300800)
"""Years 1 to 9999: an image's configuration holds no others (RFC 3339)."""
_ENTITLEMENTS = r"network\.host|security\.insecure|device(=.*)?"
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_CONTEXT_SCHEMES = ("docker-image://", "https://", "http://", "git://", "ssh://", "git@")
_NO_CONTEXTS = frozenset({"scratch", "context"})
"""Never replaced (`namedContextFunc` in frontend/dockerfile/dockerfile2llb/convert.go)."""
LARGEST_SECRET = 500 * 1024
"""What BuildKit takes (session/secrets/secretsprovider/store.go in moby/buildkit)."""
_USER_INFO = r"\w://(?:[^/@:\s]*:([^/@\s]+)|([^/@:\s]{20,}))@"
"""A password, or what is too long for a user's name: the tokens of GitHub and GitLab have 20 letters and more."""
_ANNOTATED_PART = r"(?:manifest|index)(?:-descriptor)?(?:\[[^\]]*\])?"
_TYPED_ANNOTATION = rf"({_ANNOTATED_PART}(?:,{_ANNOTATED_PART})*):(.+)"
_ANNOTATED = frozenset({"docker", "oci", "image"})


def is_remote_context(context: str) -> bool:
    """Whether BuildKit fetches the context itself."""
    return bool(re.match(_REMOTE_CONTEXT, context))


def has_local_dockerfile(settings: BuildSettings) -> bool:
    """Whether the Dockerfile is read here: with a context elsewhere, if a whole path names it, as in docker buildx."""
    return not is_remote_context(settings.context) or (settings.dockerfile or "").startswith("/")


def is_git_context(context: str) -> bool:
    """Whether the engine needs git for it (util/gitutil in moby/buildkit)."""
    return context.startswith("github.com/") or is_git_source(context)


def is_git_source(text: str) -> bool:
    """The same for what can be a path as well: a named context, or what ADD takes."""
    return bool(re.match(_GIT_SOURCE, text))


def input_options(settings: BuildSettings) -> dict[str, str]:
    """Options of the Dockerfile frontend. Raises UsageError."""
    options: dict[str, str] = {}
    platforms = chosen_platforms(settings)
    if platforms:
        options["platform"] = ",".join(platforms)
    if settings.add_hosts:
        origin = settings.origin("add_hosts")
        options["add-hosts"] = join_fields(_host_line(text, origin) for text in settings.add_hosts)
    if settings.network != "default":
        options["force-network-mode"] = settings.network
    if settings.ulimits:
        options["ulimit"] = join_fields(_limit(text, settings.origin("ulimits")) for text in settings.ulimits)
    if settings.shm_size:
        options["shm-size"] = str(_bytes(settings.shm_size, settings.origin("shm_size")))
    if settings.cgroup_parent:
        options["cgroup-parent"] = settings.cgroup_parent
    if settings.no_cache_filter:
        # Split at each comma, whatever quotes say (frontend/dockerui/config.go), so that one text may name several.
        options["no-cache"] = ",".join(settings.no_cache_filter)
    if settings.source_date_epoch and not _has_build_arg(settings, "SOURCE_DATE_EPOCH"):
        options["build-arg:SOURCE_DATE_EPOCH"] = _seconds(settings)
    if settings.check:
        options["requestid"] = "frontend.lint"
    return options


def input_arguments(settings: BuildSettings) -> list[str]:
    """Arguments of `buildctl build` besides the frontend's options. Raises UsageError."""
    arguments: list[str] = []
    for fields in _secrets(settings):
        arguments += ["--secret", join_fields(fields)]
    for text in settings.ssh:
        arguments += ["--ssh", text]
    for entitlement in entitlements(settings):
        arguments += ["--allow", entitlement]
    for position, pair in enumerate(settings.build_contexts):
        arguments += _context_arguments(pair, f"build-context-{position}")
    return arguments


def chosen_platforms(settings: BuildSettings) -> tuple[str, ...]:
    """The platforms that were asked for, in that order; empty means the engine's own. Raises UsageError."""
    platforms = tuple(part.strip() for text in settings.platforms for part in text.split(","))
    if settings.platforms and not all(platforms):
        raise UsageError(f"{settings.origin('platforms')}: an empty platform", do="write linux/amd64,linux/arm64")
    bogus = next((part for part in platforms if not is_platform(part)), None)
    if bogus is not None:
        do = "write OS/ARCH as linux/amd64, linux/arm64 or linux/arm/v7"
        raise UsageError(f"{settings.origin('platforms')} {bogus!r}: there is no such platform", do=do)
    return tuple(dict.fromkeys(native() or part if part == "local" else part for part in platforms))


def platform_arguments(settings: BuildSettings) -> list[dict[str, str]]:
    """What `TARGETARCH` and its kin hold, for each platform; none where an engine elsewhere has its own."""
    here = native()
    if settings.addr or not here:
        return []
    return [variables(normal(target), built_on=here) for target in chosen_platforms(settings) or (here,)]


def entitlements(settings: BuildSettings) -> tuple[str, ...]:
    """What the build may do that a build may not by itself; the host's network includes the permission for it.

    Raises UsageError for one that BuildKit does not know (util/entitlements in moby/buildkit).
    """
    unknown = next((name for name in settings.allow if not re.fullmatch(_ENTITLEMENTS, name)), None)
    if unknown is not None:
        do = "use network.host, security.insecure or device"
        raise UsageError(f"{settings.origin('allow')} {unknown!r}: no such entitlement", do=do)
    needed = ("network.host",) if settings.network == "host" else ()
    return tuple(dict.fromkeys((*settings.allow, *needed)))


def secret_variables(settings: BuildSettings) -> tuple[str, ...]:
    """The variables of the user's environment that may hold secrets of the build. Raises UsageError."""
    named = (fields.get("env", "" if "src" in fields else fields["id"]) for fields in secret_fields(settings))
    return tuple(name for name in named if name)


def secret_paths(settings: BuildSettings, env: Mapping[str, str]) -> tuple[str, ...]:
    """The files that hold secrets of the build. Raises UsageError."""
    named = (fields.get("src", "" if "env" in fields else fields["id"]) for fields in secret_fields(settings))
    bare = {fields["id"] for fields in secret_fields(settings) if fields.keys() == {"id"}}
    return tuple(path for path in named if path and not (path in bare and path in env))


def secret_fields(settings: BuildSettings) -> Iterator[dict[str, str]]:
    """`id`, and where each secret is: `src` or `env`. With neither it is BuildKit's to look (`_secret_flag`).

    Raises UsageError.
    """
    return map(_by_key, _secrets(settings))


def secret_values(settings: BuildSettings, env: Mapping[str, str]) -> Iterator[Secret]:
    """The secrets of the build, for whoever masks them; what cannot be read is left out.

    So are the passwords in addresses, which BuildKit repeats.
    """
    from pathlib import Path  # noqa: PLC0415  # only for a build

    from ocibuild_core.secret import Secret  # noqa: PLC0415

    contexts = (pair.value for pair in settings.build_contexts)
    for address in (settings.context, settings.addr or "", *settings.registry_mirrors, *contexts):
        yield from map(Secret, _passwords(address))
    for name in secret_variables(settings):
        yield Secret(env.get(name, "").strip())
    for path in secret_paths(settings, env):
        if is_pipe(path):
            continue
        with suppress(OSError), Path(path).open("rb") as file:
            yield Secret(file.read(LARGEST_SECRET).decode("utf-8", "surrogateescape").strip())


def _passwords(address: str) -> Iterator[str]:
    """What `SCHEME://USER:PASSWORD@` holds, as it is and decoded; also a token that stands for the user."""
    found = re.search(_USER_INFO, address)
    if found:
        from urllib.parse import unquote  # noqa: PLC0415  # pathlib has loaded it

        text = found[1] or found[2]
        yield text
        yield unquote(text)


def annotation_attributes(settings: BuildSettings, output_type: str) -> dict[str, str]:
    """What an output of that type is told about annotations (docs/annotations.md in moby/buildkit)."""
    if output_type not in _ANNOTATED:
        return {}
    return {name: pair.value for pair in settings.annotations for name in annotation_names(pair.key)}


def timestamp_attributes(settings: BuildSettings, output_type: str) -> dict[str, str]:
    """What an output of that type is told about the times of files: none may be later than the date that was asked for.

    Without it the date would be that of the image's configuration alone (docs/build-repro.md in moby/buildkit).
    """
    has_date = settings.source_date_epoch or _has_build_arg(settings, "SOURCE_DATE_EPOCH")
    return {"rewrite-timestamp": "true"} if has_date and output_type in _ANNOTATED else {}


def annotation_names(key: str) -> Iterator[str]:
    """`index,manifest[linux/arm64]:KEY`: an attribute for each part of the image that is annotated."""
    typed = re.fullmatch(_TYPED_ANNOTATION, key)
    if not typed:
        yield f"annotation.{key}"
        return
    for part in re.findall(_ANNOTATED_PART, typed[1]):
        yield f"annotation-{part}.{typed[2]}"


def _has_build_arg(settings: BuildSettings, name: str) -> bool:
    return any(pair.key == name for pair in settings.build_args)


def _secrets(settings: BuildSettings) -> Iterator[tuple[str, ...]]:
    """The fields of each `--secret`; later ones of an id win in BuildKit, so the flags come last."""
    for pair in settings.secret_files:
        yield f"id={pair.key}", f"src={pair.value}"
    for pair in settings.secret_texts:
        yield f"id={pair.key}", f"env={pair.value}"
    for text in settings.secrets:
        yield _secret_flag(text, settings.origin("secrets"))


def _secret_flag(text: str, origin: str) -> tuple[str, ...]:
    """`id=ID` with `src=`, `source=` or `env=`; alone, the variable of that name, or where there is none the file.

    That is BuildKit's own rule (session/secrets/secretsprovider/store.go in moby/buildkit).
    """
    fields = _by_key(split_fields(text, origin))
    kind = fields.pop("type", "file")
    name = fields.get("id") or fields.get("env", "")
    unknown = fields.keys() - {"id", "src", "source", "env"}
    if not name or unknown or kind not in ("file", "env"):
        raise UsageError(f"{origin}: not a secret", do=f"write {origin} id=NAME,src=FILE or id=NAME,env=VARIABLE")
    source = fields.get("src") or fields.get("source")
    if kind == "env":
        return f"id={name}", f"env={fields.get('env') or source or name}"
    if source:
        return f"id={name}", f"src={source}"
    return (f"id={name}", f"env={fields['env']}") if fields.get("env") else (f"id={name}",)


def _by_key(fields: Sequence[str]) -> dict[str, str]:
    return {key.strip().lower(): value for key, _, value in (field.partition("=") for field in fields)}


def _host_line(text: str, origin: str) -> str:
    """`HOST=IP`, also with the colon of docker; an IPv6 address may stand in brackets."""
    found = re.fullmatch(r"\s*([^=:\s]+)[=:]\[?([^\]\s]+)\]?\s*", text)
    if not found:
        raise UsageError(f"{origin} {text!r}: not a host and its address", do=f"write {origin} HOST=IP")
    import ipaddress  # noqa: PLC0415  # only where a host is added

    try:
        ipaddress.ip_address(found[2])
    except ValueError:
        raise UsageError(f"{origin} {text!r}: {found[2]!r} is no address", do=f"write {origin} HOST=IP") from None
    return f"{found[1]}={found[2]}"


def _limit(text: str, origin: str) -> str:
    found = re.fullmatch(_LIMIT, text)
    if not found:
        raise UsageError(f"{origin} {text!r}: not a limit", do=f"write {origin} nofile=1024:2048")
    if found[1] not in _LIMITS:
        raise UsageError(f"{origin} {text!r}: there is no limit {found[1]!r}", do=f"use one of {', '.join(_LIMITS)}")
    soft, hard = (int(number or found[2]) for number in found.group(2, 3))
    if hard != _UNLIMITED and (soft == _UNLIMITED or soft > hard):
        raise UsageError(f"{origin} {text!r}: the soft limit is above the hard one", do="write the lower one first")
    return text


def _seconds(settings: BuildSettings) -> str:
    text = settings.source_date_epoch or ""
    if not re.fullmatch(r"(?a)-?\d{1,15}", text) or int(text) not in _DATES:
        do = "write seconds since 1970: date +%s, or git log -1 --format=%ct"
        origin = settings.origin("source_date_epoch")
        raise UsageError(f"{origin} {text!r}: not a number of seconds that is a date before the year 10000", do=do)
    return text


def _bytes(text: str, origin: str) -> int:
    found = re.fullmatch(_SIZE, text.strip())
    size = int(found[1]) * _UNITS[found[2].lower()] if found else TOO_LARGE
    if size >= TOO_LARGE:
        raise UsageError(f"{origin} {text!r}: not a size", do="write a number of bytes, or 64m, 1g")
    return size


def context_name(pair: Pair) -> str:
    """What BuildKit looks a named context up by, with the platform of `NAME::PLATFORM`. Raises UsageError."""
    from ocibuild_core.registry.reference import short_name  # noqa: PLC0415  # only where there is one

    name, separator, platform = pair.key.partition("::")
    short = short_name(name)
    if short is None or short in _NO_CONTEXTS or (separator and not is_platform(platform)):
        raise UsageError(
            f"{pair.origin} {pair.key!r}: no stage and no image can have that name",
            why="it would replace nothing",
            do="name it as the Dockerfile does: a stage, or an image as in FROM or COPY --from",
        )
    return f"{short}::{normal(platform)}" if separator else short


def _context_arguments(pair: Pair, store: str) -> list[str]:
    name = context_name(pair)
    if pair.value.startswith(LAYOUT_SCHEME):
        from ocibuild_core.layout_contexts import layout_context  # noqa: PLC0415  # only where there is one

        layout = layout_context(pair)
        named = f"{LAYOUT_SCHEME}{store}@{layout.digest}"
        return ["--oci-layout", f"{store}={layout.directory}", "--opt", f"context:{name}={named}"]
    if not pair.value.startswith(_CONTEXT_SCHEMES):
        if not is_directory(pair.value):
            raise UsageError(
                f"{pair.origin} {pair.key}: {pair.value!r} is no directory",
                why=closed(pair.value),
                do="name a directory, or an image with docker-image://",
            )
        return ["--local", f"context:{name}={pair.value}", "--opt", f"context:{name}=local:context:{name}"]
    return ["--opt", f"context:{name}={pair.value}"]
