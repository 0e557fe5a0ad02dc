#!/bin/sh
# Try what was installed, then write its bill of materials: check.sh WHEELS SBOM_WHEELS INTO
set -eu
wheels=$1 sbom_wheels=$2 into=$3
export PYTHONDONTWRITEBYTECODE=1 HOME=/tmp PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

build --version
build --help >/dev/null
task --help >/dev/null
docker-credential-ocibuild version
git --version
ocibuild plugins
python -m pip check
python "$(dirname "$0")/check_plugins.py" "$wheels/plugins.json"

# The tool that writes it stays in this stage.
(cd "$sbom_wheels" && sha256sum --quiet --check SHA256SUMS)
python -m pip install --quiet --no-compile --no-index --find-links "$sbom_wheels" --target /tmp/tool \
    --constraint "$sbom_wheels/constraints.txt" cyclonedx-python-lib
mkdir "$into"
PYTHONPATH=/tmp/tool python "$(dirname "$0")/sbom.py" "$into/ocibuild-task.cdx.json"
