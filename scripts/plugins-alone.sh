#!/bin/sh
# Run each plugin's own tests where nothing but it, core and the testkit is installed: plugins-alone.sh DIRECTORY [PLUGIN…]
#
# DIRECTORY is what `dist.sh` made. The tests come out of the plugin's source distribution.
set -eu
[ $# -ge 1 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
dist=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- basic ecr gcr
cd "$(dirname "$0")/.."
root=$PWD
uv=$root/.venv/bin/uv
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH
cd "$work"

# Ours come from the directory alone, never from an index.
machine=$(uname -m)
find "$dist" -name '*-any.whl' -o -name "*_$machine.whl" | sed 's,.*/\([a-z_]*\)-.*,\1 @ file://&,' > ours.txt

cat > nothing_else.py <<'END'
import importlib.metadata, sys
ours = {name for name in (entry.metadata["Name"] for entry in importlib.metadata.distributions()) if "ocibuild" in name}
wanted = {"ocibuild-core", "ocibuild-testkit", f"ocibuild-{sys.argv[1]}"}
assert wanted <= ours <= wanted | {"ocibuild-registry"}, ours
END

run() {
    plugin=$1
    mkdir "$plugin"
    tar -xzf "$dist/ocibuild_$plugin"-*.tar.gz -C "$plugin" --strip-components=1
    rm -r "$plugin/src"
    "$uv" venv -q --python "$root/.venv/bin/python" "env-$plugin"
    "$uv" pip install -q --no-sources --python "env-$plugin" --constraint ours.txt \
        "ocibuild-$plugin" --group "$plugin/pyproject.toml:test"
    "env-$plugin/bin/python" nothing_else.py "$plugin"
    cd "$plugin"
    PATH=$work/env-$plugin/bin:$PATH python -m pytest -q -c /dev/null --rootdir . --import-mode=importlib \
        --strict-markers -o markers=e2e -p no:cacheprovider -W error tests
}

# Side by side: most of their time is waiting.
running=
for plugin in "$@"; do
    run "$plugin" > "said-$plugin" 2>&1 &
    running="$running $plugin=$!"
done
code=0
for one in $running; do
    plugin=${one%%=*}
    if wait "${one#*=}"; then
        echo "== ocibuild-$plugin alone: $(tail -n 1 "said-$plugin")"
    else
        echo "== ocibuild-$plugin alone"
        cat "said-$plugin"
        code=1
    fi
done
exit $code
