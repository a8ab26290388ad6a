#!/usr/bin/env bash
# PyPI `signxml` (5.2.0) judges the signatures of a fresh federation: it must verify them as XAdES, and notice
# what is changed. What it refuses is named with the reason that lies in the format.
#
# Needs: python3 3.11 or later with venv; a package index for pip; loopback addresses 127.0.60.x.
# May not: keep anything, install outside its own folder, or patch the library.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/kits/support/python.sh
python_with tests/kits/signxml/requirements.txt
"$python" tests/kits/signxml/kit.py "$causeway" "$work"
