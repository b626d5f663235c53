#!/usr/bin/env bash
# all-MiniLM-L6-v2 from the command line (encode, index, search, evaluate) on four collections, beside the reference stack's figures.
# Usage: bench/minilm.sh [SHARED_FOLDER] (default: ../shared beside the checkout). Needs out/retrieval (./build.sh). Exit code 1 where a figure is off by more than 0.0005.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
shared=${1:-$root/../shared}
retrieval=$root/out/retrieval
for needed in "$retrieval" "$shared/goldens/real/expected.json" "$shared/data/collections"; do
  [ -e "$needed" ] || { echo "minilm.sh: $needed is missing" >&2; exit 2; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# number FILE PATTERN: the first number behind PATTERN.
number() { tr -d ' \n' <"$1" | sed -n "s/.*$2\([0-9.eE+-]*\).*/\1/p"; }

echo "$(nproc) cores, commit $(git -C "$root" rev-parse --short HEAD), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)"
printf '%-14s %10s %10s %11s %9s %9s %10s\n' collection nDCG@10 reference difference texts seconds tokens/s
failed=0
for name in adi cranfield scifact hotpotqa-500; do
  data=$shared/data/collections/$name
  "$retrieval" encode --model "$shared/goldens/real/model" --input "$data" --output "$work/$name.emb" --query-max-len 256 --passage-max-len 256 --json 2>"$work/log" >"$work/encode.json"
  "$retrieval" index build --embeddings "$work/$name.emb" --output "$work/$name.idx" --quiet >/dev/null
  "$retrieval" search --index "$work/$name.idx" --queries "$data" --output "$work/$name.run" --quiet
  "$retrieval" evaluate --json -m ndcg_cut.10 "$data/qrels.trec" "$work/$name.run" 2>/dev/null >"$work/evaluation.json"
  measured=$(number "$work/evaluation.json" '"ndcg_cut_10":')
  expected=$(number "$shared/goldens/real/expected.json" "\"$name\":{[^}]*\"ndcg_cut_10\":")
  tokens=$(number "$work/encode.json" '"encoded_tokens":') seconds=$(number "$work/encode.json" '"seconds":') texts=$(number "$work/encode.json" '"encoded_rows":')
  awk -v n="$name" -v m="$measured" -v e="$expected" -v t="$tokens" -v s="$seconds" -v r="$texts" 'BEGIN {
    d = m - e
    printf "%-14s %10.6f %10.6f %+11.6f %9d %9.1f %10d\n", n, m, e, d, r, s, t / s
    exit (d > 0.0005 || d < -0.0005)
  }' || failed=1
done
exit $failed
