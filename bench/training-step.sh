#!/usr/bin/env bash
# One contrastive training step (6 layers x 512, 288 texts x 64 tokens; LoRA, full, forward): this program, then shared/peers/train_torch.py where Debian's python3-torch is.
#   bench/training-step.sh [STEPS]      medians of STEPS steps (4) on two threads
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
steps=${1:-4}
dotnet build "$root/bench/RetrievalEngine.Bench" -c Release -v quiet -nologo
dotnet "$root/artifacts/bin/RetrievalEngine.Bench/release/RetrievalEngine.Bench.dll" training-step "$steps"
peer=${SHARED:-$root/../shared}/peers/train_torch.py
[ -f "$peer" ] || { echo "training-step.sh: $peer is not there; nothing to compare with" >&2; exit 3; }
/usr/bin/python3 -c 'import torch' 2>/dev/null || { echo "training-step.sh: PyTorch is missing; on Debian: apt-get install python3-torch" >&2; exit 3; }
for mode in forward lora full; do /usr/bin/python3 "$peer" --mode $mode --threads 2 --steps "$steps"; done
