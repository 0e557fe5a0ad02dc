"""The other architecture: a program of it, and Debian's emulator."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ocibuild_core.emulation import cpu_of
from ocibuild_testkit.registry import own_platform

from support.missing import fail_missing, need_program

FOREIGN = "arm64" if own_platform() == "linux/amd64" else "amd64"
EMULATOR = f"{cpu_of(FOREIGN)}-binfmt-P"
"""The name by which core looks for it."""
SAYS = f"first runs on {cpu_of(FOREIGN)}\nsecond runs on {cpu_of(FOREIGN)}\n"
"""What `two_programs` says that is started as `first`."""

_TWO = """
#include <stdio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
  struct utsname machine;
  int status = 1;
  uname(&machine);
  printf("%s runs on %s\\n", argv[0], machine.machine);
  fflush(stdout);
  if (argc > 1)
    return 0;
  if (fork() == 0)
    return execl("/proc/self/exe", "second", "more", (char *)0);
  wait(&status);
  return status != 0;
}
"""


def compile_for(architecture: str, source: str, program: Path) -> None:
    """Compile a program of one file, static."""
    compiler = need_program(f"{cpu_of(architecture)}-linux-gnu-gcc", f"gcc-{cpu_of(architecture)}-linux-gnu")
    subprocess.run([compiler, "-static", "-o", program, "-x", "c", "-"], input=source, text=True, check=True)


def two_programs(program: Path) -> None:
    """A program that says by what name it was started and where it runs, and starts itself as another."""
    compile_for(FOREIGN, _TWO, program)


def debians_emulator() -> Path:
    """As qemu-user-static has it."""
    emulator = Path("/usr/libexec/qemu-binfmt", EMULATOR)
    if not emulator.exists():
        fail_missing(f"the tests need {emulator}", "apt-get install qemu-user-static")
    return emulator
