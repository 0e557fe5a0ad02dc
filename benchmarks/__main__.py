"""`make bench`: every benchmark, one table each. Figures are medians; ratios are taken pair by pair in one run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NOT_BENCHMARKS = {"__main__.py", "__init__.py", "pairs.py"}


def main() -> int:
    """Run what was named on the command line, or everything. The exit code says whether all of them ran."""
    wanted = sys.argv[1:] or sorted(path.stem for path in HERE.glob("*.py") if path.name not in NOT_BENCHMARKS)
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}")
    failed = 0
    for name in wanted:
        print(f"\n## {name}\n", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False, cwd=HERE.parent).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
