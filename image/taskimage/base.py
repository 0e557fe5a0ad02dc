"""A base image from Debian's packages alone: mmdebstrap fetches them from Debian's mirror, our own `build` packs them.

It is kept for a week at most, so that Debian's security updates come in.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from gowheel.cache import Cache, cache_key, cache_root, file_digest

from taskimage.places import IMAGE, ImageError, build, run, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskimage.target import ImageTarget

SUITE = "bookworm"
ARCHIVE = "base.tar"
_DEBIAN = IMAGE / "debian"
_EPOCH = "1686355200"
"""The day Debian 12 was released: no timestamp of the base is later, so that equal packages give equal bytes."""
_WEEK = 7 * 24 * 3600
# Python comes with bytecode that is checked against the sources' times, which are cut off at the date above.
_COMPILE = (
    'PYTHONHASHSEED=0 chroot "$1" python3 -m compileall -q -f --invalidation-mode unchecked-hash '
    "/usr/lib/python3 /usr/lib/python3.*"
)
# And without glibc's tables of other character sets than UTF-8, 20 MB for arm64: Python has its own, and git wants them
# for messages of commits alone. Debian's packages need them while they are installed.
_TIDY = (
    'cd "$1" && rm -rf usr/lib/*-linux-gnu/gconv var/log/* var/cache/ldconfig/aux-cache var/cache/debconf/*-old '
    "var/lib/dpkg/*-old etc/*- etc/hostname etc/resolv.conf etc/apt/preferences.d/* var/lib/apt/lists/* no-perl.deb"
)
# Debian's `usrmerge` wants all of Perl; in a new system its work is done, and `usr-is-merged` says so.
_NO_USRMERGE = r'printf "Package: usrmerge\nPin: version *\nPin-Priority: -1\n" > "$1/etc/apt/preferences.d/usrmerge"'


def debian_base(target: ImageTarget, *, env: Mapping[str, str], now: float) -> Path:
    """The archive of the base image, made now or kept from before.

    Args:
        target: what it is for.
        env: the environment of the programs.
        now: seconds since 1970.
    """
    parts = {
        path.name: file_digest(path) for path in (*sorted(_DEBIAN.iterdir()), Path(__file__), IMAGE / "base.Dockerfile")
    }
    key = cache_key({"parts": parts, "machine": target.machine.goarch, "week": int(now // _WEEK)})
    cache = Cache(root=cache_root(env).parent / "image")
    return cache.get(f"base-{target.machine.goarch}", key, lambda new: _make(target, new, env)) / ARCHIVE


def _make(target: ImageTarget, new: Path, env: Mapping[str, str]) -> None:
    context = new / "context"
    context.mkdir()
    _bootstrap(target, context / "rootfs.tar", env)
    shutil.copy(IMAGE / "base.Dockerfile", context / "Dockerfile")
    dated = {**env, "SOURCE_DATE_EPOCH": _EPOCH}
    output = f"docker,dest={new / ARCHIVE}"
    build(
        [str(context), "--platform", target.platform, "--output", output, "--progress", "plain"], env=dated, cwd=context
    )
    shutil.rmtree(context)


def _bootstrap(target: ImageTarget, rootfs: Path, env: Mapping[str, str]) -> None:
    if not shutil.which("mmdebstrap", path=env.get("PATH", os.defpath)):
        raise ImageError("mmdebstrap is not installed\n  do     apt-get install mmdebstrap")
    say(f"making the base from Debian's packages for {target.machine.goarch} (a minute or two; kept for a week)")
    perl = rootfs.with_name("no-perl")
    (perl / "DEBIAN").mkdir(parents=True)
    shutil.copy(_DEBIAN / "no-perl.control", perl / "DEBIAN" / "control")
    run("dpkg-deb", "--root-owner-group", "--build", perl, f"{perl}.deb", env={**env, "SOURCE_DATE_EPOCH": _EPOCH})
    rules = [*(_DEBIAN / "dpkg.cfg").read_text().splitlines(), *_let_in(target.emulated)]
    packages = [line for line in (_DEBIAN / "packages.txt").read_text().splitlines() if not line.startswith("#")]
    run(
        *("mmdebstrap", "--quiet", "--variant=apt", f"--architectures={target.machine.goarch}"),
        f"--include={','.join(packages)}",
        *(f"--dpkgopt={line}" for line in rules),
        "--hook-directory=/usr/share/mmdebstrap/hooks/merged-usr",
        '--setup-hook=mkdir -p "$1/etc/apt/preferences.d"',
        f"--setup-hook={_NO_USRMERGE}",
        f"--essential-hook=upload {perl}.deb /no-perl.deb",
        '--essential-hook=chroot "$1" dpkg --install /no-perl.deb',
        f"--customize-hook={_COMPILE}",
        f"--customize-hook={_TIDY}",
        # A container gets its devices from its runtime, and an ordinary user's build could not make them.
        *("--skip=output/dev", SUITE, rootfs),
        env={**_reachable(env), "SOURCE_DATE_EPOCH": _EPOCH},
    )


def _let_in(cpu: str) -> tuple[str, ...]:
    """One emulator of qemu-user-static, which has thirty."""
    return f"path-include=/usr/bin/qemu-{cpu}-static", f"path-include=/usr/libexec/qemu-binfmt/{cpu}-binfmt-P"


def _reachable(env: Mapping[str, str]) -> dict[str, str]:
    """An ordinary user's mmdebstrap works as his subordinate ids, which get into /tmp but not into his home."""
    return {name: value for name, value in env.items() if name != "TMPDIR" or os.geteuid() == 0}
