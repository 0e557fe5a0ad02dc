#!/bin/sh
# Make /opt/ocibuild: install.sh WHEELS PLUGINS. It uses no network: every distribution comes from a wheel in WHEELS,
# whose sums are checked first.
set -eu
wheels=$1 plugins=$2 home=/opt/ocibuild
export PYTHONHASHSEED=0 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

(cd "$wheels" && sha256sum --quiet --check SHA256SUMS)
python3 -m venv --without-pip "$home"
python3 "$(dirname "$0")/choice.py" "$wheels" "$plugins" > /tmp/requirements.txt

# Pip runs from its own wheel, and stays, for images that are made from this one.
PYTHONPATH=$(echo "$wheels"/pip-*.whl) "$home/bin/python" -m pip install --quiet --no-compile --no-index \
    --find-links "$wheels" --constraint "$wheels/constraints.txt" pip --requirement /tmp/requirements.txt
rm /tmp/requirements.txt
install -m 755 "$(dirname "$0")/task" "$home/bin/task"

# Emulators that lie here are registered with the kernel when a build needs them (ocibuild_core/emulators.py).
mkdir -p "$home/libexec/ocibuild"
ln -s /usr/libexec/qemu-binfmt/*-binfmt-P "$home/libexec/ocibuild/"

# Bytecode without timestamps: it is the same each time, and Python does not look at the sources again. Pip is seldom
# run; uncompiled it is half as large.
site=$("$home/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
find "$site" -depth -type d \( -name tests -o -name test \) -exec rm -r {} +
"$home/bin/python" -m compileall -q -f --invalidation-mode unchecked-hash -x "$site/pip/" "$site"
