# Sourced by the scripts beside it: makes .venv, or takes the one that is there, and activates it.

fail() {
    echo "Error: $1" >&2
    exit 1
}

# The Python to take: $PYTHON, or the first that torch is made for, or the first at all.
find_python() {
    local wanted candidate
    local candidates=(python3 python3.14 python3.13 python3.12 python3.11 python)
    if [ -n "${PYTHON:-}" ]; then
        candidates=("$PYTHON")
    fi
    for wanted in "(3, 11) <= sys.version_info < (3, 15) and find_spec('ensurepip')" \
        "sys.version_info >= (3, 11)"; do
        for candidate in "${candidates[@]}"; do
            if "$candidate" -c "import sys; from importlib.util import find_spec
sys.exit(not ($wanted))" 2>/dev/null; then
                echo "$candidate"
                return
            fi
        done
    done
    fail "charlm needs Python 3.11 or newer, and found none: install one, or name it with PYTHON=..."
}

# Whether .venv works, and was made where it is now: what is installed in it names its place.
usable() {
    .venv/bin/python -c '' 2>/dev/null || return 1
    case $(grep '^command = ' .venv/pyvenv.cfg) in
    "" | *" $(pwd -P)/.venv") ;; # some tools that make one do not say
    *) return 1 ;;
    esac
}

# environment EXTRAS: "" for use, "[dev]" for development.
environment() {
    local python stamp
    if ! usable; then
        python=$(find_python) || exit 1
        rm -rf .venv
        "$python" -m venv .venv >/dev/null 2>&1 ||
            fail "$python cannot make a virtual environment: install its venv module (python3-venv)"
    fi
    # What is installed is remembered beside it, and is good until the requirements change.
    stamp=$(cat pyproject.toml scripts/constraints.txt | cksum)
    if ! grep -qsxF -e "$stamp $1" -e "$stamp [dev]" .venv/installed; then
        echo "installing charlm and torch into .venv (once; torch is large)" >&2
        rm -f .venv/installed
        .venv/bin/python -m pip install --quiet --disable-pip-version-check \
            --constraint scripts/constraints.txt --editable ".$1" >&2 ||
            fail "the installation failed, for the reason above; run this script again"
        echo "$stamp $1" >.venv/installed
    fi
    PATH=$PWD/.venv/bin:$PATH
}
