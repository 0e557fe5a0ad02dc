#!/bin/sh
# What the task image needs of its system, on any Debian with Python: git by http and ssh, newuidmap, and an ordinary
# user with subordinate ids for those who may not run it as root.
set -eu

missing=""
for pair in git:git ssh:openssh-client newuidmap:uidmap; do
    command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing="$missing ca-certificates"
if [ -n "$missing" ]; then
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of names
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi

id ocibuild >/dev/null 2>&1 || useradd --create-home --uid 1000 --user-group --shell /bin/sh ocibuild
grep -q '^ocibuild:' /etc/subuid || usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ocibuild
install -d -m 1777 /scratch

# With the setuid bit newuidmap needs CAP_SYS_ADMIN in the container, because the namespace belongs to who made it, and
# root is another; with a capability of the file it stays that user (user_namespaces(7), on writing uid_map).
python3 "$(dirname "$0")/capabilities.py"

# Caches, logs and backups differ from run to run.
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/ldconfig/aux-cache /var/cache/debconf/*-old /var/log/*
rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid- /var/lib/dpkg/*-old
