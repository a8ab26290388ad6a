#!/usr/bin/env bash
# Keys on PKCS#11 tokens of SoftHSM 2 (Debian package softhsm2, pinned below): every kind of key, a wrong PIN,
# several members on two tokens under load, and tokens that are taken away and brought back while nodes run.
# It may not touch the system's own tokens: everything lies in a folder of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."
pinned=2.6
library=
for candidate in "${SOFTHSM2_LIBRARY:-}" /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so \
  /usr/lib/pkcs11/libsofthsm2.so /usr/lib64/pkcs11/libsofthsm2.so; do
  if [ -n "$candidate" ] && [ -e "$candidate" ]; then library=$candidate; break; fi
done
if [ -z "$library" ] || ! command -v softhsm2-util > /dev/null; then
  echo "NOT RUN: there is no SoftHSM 2 (apt-get install softhsm2)"
  exit 77
fi
version=$(softhsm2-util --version)
case $version in "$pinned"*) ;; *) echo "NOTE: SoftHSM $version, the kit was written for $pinned" ;; esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/tokens"
printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$folder/tokens" \
  > "$folder/softhsm2.conf"
export SOFTHSM2_CONF=$folder/softhsm2.conf
softhsm2-util --init-token --free --label one --pin 1234 --so-pin 9999 > /dev/null
softhsm2-util --init-token --free --label two --pin 5678 --so-pin 9999 > /dev/null
export CAUSEWAY_PKCS11_LIBRARY=$library CAUSEWAY_PKCS11_TOKENS=$folder/tokens
cargo test --quiet -p causeway-certs --features pkcs11 --test hardware_token -- --nocapture --test-threads 1
