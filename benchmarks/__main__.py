"""`make bench`: every benchmark, one table each. Figures are medians; ratios are taken pair by pair in one run.

    python -m benchmarks [--python INTERPRETER] [NAME…]

They run where what is measured was installed from its wheels, as users have it: every start looks through all that is
installed, and the environment of the development holds three times as much.
"""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

HERE = Path(__file__).parent
_ENVIRONMENT = HERE.parent / ".venv" / "benchmarks"
_PURE = ("ocibuild_core", "plugins/basic", "plugins/ecr", "plugins/gcr", "testkit")
_BESIDES = ("isal", "pyjwt")
"""What unpacks faster where it is there, and what AWS's fake reads tokens with."""
NOT_BENCHMARKS = {"__main__.py", "__init__.py", "pairs.py"}


def main() -> int:
    """Run what was named on the command line, or everything. The exit code says whether all of them ran."""
    parser = ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs what is measured")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a benchmark; without any, all of them")
    asked = parser.parse_args()
    wanted = asked.names or sorted(path.stem for path in HERE.glob("*.py") if path.name not in NOT_BENCHMARKS)
    python = _install(asked.python)
    version = subprocess.run([python, "-V"], check=True, capture_output=True, text=True).stdout.strip()
    print(f"{os.cpu_count()} processors, {version} ({asked.python})")
    failed = 0
    for name in wanted:
        print(f"\n## {name}\n", flush=True)
        failed += subprocess.run([python, "-m", f"benchmarks.{name}"], check=False, cwd=HERE.parent).returncode
    return 1 if failed else 0


def _install(interpreter: str) -> Path:
    """Install everything anew from its wheels, for this interpreter; the one there."""
    wheels, python = _ENVIRONMENT / "wheels", _ENVIRONMENT / "bin" / "python"
    _uv("venv", "--clear", "--python", interpreter, str(_ENVIRONMENT))
    for folder in _PURE:
        _uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(wheels), folder)
    built = [*wheels.glob("*.whl"), *(HERE.parent / ".venv" / "wheels").glob("*/*.whl")]
    locked = HERE.parent / "requirements" / "dev.txt"
    install = ("pip", "install", "--compile-bytecode", "--python", str(python), "--constraint", str(locked))
    _uv(*install, *_BESIDES, *map(str, built))
    return python


def _uv(*arguments: str) -> None:
    subprocess.run([str(Path(sys.executable).with_name("uv")), *arguments, "-q"], check=True, cwd=HERE.parent)


if __name__ == "__main__":
    sys.exit(main())
