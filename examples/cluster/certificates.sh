#!/bin/sh
# Make what mutual TLS between `build` and a buildkitd takes: certificates.sh [DIRECTORY [NAME…]]
#
# DIRECTORY (certificates) gets daemon/ and client/, each with ca.pem, cert.pem and key.pem, as --tlsdir wants them, and
# ca/, which signs and stays with you. NAMEs are those by which clients call the daemon, by default the service's of
# buildkitd.yaml. Run again, it renews both with the authority that is there: before 397 days are over.
set -eu
umask 077
directory=${1:-certificates}
[ $# = 0 ] || shift
[ $# -gt 0 ] || set -- buildkitd buildkitd.buildkit buildkitd.buildkit.svc buildkitd.buildkit.svc.cluster.local localhost
mkdir -p "$directory/ca" "$directory/daemon" "$directory/client"
cd "$directory"

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

# What may be in it is known, so that a certificate is good for nothing else: issue FOLDER COMMON-NAME USAGE [ALTERNATIVE-NAMES]
issue() {
    new_key "$1/key.pem"
    openssl req -new -key "$1/key.pem" -subj "/CN=$2" -out "$1/request.pem"
    {
        echo "basicConstraints = critical, CA:false"
        echo "keyUsage = critical, digitalSignature"
        echo "extendedKeyUsage = $3"
        [ -z "${4:-}" ] || echo "subjectAltName = $4"
    } > "$1/extensions"
    openssl x509 -req -in "$1/request.pem" -CA ca/cert.pem -CAkey ca/key.pem -set_serial "0x$(openssl rand -hex 16)" \
        -days 397 -sha256 -extfile "$1/extensions" -out "$1/cert.pem" 2>/dev/null
    cp ca/cert.pem "$1/ca.pem"
    rm "$1/request.pem" "$1/extensions"
}

if [ ! -e ca/key.pem ]; then
    new_key ca/key.pem
    openssl req -x509 -new -key ca/key.pem -subj "/CN=BuildKit of $1" -days 3650 -sha256 -out ca/cert.pem \
        -addext "basicConstraints = critical, CA:true, pathlen:0" -addext "keyUsage = critical, keyCertSign, cRLSign"
fi

alternatives=IP:127.0.0.1
for name; do alternatives=$alternatives,DNS:$name; done
issue daemon "$1" serverAuth "$alternatives"
issue client build clientAuth
echo "$directory/daemon is for buildkitd, $directory/client for whoever builds; keep $directory/ca/key.pem to yourself"
