#!/usr/bin/env bash
# Makes what bench/gpu/run.sh needs on a machine with a GPU but without .NET: the command and the GPU tests with the runtime, in one archive.
#   bench/gpu/pack.sh [ARCHIVE]      default out/gpu-pack.tar.xz; needs the .NET SDK and xz. The kernels' sources and run.sh come with the repository itself.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
archive=${1:-$root/out/gpu-pack.tar.xz}
work=$root/artifacts/gpu-pack
limit=$((60 << 20))
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 MSBUILDDISABLENODEREUSE=1 MSBUILDTERMINALLOGGER=off
for tool in dotnet xz tar; do
  command -v "$tool" >/dev/null || { echo "pack.sh: $tool is missing" >&2; exit 2; }
done

# All into one folder: the runtime, which is nearly all of it, is there once.
rm -rf "$work/bin"
for project in src/RetrievalEngine.Cli tests/RetrievalEngine.Compute.Tests tests/RetrievalEngine.Cuda.Tests; do
  echo "== $project"
  dotnet publish "$root/$project" -c Release -r linux-x64 --self-contained -p:CarriedTests=true -p:ArtifactsPath="$work/build" -v quiet -nologo -o "$work/bin"
done
git -C "$root" describe --always --dirty >"$work/bin/commit" 2>/dev/null || echo unknown >"$work/bin/commit"

mkdir -p "$(dirname "$archive")"
tar -C "$work" --exclude=TestResults --exclude=Microsoft.CodeCoverage --owner=0 --group=0 -c bin | xz -9 >"$archive.new"
mv "$archive.new" "$archive"
size=$(stat -c %s "$archive")
echo "$archive: $((size >> 20)) MiB"
[ "$size" -lt "$limit" ] || { echo "pack.sh: the archive is larger than $((limit >> 20)) MiB" >&2; exit 1; }
