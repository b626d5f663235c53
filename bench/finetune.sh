#!/usr/bin/env bash
# Follows the reference stack's fine-tuning of all-MiniLM-L6-v2 on SciFact's train split (shared/goldens/finetune) step by step, with this program alone:
#   bench/finetune.sh [full|lora]...      both without arguments
# Checks: the first 20 losses within 1e-4 relative, nDCG@10 after within 0.005 of PyTorch's. Exit code 1 where one fails. Work lies in out/finetune.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
shared=${SHARED:-$root/../shared}
golden=$shared/goldens/finetune data=$shared/data/collections/scifact base=$shared/goldens/real/model work=$root/out/finetune retrieval=$root/out/retrieval
[ -d "$golden" ] || { echo "finetune.sh: $golden is not there; nothing to compare with" >&2; exit 3; }
[ -x "$retrieval" ] || { echo "finetune.sh: $retrieval is not there; run ./build.sh first" >&2; exit 2; }
modes=("$@"); [ $# -gt 0 ] || modes=(full lora)
mkdir -p "$work"; failed=0

# measure NAME MODEL-OPTIONS...: encode, index, search and evaluate SciFact's test queries; prints nDCG@10.
measure() {
  local name=$1; shift
  rm -rf "${work:?}/$name".{emb,index,run}
  "$retrieval" encode "$@" --input "$data/corpus.jsonl" --passage-max-len 256 --query-max-len 256 --output "$work/$name.emb" --quiet >/dev/null
  "$retrieval" index build --embeddings "$work/$name.emb" --output "$work/$name.index" --quiet >/dev/null
  "$retrieval" search --index "$work/$name.index" --queries "$data/queries.jsonl" --depth 1000 --output "$work/$name.run" --quiet >/dev/null
  "$retrieval" evaluate -m ndcg_cut.10 -m recip_rank -m recall.100 -m map "$data/qrels.trec" "$work/$name.run" >"$work/$name.eval"
  awk '$1 == "ndcg_cut_10" { print $3 }' "$work/$name.eval"
}

number() { sed -n "s/^ *\"$2\": \([0-9.e-]*\),*$/\1/p" "$1"; }                       # the last field of that name is the one after training
losses() { sed -n '/"losses"/,/\]/s/^ *\([0-9][0-9.e-]*\),*$/\1/p' "$1"; }

before=$(measure base --model "$base")
for mode in "${modes[@]}"; do
  rm -rf "${work:?}/$mode"
  if [ "$mode" = full ]; then how=(--learning-rate 2e-5); else how=(--learning-rate 5e-4 --lora-name-or-path "$golden/adapter-init"); fi
  start=$SECONDS
  "$retrieval" train --model "$base" --train-data "$golden/train.jsonl" --output "$work/$mode" --no-shuffle --per-device-train-batch-size 32 --train-group-size 4 \
    --temperature 0.05 --query-max-len 256 --passage-max-len 256 --weight-decay 0.01 --max-grad-norm 1 --warmup-steps 7 --num-train-epochs 3 --save-steps 0 "${how[@]}"
  seconds=$((SECONDS - start))
  if [ "$mode" = full ]; then after=$(measure full --model "$work/full"); else after=$(measure lora --model "$base" --adapter "$work/lora"); fi
  "$retrieval" compare -m ndcg_cut.10 "$data/qrels.trec" "$work/base.run" "$work/$mode.run" || true
  paste <(sed 's/.*"loss":\([^,]*\).*/\1/' "$work/$mode/log.jsonl") <(losses "$golden/$mode.json") | head -20 | awk -v mode="$mode" -v before="$before" -v after="$after" \
    -v want="$(number "$golden/$mode.json" ndcg_cut_10 | tail -1)" -v seconds="$seconds" -v peer="$(number "$golden/$mode.json" seconds_training)" '
    { error = ($1 > $2 ? $1 - $2 : $2 - $1) / $2; if (error > worst) worst = error }
    END {
      off = after > want ? after - want : want - after
      ok = NR == 20 && worst <= 1e-4 && off <= 0.005
      printf "%s: first 20 losses off by at most %.1e (1e-4 allowed); nDCG@10 %.4f -> %.4f, PyTorch %.4f (%.4f apart, 0.005 allowed); %d s, PyTorch 2.13 on 2 such cores %.0f s: %s\n",
        mode, worst, before, after, want, off, seconds, peer, ok ? "ok" : "FAILED"
      exit !ok
    }' || failed=1
done
exit $failed
