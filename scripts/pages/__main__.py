"""Build the site from docs/ and the READMEs: `python -m scripts.pages DIRECTORY`; `--links` looks at links alone.

Run it in the root of the repository.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.pages import checking
from scripts.pages.staging import Site

HERE = Path(__file__).parent.resolve()


def main() -> int:
    """Build or check; 1 when something is wrong, which is said."""
    site = Site(Path.cwd())
    found = list(site.problems())
    if not found and "--links" not in sys.argv:
        found = build(site, Path(sys.argv[1]))
    for problem in found:
        print(problem, file=sys.stderr)
    return int(bool(found))


def build(site: Site, target: Path) -> list[str]:
    """Build the site; what is wrong with it."""
    with tempfile.TemporaryDirectory(prefix="ocibuild-docs-") as directory:
        staged, built = Path(directory, "staged"), Path(directory, "built")
        staged.mkdir()
        site.stage(staged)
        # -E: anew; -W: a warning is an error; -n: so is a reference without a target.
        command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-E", "-W", "--keep-going", "-n"]
        done = subprocess.run([*command, "-c", HERE, "-d", f"{directory}/trees", staged, built], check=False)
        if done.returncode:
            return [f"sphinx ended with exit code {done.returncode}; the lines above say why"]
        found = list(checking.problems(built))
        if not found:
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(built, target)
            print(f"{target / 'index.html'}: {len(list(target.rglob('*.html')))} pages, no broken link")
        return found


if __name__ == "__main__":
    sys.exit(main())
