#!/usr/bin/env bash
# Malformed and forbidden handshakes against port 5500 of a pilot federation, built with tlslite-ng from PyPI
# (pinned below): each is refused without an octet of HTTP, and the server serves good exchanges afterwards.
#
# Needs: python3 with venv, openssl, curl, addresses 127.0.61.x (CAUSEWAY_KIT_NETWORK names others), PyPI or
# an index that pip is configured for; CAUSEWAY names a binary other than the release build.
# May not: install anything outside a folder of its own, or reach any address but the pilot's once it runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
for program in openssl curl python3; do
    command -v "$program" >/dev/null || { echo "SKIPPED: $program is not installed"; exit 77; }
done
. tests/kits/tls/pilot.sh
python3 -m venv "$work/python" >/dev/null 2>&1 &&
    "$work/python/bin/python" -m pip install --quiet --no-deps tlslite-ng==0.8.2 ecdsa==0.19.2 six==1.17.0 >"$work/pip.txt" 2>&1 ||
    { echo "SKIPPED: tlslite-ng 0.8.2 cannot be installed"; exit 77; }
start_pilot
enrol right auth rsa:2048
enrol stranger auth rsa:2048
register 9001 20 right right
"$work/python/bin/python" tests/kits/tls/handshakes.py "$network.11" "$work"
still_good "after all handshakes"
