#!/bin/sh
# Build every wheel, install them where the sources are gone, and use them, on each Python that the machine has.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
uv=$root/.venv/bin/uv
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for folder in ocibuild_core plugins/basic plugins/ecr plugins/gcr testkit; do
    "$uv" build -q --wheel --python "$root/.venv/bin/python" --no-build-isolation --out-dir "$work/wheels" "$folder"
done
cp "$root"/.venv/wheels/engine/*.whl "$root"/.venv/wheels/registry/*.whl "$work/wheels"
"$root/.venv/bin/twine" check --strict "$work"/wheels/*.whl

PYTHONPATH=engine "$root/.venv/bin/python" -m gowheel.check "$work"/wheels/ocibuild_buildkit-*.whl "$work"/wheels/ocibuild_registry-*.whl

check() {
    python=$1 pluggy=$2 env=$work/env-$3
    echo "== $("$python" --version), $pluggy"
    "$uv" venv -q --python "$python" "$env"
    "$uv" pip install -q --python "$env" --find-links "$work/wheels" "$pluggy" 'ocibuild-core[all]' ocibuild-testkit
    (
        cd "$work"
        mkdir -p "src-$3/image"
        printf 'FROM scratch\nCOPY Dockerfile /\n' > "src-$3/Dockerfile"
        "$env/bin/build" --version
        "$env/bin/ocibuild" plugins
        cd "src-$3" && "$env/bin/build" -q . && test -s image/image.tar && test -s image/digest
        "$env/bin/docker-credential-ocibuild" version
    )
}

# Each distribution is imported with nothing but what it asks for.
for name in ocibuild-core ocibuild-basic ocibuild-ecr ocibuild-gcr ocibuild-buildkit ocibuild-testkit ocibuild-registry; do
    module=$(printf '%s' "$name" | tr - _)
    "$uv" venv -q --python "$root/.venv/bin/python" "$work/alone"
    "$uv" pip install -q --python "$work/alone" --find-links "$work/wheels" "$name"
    (cd "$work" && "$work/alone/bin/python" -c "import $module; print('alone: $name imports', $module.__name__)")
    rm -rf "$work/alone"
done

# A Python of this minor version: on PATH, or one that pyenv keeps.
find_python() {
    for candidate in "$(command -v "python$1" || true)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python3; do
        "$candidate" -c '' 2>/dev/null && { echo "$candidate"; return 0; }
    done
    return 1
}

for version in 3.11 3.12 3.13; do
    python=$(find_python "$version") || { echo "== no Python $version here"; continue; }
    check "$python" pluggy "$version-newest"
done
check "$root/.venv/bin/python" 'pluggy==1.5.0' oldest
