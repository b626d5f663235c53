#!/usr/bin/env bash
# MiniLM-L6's shape, random weights: this program and ONNX Runtime (npm's onnxruntime-node, the fused graph that shared/peers/gen_onnx.py writes) in turn, three rounds in one run.
#   bench/encoder-speed.sh      needs shared/ beside the checkout, node, npm, python3 with numpy (Debian: python3-numpy); work lies in out/peers
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
peers=${SHARED:-$root/../shared}/peers work=$root/out/peers
[ -d "$peers" ] || { echo "encoder-speed.sh: $peers is not there; nothing to compare with" >&2; exit 3; }
python=python3; "$python" -c 'import numpy' 2>/dev/null || python=/usr/bin/python3
"$python" -c 'import numpy' 2>/dev/null || { echo "encoder-speed.sh: numpy is missing; on Debian: apt-get install python3-numpy" >&2; exit 2; }
mkdir -p "$work"; cd "$work"
# Its install script would fetch GPU libraries from outside the registry; the CPU library is in the package.
[ -d node_modules/onnxruntime-node ] || npm install --silent --no-fund --no-audit --ignore-scripts onnxruntime-node
[ -f minilm.onnx ] || (cd "$peers" && "$python" gen_onnx.py minilm-l6 fused "$work/minilm.onnx")
dotnet build "$root/bench/RetrievalEngine.Bench" -c Release -v quiet -nologo
echo "onnxruntime-node $(sed -n 's/.*"version": "\(.*\)".*/\1/p' node_modules/onnxruntime-node/package.json)"
for round in 1 2 3; do
  dotnet "$root/artifacts/bin/RetrievalEngine.Bench/release/RetrievalEngine.Bench.dll" encoder-speed
  PEERS_NODE_MODULES=$work/node_modules node "$peers/bench_ort.mjs" minilm.onnx --threads 2 --batch 32,1 | grep 'x 128'
done
