#!/usr/bin/env bash
# PyPI `pyxroad` (1.5.11) as consumer: it looks the WSDL up at `/wsdl` of a Causeway server and calls the
# service in absolute form, as through an HTTP proxy, with each of its transports and settings.
#
# Needs: python3 3.11 or later with venv; a package index for pip; loopback addresses 127.0.60.x.
# May not: keep anything, install outside its own folder, patch the library, or give it the WSDL otherwise.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/kits/support/python.sh
python_with tests/kits/pyxroad/requirements.txt
"$python" tests/kits/pyxroad/kit.py "$causeway" "$work"
