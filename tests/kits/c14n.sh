#!/usr/bin/env bash
# Compares canonical XML with libxml2 (lxml) and xmlsec on thousands of generated documents.
set -euo pipefail
python=${PYTHON:-python3}
"$python" -c 'import lxml' 2>/dev/null || { echo "SKIPPED: the Python package lxml is missing"; exit 77; }
cargo build --quiet -p causeway-tests --bin canonicalise
"$python" tests/kits/c14n.py "${CARGO_TARGET_DIR:-target}/debug/canonicalise" "${CAUSEWAY_C14N_COUNT:-10000}" "${1:-$RANDOM}"
