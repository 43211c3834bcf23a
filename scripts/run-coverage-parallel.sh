#!/usr/bin/env bash
# The name of the script that `cargo xtask coverage` replaces, for habits and for CI
# configurations: the same variables (MAX_CONCURRENT_SPLITS, WORKERS_PER_SPLIT, MAX_FAILURES),
# and whatever arguments, from any folder.
set -euo pipefail

# Where this file really lies: it may be called through symbolic links, on PATH for example.
self=${BASH_SOURCE[0]}
while [[ -L $self ]]; do
    folder=$(cd -P "$(dirname "$self")" && pwd)
    self=$(readlink "$self")
    [[ $self == /* ]] || self=$folder/$self
done
root=$(cd -P "$(dirname "$self")/.." && pwd)

command -v cargo > /dev/null || {
    echo "error: cargo is not on PATH; install Rust from https://rustup.rs" >&2
    exit 4
}

# The script ran for the repository that it lay in. Inside that, the project around the
# current folder is meant, which cargo finds by itself; from outside, the default one.
case $(pwd -P)/ in
    "$root"/*) ;;
    *) cd "$root" ;;
esac
exec cargo xtask coverage "$@"
