"""Twenty Dockerfiles, each with something of its own in configuration or layers, for `build` and for `buildctl`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support.tars import Item, directory, file, gzipped, hard_link, layer, symlink

if TYPE_CHECKING:
    from collections.abc import Mapping

APPLETS = (
    *("sh", "rm", "mkdir", "touch", "ln", "chmod", "chown", "mknod", "mkfifo", "mv", "dd", "seq", "printf", "cat"),
    *("truncate", "test", "cp"),
)
"""What the steps run."""

CAPABILITY = bytes.fromhex("0100000202000000000000000000000000000000")
"""`security.capability` of a program that may use one (linux/capability.h, `struct vfs_cap_data`)."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One build.

    Args:
        dockerfile: `FROM base` is an image with the applets.
        env: what `build` is told besides.
        arguments: the same for `buildctl build`.
        files: of the context, besides `f` and what is in `dir`.
    """

    dockerfile: str
    env: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)


CONTEXT = {"f": b"content\n", "dir/a": b"a", "dir/b.log": b"b", "dir/sub/c": b"c" * 5000}


def added_tar() -> bytes:
    """Hard links, modes, owners, attributes; capabilities, which only root can give."""
    rights = {b"security.capability": CAPABILITY} if os.geteuid() == 0 else {}
    return gzipped(
        layer(
            directory(b"t", 0o1777, mtime=7),
            file(b"t/ping", b"program" * 900, mode=0o4755, uid=3, gid=4, mtime=1.5, xattrs=rights),
            file(b"t/noted", b"x", xattrs={b"user.note": b"a=b"}),
            hard_link(b"t/again", b"t/ping"),
            symlink(b"t/to", b"../etc/passwd", mtime=9),
            Item(name=b"t/pipe", type=b"6", mode=0o620),
        )
    )


CASES = {
    "one file": Case(dockerfile="FROM scratch\nCOPY f /etc/\n"),
    "no files": Case(
        dockerfile="FROM scratch\nLABEL a=b\n",
        env={"SOURCE_DATE_EPOCH": "1700000000"},  # without a layer its time is that of the build
        arguments=("--opt", "build-arg:SOURCE_DATE_EPOCH=1700000000"),
    ),
    "everything a configuration holds": Case(
        dockerfile=(
            "FROM base\nENV A=1 B='two words' C=<&>\nLABEL one=1 two=\"a b\"\nEXPOSE 80 53/udp\nVOLUME /data /more\n"
            'WORKDIR /work/here\nUSER 7:8\nSTOPSIGNAL SIGUSR1\nSHELL ["/bin/sh", "-ec"]\n'
            "HEALTHCHECK --interval=3s --retries=2 CMD true\nONBUILD RUN echo later\nENTRYPOINT run\nCMD with this\n"
        )
    ),
    "several stages": Case(
        dockerfile=(
            "FROM base AS made\nRUN mkdir /out && echo made > /out/it && ln -s it /out/link\n"
            "FROM scratch AS unused\nCOPY missing /\n"
            "FROM scratch\nCOPY --from=made /out /out\nCOPY --from=made /bin/busybox /bin/\n"
        )
    ),
    "a stage in the middle": Case(
        dockerfile="FROM base AS one\nRUN touch /one\nFROM one AS two\nRUN touch /two\nFROM two\nRUN touch /three\n",
        env={"TARGET": "two"},
        arguments=("--opt", "target=two"),
    ),
    "arguments": Case(
        dockerfile="ARG TAG=x\nFROM base\nARG A=default\nARG B\nRUN echo $A $B > /args\nLABEL of=$A.$B\n",
        env={"BUILD_ARG_B": "from, outside", "LABELS": "more=1"},
        arguments=("--opt", "build-arg:B=from, outside", "--opt", "label:more=1"),
    ),
    "owners and modes": Case(
        dockerfile=(
            "FROM base\nRUN touch /a /b /c && chown 1000:7000 /a && chmod 4755 /b && chmod 2711 /c\n"
            "RUN mkdir -m 1777 /t\n"
            "COPY --chown=7:8 --chmod=0640 f /d/\nCOPY --chown=9 dir /e/\n"
            "RUN mkdir -m 2770 /g && chown 5:6 /g && touch /g/f && chmod 0 /etc/passwd\n"
        )
    ),
    "heredocs": Case(
        dockerfile=(
            "FROM base\nCOPY <<one <<'two' /texts/\n1 $PATH\none\n2 $PATH\ntwo\nRUN <<end\necho run > /ran\nend\n"
        )
    ),
    "an added tar": Case(dockerfile="FROM scratch\nADD tree.tar.gz /\n", files={"tree.tar.gz": added_tar()}),
    "links": Case(
        dockerfile="FROM base\nRUN ln -s /etc/passwd /abs && ln -s ../no/where /etc/rel && ln -s . /self && mkdir /d\n"
        "RUN rm /abs && ln -s d /abs\n"
    ),
    "links as parents": Case(
        dockerfile="FROM base\nRUN mkdir -p /usr/lib && ln -s usr/lib /lib && touch /lib/one\n"
        "COPY f /lib/two\nRUN touch /lib/three && rm /usr/lib/one\n"
    ),
    "hard links": Case(
        dockerfile="FROM base\nRUN echo one > /a && ln /a /b && ln /bin/busybox /bin/again\n"
        "RUN ln /a /c && mkdir /d && ln /b /d/e\nRUN echo two > /b.new && mv /b.new /b\nRUN chmod 600 /a\n"
    ),
    "whiteouts": Case(dockerfile="FROM base\nRUN mkdir -p /d/e && touch /d/a /d/e/f /g\nRUN rm -r /d/e /g /bin/cat\n"),
    "opaque directories": Case(
        dockerfile="FROM base\nRUN mkdir -p /d/e/f && touch /d/old /d/e/old /d/e/f/old\n"
        "RUN rm -rf /d && mkdir -p /d/e && touch /d/e/new\nRUN rm -rf /root && mkdir /root && touch /root/x\n"
    ),
    "directories for files, files for directories": Case(
        dockerfile="FROM base\nRUN mkdir -p /a/b && touch /a/b/c /f && ln -s /a /s\n"
        "RUN rm -r /a /f /s && touch /a && mkdir /f /s && touch /f/x /s/y\nRUN rm -r /s && ln -s f /s\n"
    ),
    "odd names": Case(
        dockerfile="FROM base\nRUN cd / && touch \"$(printf 'a\\nb')\" \"$(printf '\\377\\376')\" ' ' -- -rf '*'\n"
        "RUN touch /$(printf '%0250d' 0) && p=/; for i in $(seq 20); do p=\"$p/$(printf '%0100d' 1)\"; done; "
        'mkdir -p "$p" && touch "$p/deep"\n'
    ),
    "times and sizes": Case(
        dockerfile="FROM base\nRUN touch -d '1970-01-02 00:00:00' /old && touch -d '2100-01-01 00:00:00' /new\n"
        "RUN mkdir /d\n"
        "RUN truncate -s 30000000 /sparse && dd if=/dev/urandom of=/r bs=100k count=7 && : > /empty\n"
        "RUN touch -d '1980-01-01 00:00:00' /d && touch /d/late && touch -d '1990-01-01 00:00:00' /d\n"
    ),
    "mounts": Case(
        dockerfile="FROM base\nRUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t "
        "--mount=type=bind,target=/s cat /s/f > /got && touch /c/x /t/y\n"
        "RUN --mount=type=secret,id=s,target=/secret test -s /secret && echo ok > /ok\n",
        env={"BUILDKIT_SECRET_s": "context/f"},
        arguments=("--secret", "id=s,src=context/f"),
    ),
    "an ignored part of the context": Case(
        dockerfile="FROM scratch\nCOPY --link . /all/\nCOPY dir/s* /sub/\n",
        files={".dockerignore": b"**/*.log\nDockerfile\n"},
    ),
    "fifos and devices": Case(
        # An ordinary user's engine may make no device.
        dockerfile="FROM base\nRUN mkfifo -m 640 /p && chown 3:4 /p\n"
        + ("RUN mknod /c c 1 3 && mknod /b b 7 9\nRUN rm /b && mknod /b c 5 1\n" if os.geteuid() == 0 else "")
    ),
}
