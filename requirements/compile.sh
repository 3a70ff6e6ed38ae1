#!/usr/bin/env bash
# Makes the pins of the action again, from pyproject.toml. Needs uv and Python 3.11; run it after a dependency changed,
# then read the diff.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

compile() { # OUTPUT INPUT [OPTION...]
  uv --no-config pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-header --no-annotate --no-emit-index-url --upgrade --output-file "$1" "${@:2}"
}

of_extra() { # NAME
  python3 -c '
import sys, tomllib
print(*tomllib.load(open("../pyproject.toml", "rb"))["project"]["optional-dependencies"][sys.argv[1]], sep="\n")' "$1"
}

# Solved together, so that every extra can be installed beside the action's own, and beside every other.
extras=(azure gcs gpu huggingface mlflow parquet pictures s3 sign)
all=$(mktemp)
trap 'rm -f "$all"' EXIT
compile "$all" ../pyproject.toml "${extras[@]/#/--extra=}"
compile action.txt ../pyproject.toml --constraint "$all"
for extra in "${extras[@]}"; do compile "extra-$extra.txt" - --constraint "$all" < <(of_extra "$extra"); done
compile uv.txt - <<<"uv"
compile build.txt - <<<"hatchling"
