# Sourced by kits that are written in Java: the program they judge, a folder that goes when they end,
# and a folder of compiled classes with the pinned packages of the kit.

for program in java javac mvn; do
  command -v "$program" >/dev/null || { echo "SKIPPED: $program is not installed (apt-get install default-jdk-headless maven)"; exit 77; }
done
work=$(mktemp -d)
up=
stop_up() {
  if [ -n "$up" ]; then kill -INT "$up" 2>/dev/null || true; wait "$up" 2>/dev/null || true; up=; fi
}
trap 'stop_up; rm -rf "$work"' EXIT

# java_with KIT FILE...: gets the packages of tests/kits/KIT/pom.xml and compiles its files.
java_with() {
  local kit=tests/kits/$1; shift
  if ! mvn --quiet --batch-mode --file "$kit/pom.xml" "-DoutputDirectory=$work/packages" \
    org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies \
    >"$work/mvn.txt" 2>&1; then
    tail -n 5 "$work/mvn.txt"
    echo "SKIPPED: the packages of $kit/pom.xml cannot be installed"
    exit 77
  fi
  javac -encoding UTF-8 -cp "$work/packages/*" -d "$work/classes" "${@/#/$kit/}"
}

# start_up STATE NETWORK: has a pilot federation run in the background until the kit ends.
start_up() {
  timeout 900 "$causeway" up --state "$1" --network "$2" >"$work/up.txt" 2>&1 &
  up=$!
  for _ in $(seq 300); do
    grep -q 'keeps running' "$work/up.txt" && return
    kill -0 "$up" 2>/dev/null || break
    sleep 1
  done
  cat "$work/up.txt"
  echo "FAILED: the federation does not start"
  exit 1
}

# java_run CLASS ARGUMENT...
java_run() {
  java -cp "$work/classes:$work/packages/*" "$@" 2>"$work/java.txt" || { tail -n 40 "$work/java.txt"; exit 1; }
}

# The program: that of CAUSEWAY, or a fresh one.
causeway=${CAUSEWAY:-target/release/causeway}
[ -n "${CAUSEWAY:-}" ] || cargo build --quiet --release
