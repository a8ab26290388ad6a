#!/usr/bin/env bash
# The requests by which `xrdinfo` (github.com/ria-ee/X-Road-scripts) learns about an instance, sent with the
# same HTTP library, and the answers read with lxml and PyYAML. There is no public package of `xrdinfo`, so
# it does not run here itself: what it expects of answers beyond the protocol is checked one by one.
#
# Needs: python3 3.11 or later with venv; a package index for pip; loopback addresses 127.0.60.x.
# May not: keep anything, install outside its own folder, or use code of `xrdinfo`.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/kits/support/python.sh
python_with tests/kits/metadata/requirements.txt
"$python" tests/kits/metadata/kit.py "$causeway" "$work"
