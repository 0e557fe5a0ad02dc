#!/bin/sh
# Log in to a registry, and let docker (and all that reads its config) use this and every other login of ocibuild.
#   log-in.sh REGISTRY USER [OPTION of `ocibuild login`…]
set -eu
[ $# -ge 2 ] || { sed -n '2,3s/^# \{0,1\}//p' "$0" >&2; exit 2; }
registry=$1 user=$2
shift 2

ocibuild login "$registry" --user "$user" "$@"

config=${DOCKER_CONFIG:-$HOME/.docker}/config.json
mkdir -p "$(dirname "$config")"
python3 - "$config" <<'END'
import json
import os
import sys

# Where it leads to, if it is a link; and for nobody else, as it may hold logins.
path = os.path.realpath(sys.argv[1])
os.umask(0o077)
config = {}
if os.path.exists(path):
    with open(path) as file:
        config = json.load(file)
if config.setdefault("credsStore", "ocibuild") != "ocibuild":
    sys.exit(f"{path} names the helper {config['credsStore']!r} already: replace it there, or add credHelpers for registries")
with open(f"{path}.new", "w") as file:
    json.dump(config, file, indent=4)
os.replace(f"{path}.new", path)
END
echo "docker asks ocibuild for logins now: $config"
