"""The table of settings: one row a field, with all the ways to say it.

Here and in the other modules that every start loads, records are named tuples: to define a frozen dataclass takes eight
times as long, and `dataclasses` itself longer than all of these modules.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What a field's value is."""

    TEXT = "text"
    PATH = "path"
    BOOL = "bool"
    LIST = "list"
    PAIRS = "pairs"
    DURATION = "duration"
    CHOICE = "choice"


class Scope(Enum):
    """Who may set a field besides the command line and the environment."""

    BUILD = "build"
    """Also a request and an `ocibuild.yml` that lies beside the sources."""
    HOST = "host"
    """Not what comes with the sources: it decides what runs here and who logs in."""


class Field(NamedTuple):
    """One setting.

    Args:
        name: the attribute of `BuildSettings`; with `-` for `_` it is the YAML key.
        help: one line for `--help`.
        group: the heading in `--help`.
        flags: the command-line spellings, the long one first; none when it has no flag.
        env: the environment spellings; the first that is not empty wins.
        prefix: PAIRS alone: environment variables that begin so are one pair each.
        request: the key in the Concourse task's request; empty when it has none.
        metavar: what stands for the value in `--help`.
        default: what holds when nobody sets it.
    """

    name: str
    help: str
    group: str
    kind: Kind = Kind.TEXT
    scope: Scope = Scope.BUILD
    flags: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    prefix: str = ""
    request: str = ""
    metavar: str = ""
    choices: tuple[str, ...] = ()
    default: object = None


def four_spellings(name: str) -> tuple[str, ...]:
    """`TARGETFILE`, `TARGET_FILE`, `target_file`, `targetfile`: those that the Concourse task's config loader tries.

    Its order is that of https://github.com/vrischmann/envconfig; a one-word name gives two spellings.
    """
    joined = name.replace("_", "")
    return tuple(dict.fromkeys((joined, name, name.lower(), joined.lower())))


SOURCE = "What to build"
OUTPUT = "What comes out"
LOGIN = "Logins"
ENGINE = "Engine"
DISPLAY = "Display"

FIELDS: tuple[Field, ...] = (
    Field(
        name="context",
        help="Directory to build; also the argument CONTEXT.",
        group=SOURCE,
        kind=Kind.PATH,
        env=("CONTEXT",),
        request="context",
        default=".",
    ),
    Field(
        name="dockerfile",
        help="Path of the Dockerfile.",
        group=SOURCE,
        kind=Kind.PATH,
        flags=("--file", "-f"),
        env=("DOCKERFILE",),
        request="dockerfile",
        metavar="PATH",
        default=None,
    ),
    Field(
        name="target",
        help="Stage to build.",
        group=SOURCE,
        flags=("--target",),
        env=four_spellings("TARGET"),
        request="target",
        metavar="STAGE",
    ),
    Field(
        name="target_file",
        help="File that holds the name of the stage; wins over --target.",
        group=SOURCE,
        kind=Kind.PATH,
        env=four_spellings("TARGET_FILE"),
        request="target_file",
    ),
    Field(
        name="build_args",
        help="Build argument; without a value it is taken from the environment.",
        group=SOURCE,
        kind=Kind.PAIRS,
        flags=("--build-arg",),
        env=four_spellings("BUILD_ARGS"),
        prefix="BUILD_ARG_",
        request="build_args",
        metavar="NAME[=VALUE]",
        default=(),
    ),
    Field(
        name="build_args_file",
        help="File of build arguments, NAME=VALUE lines or a YAML map.",
        group=SOURCE,
        kind=Kind.PATH,
        env=four_spellings("BUILD_ARGS_FILE"),
        request="build_args_file",
    ),
    Field(
        name="labels",
        help="Label of the image.",
        group=SOURCE,
        kind=Kind.PAIRS,
        flags=("--label",),
        env=four_spellings("LABELS"),
        prefix="LABEL_",
        request="labels",
        metavar="NAME=VALUE",
        default=(),
    ),
    Field(
        name="labels_file",
        help="File of labels, NAME=VALUE lines.",
        group=SOURCE,
        kind=Kind.PATH,
        env=four_spellings("LABELS_FILE"),
        request="labels_file",
    ),
    Field(
        name="no_cache",
        help="Run every step again.",
        group=SOURCE,
        kind=Kind.BOOL,
        flags=("--no-cache",),
        default=False,
    ),
    Field(
        name="pull",
        help="Ask the registry for every base image, also a cached one.",
        group=SOURCE,
        kind=Kind.BOOL,
        flags=("--pull",),
        default=False,
    ),
    Field(
        name="output",
        help="Exporter and where it writes: docker,dest=image.tar. Without any: image/, if that directory exists.",
        group=OUTPUT,
        kind=Kind.LIST,
        flags=("--output", "-o"),
        env=("OUTPUTS",),
        request="outputs",
        metavar="NAME[,KEY=VALUE]",
        default=(),
    ),
    Field(
        name="login",
        help="Auth provider, by name: ecr, basic, ecr=HOST-GLOB for the hosts named, none for no automatic login.",
        group=LOGIN,
        kind=Kind.LIST,
        scope=Scope.HOST,
        flags=("--login", "-l"),
        env=("LOGIN",),
        request="login",
        metavar="PROVIDER",
        default=(),
    ),
    Field(
        name="login_timeout",
        help="How long one login may take.",
        group=LOGIN,
        kind=Kind.DURATION,
        scope=Scope.HOST,
        flags=("--login-timeout",),
        env=("LOGIN_TIMEOUT",),
        request="login_timeout",
        metavar="TIME",
        default=30.0,
    ),
    Field(
        name="preflight",
        help="Ask every registry for what the build needs before it begins.",
        group=LOGIN,
        kind=Kind.BOOL,
        scope=Scope.HOST,
        flags=("--preflight",),
        env=("OCIBUILD_PREFLIGHT",),
        default=False,
    ),
    Field(
        name="blocked_plugins",
        help="Leave this plugin out.",
        group=LOGIN,
        kind=Kind.LIST,
        scope=Scope.HOST,
        flags=("--no-plugin",),
        metavar="ID",
        default=(),
    ),
    Field(
        name="allowed_plugins",
        help="Load these plugins and no others.",
        group=LOGIN,
        kind=Kind.LIST,
        scope=Scope.HOST,
        env=("OCIBUILD_PLUGINS",),
        default=None,
    ),
    Field(
        name="addr",
        help="BuildKit to use: unix://, tcp://, docker-container://, kube-pod://. Without it one is started here.",
        group=ENGINE,
        scope=Scope.HOST,
        flags=("--addr",),
        env=("BUILDKIT_HOST",),
        metavar="ADDRESS",
    ),
    Field(
        name="state_dir",
        help="Where the engine keeps its cache.",
        group=ENGINE,
        kind=Kind.PATH,
        scope=Scope.HOST,
        flags=("--state-dir",),
        env=("OCIBUILD_STATE_DIR",),
        metavar="DIR",
    ),
    Field(
        name="start_timeout",
        help="How long the engine may take to start.",
        group=ENGINE,
        kind=Kind.DURATION,
        scope=Scope.HOST,
        flags=("--start-timeout",),
        env=("OCIBUILD_START_TIMEOUT",),
        metavar="TIME",
        default=30.0,
    ),
    Field(
        name="registry_mirrors",
        help="Mirror for docker.io.",
        group=ENGINE,
        kind=Kind.LIST,
        scope=Scope.HOST,
        flags=("--registry-mirror",),
        env=("REGISTRY_MIRRORS",),
        request="registry_mirrors",
        metavar="HOST",
        default=(),
    ),
    Field(
        name="buildkit_extra_config",
        help="Text that is added to buildkitd.toml.",
        group=ENGINE,
        scope=Scope.HOST,
        env=("BUILDKIT_EXTRA_CONFIG",),
        request="buildkit_extra_config",
    ),
    Field(
        name="registry_certs",
        help="CA that signed a registry's certificate.",
        group=ENGINE,
        kind=Kind.PAIRS,
        scope=Scope.HOST,
        flags=("--registry-ca",),
        env=("REGISTRY_CA",),
        metavar="HOST=FILE",
        default=(),
    ),
    Field(
        name="progress",
        help="How BuildKit shows the build: auto, tty, plain, rawjson or quiet.",
        group=DISPLAY,
        kind=Kind.CHOICE,
        scope=Scope.HOST,
        flags=("--progress",),
        env=("BUILDKIT_PROGRESS",),
        metavar="KIND",
        choices=("auto", "tty", "plain", "rawjson", "quiet"),
        default="auto",
    ),
    Field(
        name="debug",
        help="Show the engine's debug log.",
        group=DISPLAY,
        kind=Kind.BOOL,
        flags=("--debug",),
        env=four_spellings("DEBUG"),
        request="debug",
        default=False,
    ),
)

GROUPS = (SOURCE, OUTPUT, LOGIN, ENGINE, DISPLAY)
