#!/bin/bash
# Run tox environments on a machine that may have nothing but apt.
#
#   tools/run.sh [ENV...] [-- ARGUMENTS]
#
# Without ENV: the whole gate, that is env_list in tox.ini. What is missing on
# the system (bindep.txt) is installed first, which needs root; tox and bindep
# come into a virtual environment of their own, .venv-tox.
set -euo pipefail
exec </dev/null
cd "$(dirname "$(readlink -f "$0")")/.."

export DEBIAN_FRONTEND=noninteractive
export PIP_DISABLE_PIP_VERSION_CHECK=1
# A root without a locale still reads and writes UTF-8.
export PYTHONUTF8=1

VENV=.venv-tox
PYTHONS="python3 python3.14 python3.13 python3.12 python3.11"

say() {
    printf '== %s\n' "$*"
}

die() {
    printf 'tools/run.sh: %s\n' "$*" >&2
    exit 1
}

install_packages() {
    say "installing $*"
    [ "$(id -u)" = 0 ] || die "run as root, or install first: $*"
    command -v apt-get >/dev/null || die "no apt-get here; install first: $*"
    apt-get -q update
    apt-get -q -y --no-install-recommends install "$@"
}

# Prints the first Python that is new enough.
find_python() {
    local python
    for python in $PYTHONS; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
                2>/dev/null; then
            echo "$python"
            return
        fi
    done
    return 1
}

# Debian's Python can make virtual environments only with python3-venv.
can_make_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

ensure_python() {
    local python missing=()
    command -v git >/dev/null || missing+=(git)
    python=$(find_python) || missing+=(python3)
    if [ -z "$python" ] || ! can_make_venv "$python"; then
        missing+=(python3-venv)
    fi
    if [ ${#missing[@]} -gt 0 ]; then
        install_packages "${missing[@]}"
    fi
    find_python >/dev/null || die "no Python 3.11 or newer"
}

ensure_tox() {
    local python
    # An environment whose Python went away is made anew.
    if ! "$VENV/bin/tox" --version >/dev/null 2>&1 ||
            ! [ -x "$VENV/bin/bindep" ]; then
        python=$(find_python)
        say "installing tox and bindep with $("$python" --version)"
        "$python" -m venv --clear "$VENV"
        "$VENV/bin/python" -m pip install --quiet -c upper-constraints.txt \
            tox bindep
    fi
}

ensure_system() {
    local missing
    # Exit code 1: something is missing, and what it is on standard output.
    missing=$("$VENV/bin/bindep" -b test) || [ -n "$missing" ] ||
        die "bindep failed"
    if [ -n "$missing" ]; then
        # shellcheck disable=SC2086
        install_packages $missing
    fi
}

main() {
    local environments=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        environments+=("$1")
        shift
    done
    ensure_python
    ensure_tox
    ensure_system
    if [ ${#environments[@]} -gt 0 ]; then
        set -- -e "$(IFS=,; echo "${environments[*]}")" "$@"
    fi
    "$VENV/bin/tox" --colored no run "$@"
}

main "$@"
