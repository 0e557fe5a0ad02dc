#!/bin/sh
# Build all that is published, each source distribution and from it the wheels: dist.sh DIRECTORY SOURCES [ARCHITECTURE…]
#
# SOURCES is a commit, whose files alone are used and whose time every file gets, so that the same commit gives the same
# bytes; or `tree` for the checkout as it lies there. Without ARCHITECTURE (amd64, arm64) the binary wheels are the
# machine's own.
set -eu
[ $# -ge 2 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
root=$PWD
directory=$1 sources=$2
shift 2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ "$sources" = tree ]; then
    source=$root
else
    commit=$(git rev-parse --verify "$sources^{commit}")
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "$commit")
    export SOURCE_DATE_EPOCH
    source=$work/source
    mkdir "$source"
    git archive "$commit" | tar -x -C "$source"
    git diff --quiet "$commit" || echo "dist.sh: what is not committed in this checkout is not part of $sources" >&2
fi

# Without isolation: the build backend is the locked one of .venv.
build() {
    "$root/.venv/bin/uv" build -q --python "$root/.venv/bin/python" --no-build-isolation --out-dir "$made" "$@"
}

for folder in ocibuild_core plugins/basic plugins/ecr plugins/gcr testkit engine testkit/registry; do
    made=$work/made/$folder
    build --sdist "$source/$folder"
    case $folder in
        engine | testkit/registry)
            [ $# -gt 0 ] || build --wheel "$made"/*.tar.gz
            for architecture; do OCIBUILD_ARCH=$architecture build --wheel "$made"/*.tar.gz; done
            ;;
        *) build --wheel "$made"/*.tar.gz ;;
    esac
done

mkdir -p "$directory"
rm -f "$directory"/*.whl "$directory"/*.tar.gz
find "$work/made" \( -name '*.whl' -o -name '*.tar.gz' \) -exec mv {} "$directory" \;
