#!/usr/bin/env bash
# Encoders of real shapes with random float32 weights, tokens/s on two threads: this program in turn with ONNX Runtime (npm's onnxruntime-node, the fused graph that
# shared/peers/gen_onnx.py writes) and, for the decoder, llama.cpp (npm's node-llama-cpp, gen_gguf.py).
#   bench/encoder-speed.sh [ROUNDS [MODEL…]]      models: minilm-l6 bert-base qwen05b
# Needs shared/ beside the checkout, node, npm, python3 with numpy (Debian: python3-numpy); work lies in out/peers.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
peers=$(cd "${SHARED:-$root/../shared}/peers" 2>/dev/null && pwd) || { echo "encoder-speed.sh: shared/peers is not there; nothing to compare with" >&2; exit 3; }
work=$root/out/peers rounds=${1:-3}
shift || true
models=("$@"); [ ${#models[@]} -gt 0 ] || models=(minilm-l6 bert-base qwen05b)
python=python3; "$python" -c 'import numpy' 2>/dev/null || python=/usr/bin/python3
"$python" -c 'import numpy' 2>/dev/null || { echo "encoder-speed.sh: numpy is missing; on Debian: apt-get install python3-numpy" >&2; exit 2; }
mkdir -p "$work"; cd "$work"
# Their install scripts would fetch binaries from outside the registry; those for the CPU are in the packages.
[ -d node_modules/node-llama-cpp ] && [ -d node_modules/onnxruntime-node ] || npm install --silent --no-fund --no-audit --ignore-scripts onnxruntime-node node-llama-cpp
dotnet build "$root/bench/RetrievalEngine.Bench" -c Release -v quiet -nologo
version() { sed -n 's/^ *"version": "\(.*\)".*/\1/p' "node_modules/$1/package.json"; }
echo "onnxruntime-node $(version onnxruntime-node), node-llama-cpp $(version node-llama-cpp)"
# The peer's script as it is, with the batch shape of this round in place of its own two.
with_shape() { sed "s/\[\[64, 128\], \[256, 32\]\]/[[$2, $3]]/" "$peers/$1" >"$work/$1"; grep -qF "[[$2, $3]]" "$work/$1"; }
export PEERS_NODE_MODULES=$work/node_modules
for model in "${models[@]}"; do
  case $model in
    qwen05b) [ -f $model.gguf ] || (cd "$peers" && "$python" gen_gguf.py $model f32 "$work/$model.gguf") ;;
    *) [ -f $model.onnx ] || (cd "$peers" && "$python" gen_onnx.py $model fused "$work/$model.onnx") ;;
  esac
  for round in $(seq "$rounds"); do
    for shape in 32x128 8x512 1x16; do
      texts=${shape%x*} length=${shape#*x}
      dotnet "$root/artifacts/bin/RetrievalEngine.Bench/release/RetrievalEngine.Bench.dll" encoder-speed $model $shape
      if [ "$model" = qwen05b ]; then
        with_shape bench_llama.mjs "$texts" "$length" && node bench_llama.mjs $model.gguf --threads 2 --seqs "$texts" | sed 's/^/llama.cpp, /'
      else
        with_shape bench_ort.mjs "$texts" "$length" && node bench_ort.mjs $model.onnx --threads 2 --batch "$texts" | sed 's/^/ONNX Runtime, /'
      fi
    done
  done
done
