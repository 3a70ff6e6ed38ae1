#!/usr/bin/env bash
# Makes the pins of the action again, from pyproject.toml. Needs uv; run it after a dependency changed, then read the diff.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

compile() { # OUTPUT INPUT
  uv --no-config pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-header --no-annotate --no-emit-index-url --upgrade --output-file "$1" "$2"
}

compile action.txt ../pyproject.toml
compile uv.txt - <<<"uv"
compile build.txt - <<<"hatchling"
