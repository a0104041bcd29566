#!/usr/bin/env bash
# Make the lists anew: first everything together, then each family held to the versions of that.
# So families add up in one environment. `UPGRADE=1 make lock` takes the newest versions.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${1:?the path of uv}

compile() {
  # antlr4 has no wheel and the private environment builds nothing. It is needed by Hydra alone, which DVC
  # imports for `dvc exp run --set-param`.
  "$uv" pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-emit-index-url \
    --no-annotate --no-emit-package antlr4-python3-runtime --custom-compile-command 'make lock' "$@"
}

families=(pull stats s3 gs azure gdrive ssh webdav gate git mlflow wandb onnx sklearn)
compile ${UPGRADE:+--upgrade} "${families[@]/#/--extra=}" pyproject.toml requirements/dev.in \
  --output-file requirements/dev.txt
held=(--constraints requirements/dev.txt --no-header)
compile "${held[@]}" pyproject.toml --output-file requirements/base.txt
# PyTorch is gigabytes: it is in no list but its own, the tests' neither.
for family in "${families[@]}" torch; do
  compile "${held[@]}" --extra "$family" pyproject.toml --output-file "requirements/$family.txt"
done
grep '^uv==' requirements/dev.in | compile "${held[@]}" - --output-file requirements/uv.txt
