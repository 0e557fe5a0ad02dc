#!/bin/sh
# Check what `dist.sh` made, and use it where the sources are gone, on each Python that the machine has: dist-check.sh DIRECTORY
set -eu
[ $# = 1 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
root=$PWD
uv=$root/.venv/bin/uv
python=$root/.venv/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH
mkdir "$work/dist"
cp "$1"/*.whl "$1"/*.tar.gz "$work/dist"
cp scripts/demo.py "$work"
# From here on nothing reads the checkout but the tools in its .venv.
cd "$work"

echo "== files"
"$root/.venv/bin/twine" check --strict dist/* > said || { cat said; exit 1; }
"$python" "$root/scripts/check_dist.py" dist
PYTHONPATH=$root/engine "$python" -m gowheel.check dist/ocibuild_buildkit-*.whl dist/ocibuild_registry-*.whl

# The binary wheels' own tests do the same for them.
echo "== each source distribution gives its wheel again, byte for byte"
for wheel in dist/*-any.whl; do
    name=${wheel#dist/}
    source=$(echo "dist/${name%%-*}"-*.tar.gz)
    SOURCE_DATE_EPOCH=$(tar -tvf "$source" --full-time --utc --wildcards '*/PKG-INFO' |
        awk '{ print $4, $5 }' | xargs -I{} date -u -d {} +%s)
    export SOURCE_DATE_EPOCH
    (umask 077 && TZ=Asia/Kolkata "$uv" build -q --wheel --python "$python" --no-build-isolation --out-dir again "$source")
    cmp "$wheel" "again/$name"
done
unset SOURCE_DATE_EPOCH

machine=$(uname -m)
wheels=$(find "$work/dist" -name '*-any.whl' -o -name "*_$machine.whl")

# Ours come from the directory alone, so that nobody's wheel of the same name on an index is what gets checked.
install() {
    environment=$1
    shift
    # shellcheck disable=SC2086  # a list of files
    printf '%s\n' $wheels | sed 's,.*/\([a-z_]*\)-.*,\1 @ file://&,' > ours.txt
    "$uv" pip install -q --python "$environment" --constraint ours.txt "$@"
}

# With the checkout covered, where that is allowed; an ordinary user has the checks' own look at where modules are from.
without_sources() {
    if [ "$(id -u)" = 0 ]; then
        # shellcheck disable=SC2016  # for the inner shell
        unshare --mount sh -c 'mount -t tmpfs tmpfs "$1" && shift && exec "$@"' sh "$root" "$@"
    else
        "$@"
    fi
}

cat > whence.py <<'END'
import importlib, pathlib, sys
for name in sys.argv[1:]:
    place = pathlib.Path(importlib.import_module(name).__file__)
    assert place.is_relative_to(sys.prefix), f"{name} is from {place}"
END

# A Python of this minor version: on PATH, or one that pyenv keeps.
find_python() {
    for candidate in "$(command -v "python$1" || true)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python3; do
        "$candidate" -c '' 2>/dev/null && { echo "$candidate"; return 0; }
    done
    return 1
}

use() {
    environment=$work/env-$3
    echo "== $("$1" --version) with $2: a build on a private base image, logged in"
    "$uv" venv -q --python "$1" "$environment"
    install "$environment" "$2" 'ocibuild-core[all]' 'ocibuild-testkit[registry]'
    without_sources env PATH="$environment/bin:$PATH" sh -euc '
        python whence.py ocibuild_core ocibuild_basic ocibuild_ecr ocibuild_gcr ocibuild_buildkit ocibuild_testkit
        ocibuild plugins > said
        docker-credential-ocibuild version >> said
        python demo.py >> said 2>&1' || { cat said; return 1; }
}

echo "== each distribution alone"
for name in basic ecr gcr buildkit testkit registry core; do
    "$uv" venv -q --clear --python "$python" alone
    install alone "ocibuild-$name"
    without_sources alone/bin/python whence.py "ocibuild_$name"
done

for version in 3.11 3.12 3.13; do
    found=$(find_python "$version") || { echo "== no Python $version here"; continue; }
    use "$found" pluggy "$version"
done
use "$python" 'pluggy==1.5.0' oldest
