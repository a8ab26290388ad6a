#!/usr/bin/env bash
# Judges containers of a fresh federation with programs that are not ours: openssl judges the time-stamp,
# xmlsec1 the signature value, Python's zipfile and pydigidoc read the container, and openssl the path and
# the OCSP response.
set -euo pipefail
for program in openssl python3; do
  command -v "$program" >/dev/null || { echo "SKIPPED: $program is not installed"; exit 77; }
done
cargo build --quiet --release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
target/release/causeway up --once --state "$work/state" >"$work/up.txt" || { cat "$work/up.txt"; exit 1; }
container=$work/state/evidence/answer.asice
# libdigidocpp for Python; without it the script says what it skipped.
python=python3
if python3 -m venv --system-site-packages "$work/python" >/dev/null 2>&1; then
  python=$work/python/bin/python
  "$python" -m pip install --quiet pydigidoc==0.0.4 >/dev/null 2>&1 || true
fi
"$python" tests/kits/evidence.py "$container" "$work/state" "$work"
