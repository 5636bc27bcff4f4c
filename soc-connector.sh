#!/bin/sh
# Passes everything on to the soc-connector binary: the one beside this script, else the one built from the source tree
# that this script stands in (built now where it is missing or older than its sources), else the one on PATH.
set -eu

failed() {
    printf 'ERROR - E901 %s\n        cause: %s\n        remedy: %s\n' "$1" "$2" "$3" >&2
    exit 1
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

if [ -x "$here/soc-connector" ] && [ ! -d "$here/soc-connector" ]; then
    exec "$here/soc-connector" "$@"
fi

if [ -f "$here/Cargo.toml" ]; then
    # Cargo knows best whether anything is to be built; it says so on standard error only when there is. Without it
    # (sudo leaves it out of PATH) what was built before serves.
    if command -v cargo >/dev/null 2>&1; then
        ls "$here"/target/*/release/soc-connector >/dev/null 2>&1 ||
            echo "INFO - building soc-connector, which takes some minutes the first time ..." >&2
        (cd "$here" && cargo build --quiet --release --locked --bin soc-connector) || {
            failed "soc-connector could not be built from $here" \
                "Cargo says above what failed: a compiler, a linker or a library is missing, or nothing can be downloaded." \
                "Install what it names (README, \"Building it\"), or put a built soc-connector beside this script."
        }
    fi
    # .cargo/config.toml builds for a named target, so the binary is one directory deeper than usual.
    for binary in "$here"/target/*/release/soc-connector; do
        [ -x "$binary" ] && exec "$binary" "$@"
    done
fi

if command -v soc-connector >/dev/null 2>&1; then
    exec soc-connector "$@"
fi

failed "no soc-connector binary beside $here/soc-connector.sh, in its source tree, or on PATH" \
    "This script only passes on to the program." \
    "Put the program beside this script, or install Rust's cargo and run it in the source tree."
