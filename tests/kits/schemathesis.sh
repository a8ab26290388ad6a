#!/usr/bin/env bash
# PyPI `schemathesis` (4.32.5) asks a running registry whatever its own document allows and forbids: there
# is no 5xx, and no answer that the document does not describe.
#
# Needs: python3 3.11 or later with venv; a package index for pip; loopback addresses 127.0.61.x.
# May not: keep anything, install outside its own folder, or leave an operation out without a reason.
# SCHEMATHESIS_EXAMPLES sets how many requests an operation gets, 30 by default.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/kits/support/python.sh
python_with tests/kits/schemathesis/requirements.txt
"$python" tests/kits/schemathesis/kit.py "$causeway" "$work"
