#!/usr/bin/env bash
# Reranking on SciFact, from the command line: all-MiniLM-L6-v2 retrieves, a cross-encoder that this program trains from MiniLM's weights (head random) on SciFact's
# train split, reranks the top 100 of the test queries. It learns against what it will meet: passages that MiniLM finds, drawn from its best 60. Prints a table and
# the significance of the differences.
#   bench/rerank-scifact.sh [THREADS]      default: all cores
# About half an hour on two free cores. Work lies in out/rerank-scifact (WORK); what is there already is not done again. Needs out/retrieval (./build.sh; or RETRIEVAL).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
shared=${SHARED:-$root/../shared} work=${WORK:-$root/out/rerank-scifact} retrieval=${RETRIEVAL:-$root/out/retrieval} threads=${1:-0}
data=$shared/data/collections/scifact train=$shared/goldens/finetune/train.jsonl model=$shared/goldens/real/model
for needed in "$retrieval" "$data/corpus.jsonl" "$train" "$model"; do
  [ -e "$needed" ] || { echo "rerank-scifact.sh: $needed is missing" >&2; exit 2; }
done
mkdir -p "$work"; cd "$work"

# step NAME COMMAND...: once, with its seconds in NAME.seconds.
step() {
  local name=$1 start=$SECONDS; shift
  [ -e "$name.seconds" ] && return
  echo "== $name" >&2
  "$@" >"$name.out"
  echo $((SECONDS - start)) >"$name.seconds"
}

# queries QRELS: those of the collection that it judges.
queries() {
  awk 'NR == FNR { judged[$1]; next } match($0, /"_id": *"[^"]*"/) { id = substr($0, RSTART, RLENGTH); gsub(/^.*: *"|"$/, "", id); if (id in judged) print }' "$1" "$data/queries.jsonl"
}

queries "$data/qrels.trec" >test.jsonl
cpu=(--device cpu --threads "$threads")
step bm25 "$retrieval" search --method bm25 --corpus "$data" --queries test.jsonl --depth 1000 --output bm25.run --threads "$threads"
step encode "$retrieval" encode --model "$model" --input "$data/corpus.jsonl" --passage-max-len 256 --query-max-len 256 --output emb "${cpu[@]}"
[ -e index ] || "$retrieval" index build --embeddings emb --output index >&2
step search "$retrieval" search --index index --queries test.jsonl --depth 1000 --output minilm.run "${cpu[@]}"
step mine "$retrieval" mine --index index --corpus "$data/corpus.jsonl" --train-data "$train" --range-max 60 --num-negatives 7 --sampling-strategy random \
  --output mined.jsonl "${cpu[@]}"
resume=(); [ ! -e cross-encoder ] || resume=(--resume)
step train "$retrieval" train --task reranker --model "$model" --train-data mined.jsonl --output cross-encoder --rerank-max-len 256 --train-group-size 6 \
  --per-device-train-batch-size 16 --num-train-epochs 3 --learning-rate 1e-4 --save-steps 25 --save-total-limit 1 "${resume[@]}" "${cpu[@]}"
step rerank "$retrieval" rerank --model cross-encoder --run minilm.run --queries test.jsonl --corpus "$data" --depth 100 --output reranked.run "${cpu[@]}"

echo "$(nproc) cores, commit $(git -C "$root" rev-parse --short HEAD), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)"
printf '%-10s %10s %10s %10s\n' run nDCG@10 MRR@10 seconds
for name in bm25 minilm reranked; do
  ndcg=$("$retrieval" evaluate -m ndcg_cut.10 "$data/qrels.trec" $name.run | awk '{ print $3 }')
  mrr=$("$retrieval" evaluate -M 10 -m recip_rank "$data/qrels.trec" $name.run | awk '{ print $3 }')
  case $name in bm25) seconds=$(cat bm25.seconds) ;; minilm) seconds=$(($(cat encode.seconds) + $(cat search.seconds))) ;; *) seconds=$(cat rerank.seconds) ;; esac
  printf '%-10s %10s %10s %10s\n' $name "$ndcg" "$mrr" "$seconds"
done
echo "training: $(cat train.seconds) s; $(cat train.out)"
for other in minilm bm25; do "$retrieval" compare -m ndcg_cut.10 "$data/qrels.trec" $other.run reranked.run || true; done
