#!/usr/bin/env bash
# Makes assets/base, the checkpoint that the demo starts from: a vocabulary and a small decoder of random weights, trained by this program on the
# pre-training part of the .NET SDK's documentation (types that the demo neither trains nor measures on).
#   assets/make-base.sh [WORK]     WORK (default out/base) keeps the data and the log; docs/demo.md has the time that it took
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=${1:-$root/out/base}
retrieval=${RETRIEVAL:-$root/out/retrieval}
[ -x "$retrieval" ] || { echo "make-base.sh: $retrieval is missing; run ./build.sh first" >&2; exit 2; }
mkdir -p "$work"

"$retrieval" demo data --output "$work/data"
rm -rf "$work/tokenizer" "$work/random"
"$retrieval" model tokenizer --corpus "$work/data/pretrain" --queries "$work/data/pretrain" --vocab-size 8192 --output "$work/tokenizer"
"$retrieval" model init --config "$root/assets/base-config.json" --tokenizer "$work/tokenizer" --seed 1 --dtype bfloat16 --output "$work/random"
"$retrieval" train --model "$work/random" --train-data "$work/data/pretrain.jsonl" --dev-data "$work/data/dev" --output "$work/run" \
  --pooling mean --append-eos-token --query-max-len 48 --passage-max-len 96 --temperature 0.05 \
  --train-group-size 1 --per-device-train-batch-size 128 --mask-known-positives --num-train-epochs 3 --learning-rate 1e-3 --warmup-ratio 0.05 \
  --seed 1 --eval-steps 100 --save-steps 100 --resume

rm -rf "$root/assets/base"
"$retrieval" model convert --model "$work/run" --dtype bfloat16 --output "$root/assets/base"
du -sh "$root/assets/base"
