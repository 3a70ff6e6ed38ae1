#!/usr/bin/env bash
# What every action of this repository runs: installs mlci apart from everything, then becomes it. Inputs arrive as
# INPUT_* variables only; whatever follows the last line would keep a runner's signals from mlci.
set -euo pipefail

# In a virtual environment programs lie in bin, on Windows in Scripts.
python_of() { if [ -d "$1/Scripts" ]; then echo "$1/Scripts/python.exe"; else echo "$1/bin/python"; fi; }

# Everything by hash, nothing from the repository under test: not its folder on Python's path (-I), not its
# [tool.uv] (--no-config). PATH and the user's environment stay as they are.
install() { # HOME ACTION [EXTRA...]
  local home=$1 action=$2 python extra pins
  shift 2
  # uv is among them: `mlci verify` makes environments with it.
  pins=(-r "$action/requirements/action.txt" -r "$action/requirements/uv.txt")
  for extra in "$@"; do pins+=(-r "$action/requirements/extra-$extra.txt"); done
  for python in python3 python; do "$python" -I -c "" 2>/dev/null && break; done
  export UV_CACHE_DIR=${UV_CACHE_DIR:-$home/cache}
  rm -rf "$home"
  mkdir -p "$home"
  cd "$home"
  "$python" -I -m venv uv
  "$(python_of uv)" -I -m pip --disable-pip-version-check install --quiet --require-hashes -r "$action/requirements/uv.txt"
  uv() { "$(python_of uv)" -I -m uv --no-config --quiet "$@"; }
  uv venv --no-project --no-python-downloads --python ">=3.11" mlci
  uv pip install --python "$(python_of mlci)" --require-hashes "${pins[@]}"
  uv pip install --python "$(python_of mlci)" --no-deps --refresh-package mlci \
    --build-constraints "$action/requirements/build.txt" "$action"
  touch ready
}

# A later step of the job finds the installation again, whichever of the actions it uses, unless they changed in
# between: hence names relative to the action.
action=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
key=$(cd "$action" && find src requirements -type f ! -name "*.pyc" -exec cksum {} + | sort | cksum)
home=$RUNNER_TEMP/mlci-${key%% *}
# What targets and stores need beyond that, such as s3: variables of a job reach all its actions.
read -r -d "" -a extras < <(printf "%s\0" "${MLCI_EXTRAS:-}")
for extra in ${extras[@]+"${extras[@]}"}; do
  if [[ $extra == */* || ! -f $action/requirements/extra-$extra.txt ]]; then
    known=$(cd "$action/requirements" && printf "%s " extra-*.txt)
    known=${known//extra-/}
    echo "::error::MLCI_EXTRAS: there is no extra '$extra', but ${known//.txt/}" >&2
    exit 2
  fi
  home+=-$extra
done
if [ ! -e "$home/ready" ]; then
  echo "::group::Install mlci"
  (install "$home" "$action" ${extras[@]+"${extras[@]}"})
  echo "::endgroup::"
fi

# An input that is empty, or that the action does not have, leaves a variable that the workflow may have set.
for name in CONFIG PROFILE PYTHON JOBS FROM_RUN ARTIFACT PULL_REQUEST; do
  input=INPUT_$name
  if [ -n "${!input:-}" ]; then export "MLCI_$name=${!input}"; fi
done
read -r -d "" -a arguments < <(printf "%s\0" "$INPUT_ARGS")
# Runners akin to act give every input to every step: what a model runs under would hold a token that it was refused.
exec env -u INPUT_GITHUB-TOKEN "$(python_of "$home/mlci")" -I -m mlci "$INPUT_COMMAND" ${arguments[@]+"${arguments[@]}"}
