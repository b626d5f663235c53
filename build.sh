#!/usr/bin/env bash
# The one command of this repository; build.ps1 has the same verbs.
#   ./build.sh [build]         compiles everything, with CUDA kernels where nvcc is; leaves the runnable command at out/retrieval
#   ./build.sh test [ARGS]     format check, build, all tests; ends with `N passed, N failed, N skipped`; ARGS go to dotnet test (--filter …)
#   ./build.sh demo [ARGS]     build, then `retrieval demo ARGS`: trains, searches and measures on text that every .NET SDK carries
#   ./build.sh bench [ARGS]    build, then `retrieval bench ARGS`: every op at the shapes of real models, as a share of what the machine can do
#   ./build.sh publish         one self-contained file at out/publish/retrieval that needs no .NET on the machine, tried with an empty environment
#   ./build.sh format          rewrites the sources as .editorconfig wants them
#   ./build.sh clean           removes artifacts/ and out/
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
solution=$root/RetrievalEngine.sln
results=$root/artifacts/TestResults
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 MSBUILDDISABLENODEREUSE=1 MSBUILDTERMINALLOGGER=off

# step NAME COMMAND...: runs it between its name and its time; the first failure ends the script with that name.
step() {
  local name=$1 code=0 start=$SECONDS
  shift
  echo "== $name"
  "$@" || code=$?
  [ $code = 0 ] || { echo "build.sh: step '$name' failed after $((SECONDS - start)) s (exit code $code)" >&2; exit "$code"; }
  echo "== $name: $((SECONDS - start)) s"
}

need_dotnet() {
  if ! command -v dotnet >/dev/null || ! dotnet --list-sdks | grep -q '^1[0-9]\.'; then
    echo "build.sh: the .NET SDK 10 is missing. Debian/Ubuntu: sudo apt-get install dotnet-sdk-10.0 (Debian: add Microsoft's feed first," >&2
    echo "  https://learn.microsoft.com/dotnet/core/install/linux-debian); any system: https://dot.net/v1/dotnet-install.sh --channel 10.0" >&2
    exit 2
  fi
  # out/retrieval finds the runtime here where it is not in a standard place.
  export DOTNET_ROOT=${DOTNET_ROOT:-$(dirname "$(readlink -f "$(command -v dotnet)")")}
}

# Kernels are compiled where a compiler for them is; without them the program is complete but for --device cuda, which says what is missing.
kernels() {
  if ! command -v cmake >/dev/null || [ -z "$(cmake -P "$root/cmake/FindNvcc.cmake")" ]; then
    echo "no CUDA kernels in this build: cmake or nvcc is not here; apt-get install cmake g++, then cmake/get-cuda.sh (92 MB, no root)"
    rm -rf "$root/artifacts/kernels"
    return
  fi
  run_cmake kernels
}
# The driver that runs the kernels on the CPU, for tests.
emulator() {
  if ! command -v cmake >/dev/null || ! command -v g++ >/dev/null || [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "no emulated CUDA driver: it needs cmake and g++ on Linux x86-64 (apt-get install cmake g++)"
    rm -rf "$root/out/emulate"
    return
  fi
  run_cmake kernels/emulate
}
run_cmake() { local to=$root/artifacts/cmake/$(basename "$1") && cmake -S "$root/$1" -B "$to" >/dev/null && cmake --build "$to" -j "$(nproc)"; }
compile() { dotnet build "$solution" -c Release -v quiet -nologo; }
install() { dotnet publish "$root/src/RetrievalEngine.Cli" -c Release --no-build -v quiet -nologo -o "$root/out" && "$root/out/retrieval" --version; }
check_format() { dotnet format "$solution" --verify-no-changes --no-restore; }
build() { step restore dotnet restore "$solution" -v quiet; step kernels kernels; step compile compile; step "out/retrieval" install; }

# Every test project is run, also after a failure; sums and the reasons of skipped tests come from the result files.
run_tests() {
  local project name failure=0
  rm -rf "$results"
  for project in "$root"/tests/*.Tests; do
    name=$(basename "$project")
    (step "test $name" dotnet test "$project" -c Release --no-build -nologo --results-directory "$results" --logger "console;verbosity=minimal" --logger "trx;LogFileName=$name.trx" "$@") || failure=1
  done
  sed -n '/outcome="NotExecuted"/,/<\/UnitTestResult>/s/.*<Message>\([^<]*\).*/\1/p' "$results"/*.trx |
    sed 's/&lt;/</g; s/&gt;/>/g; s/&quot;/"/g; s/&amp;/\&/g' | sort | uniq -c | sed 's/^ */skipped: /; s/ / test(s): /2'
  # A project that crashed leaves no or fewer results: it counts as one failure more.
  awk -v crashed="$failure" '
    function count(key) { return match($0, " " key "=\"[0-9]+") ? substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3) : 0 }
    /<Counters / { passed += count("passed"); failed += count("failed") + count("error") + count("aborted") + count("timeout"); total += count("total") }
    END {
      skipped = total - passed - failed
      if (crashed && !failed) { failed = 1; print "a test project ended without saying which test failed: see above" }
      printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
      exit failed > 0
    }' "$results"/*.trx || failure=1
  trap - EXIT
  return $failure
}

publish() {
  dotnet publish "$root/src/RetrievalEngine.Cli" -c Release --self-contained --use-current-runtime -p:PublishSingleFile=true -v quiet -nologo -o "$root/out/publish"
}
try_published() { (cd / && env -i "$root/out/publish/retrieval" --version) && du -h "$root/out/publish/retrieval"; }

verb=${1:-build}
[ $# = 0 ] || shift
case $verb in
  build) need_dotnet; build ;;
  test) trap 'echo "0 passed, 1 failed, 0 skipped"' EXIT; need_dotnet; build; step "emulated driver" emulator; step format check_format; run_tests "$@" ;;
  demo) need_dotnet; build; "$root/out/retrieval" demo "$@" ;;
  bench) need_dotnet; build; "$root/out/retrieval" bench "$@" ;;
  publish) need_dotnet; step kernels kernels; step publish publish; step "run with an empty environment" try_published ;;
  format) need_dotnet; step restore dotnet restore "$solution" -v quiet; step format dotnet format "$solution" --no-restore ;;
  clean) step clean rm -rf "$root/artifacts" "$root/out" ;;
  *) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
