#!/usr/bin/env bash
# A provider written with PyPI `fastapi-xroad-soap` (0.4.7) behind one Causeway server, called through another:
# its WSDL is imported, its services are called with and without attachments, and its faults come back.
#
# Needs: python3 3.11 or later with venv; a package index for pip; loopback addresses 127.0.60.x.
# May not: keep anything, install outside its own folder, patch the library, or reach the provider but
# through both servers (its WSDL for the import excepted).
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/kits/support/python.sh
python_with tests/kits/fastapi-xroad-soap/requirements.txt
"$python" tests/kits/fastapi-xroad-soap/kit.py "$causeway" "$work"
