# Sourced by kits that are written in Python: the program they judge, a folder that goes when they end,
# and a Python with the pinned packages of the kit.

command -v python3 >/dev/null || { echo "SKIPPED: python3 is not installed"; exit 77; }
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  { echo "SKIPPED: python3 is older than 3.11"; exit 77; }
# A proxy for the world is none for loopback addresses.
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# python_with FILE: makes $python, with the packages that the file pins and no others.
python_with() {
  python=$work/python/bin/python
  if ! python3 -m venv "$work/python" >"$work/pip.txt" 2>&1 ||
    ! "$python" -m pip install --quiet --disable-pip-version-check --requirement "$1" >"$work/pip.txt" 2>&1; then
    tail -n 3 "$work/pip.txt"
    echo "SKIPPED: the packages of $1 cannot be installed"
    exit 77
  fi
  "$python" -m pip check >"$work/pip.txt" 2>&1 || { cat "$work/pip.txt"; exit 1; }
}

# The program: that of CAUSEWAY, or a fresh one.
causeway=${CAUSEWAY:-target/release/causeway}
[ -n "${CAUSEWAY:-}" ] || cargo build --quiet --release
export PYTHONPATH=$PWD/tests/kits/support PYTHONDONTWRITEBYTECODE=1
