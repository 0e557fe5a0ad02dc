#!/bin/sh
# What the task image needs of its system, on any Debian with Python: git by http and ssh, newuidmap, the emulator of the
# other architecture, and an ordinary user with subordinate ids for those who may not run it as root.
set -eu

missing=""
for pair in git:git ssh:openssh-client newuidmap:uidmap; do
    command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing="$missing ca-certificates"
case $(dpkg --print-architecture) in
    amd64) emulated=aarch64 ;;
    arm64) emulated=x86_64 ;;
esac
[ -e "/usr/libexec/qemu-binfmt/$emulated-binfmt-P" ] || missing="$missing qemu-user-static"
if [ -n "$missing" ]; then
    # One emulator of thirty, which would take 300 MB. Their names end in -static up to Debian 12.
    rules=/etc/dpkg/dpkg.cfg.d/ocibuild
    cat > $rules <<END
path-exclude=/usr/bin/qemu-*
path-exclude=/usr/libexec/qemu-binfmt/*
path-exclude=/usr/lib/binfmt.d/qemu-*
path-exclude=/usr/share/binfmts/qemu-*
path-include=/usr/bin/qemu-$emulated
path-include=/usr/bin/qemu-$emulated-static
path-include=/usr/libexec/qemu-binfmt/$emulated-binfmt-P
END
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of names
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
    rm $rules
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
