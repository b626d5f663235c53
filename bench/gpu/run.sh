#!/usr/bin/env bash
# Takes a machine with an NVIDIA GPU and CUDA, but without .NET, to a report: the kernels' correctness and speed there, beside PyTorch where that is.
#   bench/gpu/run.sh [STAGE...]     build, test, sanitize, kernels, training, search, report; without one: all that have no result yet
# Needs this repository and the archive that bench/gpu/pack.sh makes where .NET is; nvcc of CUDA 12 or later (else the kernels inside the archive are used);
# python3 for the report, PyTorch in it for the comparison. Whatever is missing is said in one sentence, here and in the report. Each stage ends within nine
# minutes, may be repeated, and unpacks and compiles by itself what an earlier one has not left on this machine.
#   OUT=DIR                      the results: at most 7 files (default bench/results)
#   RETRIEVAL_GPU_PACK=FILE      the archive (default out/gpu-pack.tar.xz)
#   RETRIEVAL_GPU_PRESET=NAME    the shapes: 7b (default), small, tiny
#   RETRIEVAL_GPU_TESTS=NAME     only tests whose names contain it
#   PYTHON=COMMAND               default python3
# Without a GPU the script is tried with the driver of kernels/emulate: RETRIEVAL_LIBCUDA, RETRIEVAL_KERNELS, RETRIEVAL_GPU_PRESET=tiny, TORCH_DEVICE=cpu.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${OUT:-$root/bench/results}
pack=${RETRIEVAL_GPU_PACK:-$root/out/gpu-pack.tar.xz}
preset=${RETRIEVAL_GPU_PRESET:-7b}
work=$root/out/gpu
bin=$work/bin
stages=(build test sanitize kernels training search)
stage_seconds=520
read -r -a python <<<"${PYTHON:-python3}"
export PYTHONDONTWRITEBYTECODE=1 DOTNET_EnableDiagnostics=0
mkdir -p "$out" "$work"
out=$(cd "$out" && pwd)

say() { echo "run.sh: $*" >&2; }
die() { say "$*"; exit 2; }
# Within what the stage has left of its time; 124 where that was not enough.
limited() {
  local left=$((deadline - SECONDS))
  [ "$left" -gt 1 ] || return 124
  timeout -k 10 "$left" "$@"
}
result_of() { case $1 in build | test | sanitize) echo "$out/$1.log" ;; *) echo "$out/$1.jsonl" ;; esac; }
finished() { [ -f "$(result_of "$1")" ] && tail -n 1 "$(result_of "$1")" | grep -q "\"done\": \"$1\""; }
# A sentence for the report, in the results of the running stage.
note() { say "$*"; printf '{"note": "%s"}\n' "${*//\"/\'}" >>"$result"; }

find_tool() { # NAME: its path, from the PATH or where CUDA is usually installed
  local folder
  command -v "$1" 2>/dev/null && return
  for folder in "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda /opt/cuda "$HOME/.cache/retrieval-engine/cuda"; do
    [ -n "$folder" ] && [ -x "$folder/bin/$1" ] && { echo "$folder/bin/$1"; return; }
  done
  return 1
}

# Everything that later stages start from: the programs unpacked, the devices known, the kernels compiled. Does only what is not done.
ready() {
  if [ ! -x "$bin/retrieval" ] || [ "$pack" -nt "$bin/commit" ]; then
    [ -f "$pack" ] || die "$pack is missing: make it by bench/gpu/pack.sh on a machine with the .NET SDK and bring it here"
    command -v xz >/dev/null || die "xz is missing: apt-get install xz-utils"
    rm -rf "$bin"
    tar -C "$work" -xJf "$pack"
    touch "$bin/commit"
  fi
  "$bin/retrieval" devices >"$work/devices" || die "the program of the archive does not run here"
  # The numbers of the architectures: 80, 90.
  mapfile -t architectures < <(sed -n 's/^cuda:.* (sm_\([0-9]*\)).*/\1/p' "$work/devices" | sort -un)
  [ ${#architectures[@]} -gt 0 ] || die "there is no GPU: $(sed -n 's/^cuda *none: //p' "$work/devices")"
  if [ -z "${RETRIEVAL_KERNELS:-}" ]; then
    compile || return
    [ -z "$(ls "$work/kernels" 2>/dev/null)" ] || export RETRIEVAL_KERNELS=$work/kernels
  fi
}

# kernels/*.cu for the GPUs that are here, those of kernels/hopper for 9.0 alone, each to the fatbin that the program looks for.
compile() {
  local nvcc source name codes=() jobs=()
  nvcc=$(find_tool nvcc) || { missing_nvcc=1; return 0; }
  [ ! -f "$work/kernels.done" ] || [ -n "$(find "$root/kernels" -name '*.cu*' -newer "$work/kernels.done" | head -1)" ] || return 0
  rm -rf "$work/kernels" "$work/kernels.done"
  mkdir -p "$work/kernels"
  for number in "${architectures[@]}"; do codes+=("-gencode=arch=compute_$number,code=sm_$number"); done
  for source in "$root"/kernels/*.cu; do jobs+=("$source|${codes[*]}"); done
  case " ${architectures[*]} " in *" 90 "*)
    for source in "$root"/kernels/hopper/*.cu; do [ ! -f "$source" ] || jobs+=("$source|-gencode=arch=compute_90a,code=sm_90a"); done ;;
  esac
  export nvcc root work
  local begin=$SECONDS
  # shellcheck disable=SC2016
  if ! printf '%s\n' "${jobs[@]}" | limited xargs -P "$(nproc)" -I {} bash -c '
    source=${1%%|*} name=$(basename "${1%%|*}" .cu)
    "$nvcc" -std=c++17 -O3 -lineinfo -Xptxas -v ${1#*|} -I "$root/kernels" -fatbin -o "$work/kernels/$name.fatbin" "$source" >"$work/kernels/$name.log" 2>&1 ||
      { echo "nvcc cannot compile $source:"; head -n 20 "$work/kernels/$name.log"; exit 255; }' _ {} >&2; then
    return 1
  fi
  cat "$work"/kernels/*.log >"$work/nvcc.log"
  rm "$work"/kernels/*.log
  touch "$work/kernels.done"
  say "$(ls "$work/kernels" | wc -l) files of kernels compiled for ${architectures[*]} in $((SECONDS - begin)) s by $("$nvcc" --version | sed -n 's/.*release \([^,]*\).*/CUDA \1/p')"
}

stage_build() {
  "$bin/retrieval" devices >"$work/devices"
  {
    date -u +'%F %T UTC'
    echo "commit $(cat "$bin/commit")"
    cat "$work/devices"
    sed -n 's/^model name[^:]*: /processor /p' /proc/cpuinfo | head -1
    echo "cores $(nproc)"
    ! command -v nvidia-smi >/dev/null || nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.max.mem,power.limit --format=csv 2>&1 || true
    ! nvcc=$(find_tool nvcc) || "$nvcc" --version | tail -n 2
    if [ -f "$work/nvcc.log" ]; then
      awk '/Compiling entry function/ { kernels++ } / bytes stack frame/ { if ($1 > 0 || / [1-9][0-9]* bytes spill/) bad++ }
        END { printf "%d kernels compiled, %d with a stack or spills\n", kernels, bad }' "$work/nvcc.log"
    fi
  } | tee -a "$result"
  [ -z "${missing_nvcc:-}" ] || note "nvcc is not here: the kernels that were built into the archive are used."
  if grep -q '^cuda:0 .*cannot be used' "$work/devices"; then
    note "the GPU $(sed -n 's/^cuda:0 .*; \(cannot be used: .*\)/\1/p' "$work/devices")"
    return 1
  fi
}

# tests NAME WHERE PROGRAM: the program with the options that choose its tests by NUnit's test selection language.
tests() {
  local settings=$work/tests-$1.runsettings
  echo "<RunSettings><NUnit><Where>$2${RETRIEVAL_GPU_TESTS:+ and test =~ /$RETRIEVAL_GPU_TESTS/}</Where></NUnit></RunSettings>" >"$settings"
  limited "${@:4}" "$bin/$3" --no-ansi --progress off --show-test-results failed --show-stdout failed --settings "$settings"
}
op_tests() { tests "$1" "test =~ /CUDA (emulated )?$1/" RetrievalEngine.Compute.Tests "${@:2}"; }

stage_test() {
  local type pids=() names=(F32 BF16 F16 backend) code i name
  for type in F32 BF16 F16; do
    op_tests "$type" >"$work/test-$type.log" 2>&1 &
    pids+=($!)
  done
  tests backend 'cat != Gate' RetrievalEngine.Cuda.Tests >"$work/test-backend.log" 2>&1 &
  pids+=($!)
  for i in "${!pids[@]}"; do
    name=${names[$i]} code=0
    wait "${pids[$i]}" || code=$?
    # 8: no test has the name that was asked for.
    [ $code != 8 ] || [ -z "${RETRIEVAL_GPU_TESTS:-}" ] || code=0
    [ $code = 0 ] || failed=1
    { echo "== tests $name: exit code $code"; cat "$work/test-$name.log"; } >>"$result"
    say "tests $name: exit code $code, $(sed -n 's/^ *\(total\|failed\|succeeded\|skipped\): /\1 /p' "$work/test-$name.log" | paste -sd ' ')"
    [ $code != 124 ] || note "The tests $name were not through after $stage_seconds s."
  done
}

# sanitized TOOL NAME COMMAND...: the command, which puts what follows it before its program, under compute-sanitizer; its findings to the results.
sanitized() {
  local tool=$1 name=$2 code=0 log=$work/sanitize.log
  shift 2
  "$@" "$sanitizer" --tool "$tool" --error-exitcode 9 --print-limit 20 >"$log" 2>&1 || code=$?
  { echo "== $tool, $name: exit code $code"; grep '^=========' "$log" || true; [ $code = 0 ] || grep -v '^=========' "$log" | tail -n 10; } >>"$result"
  say "$tool, $name: exit code $code, $(grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' "$log" | tail -n 1 | sed 's/^=* *//')"
  case $code in
    0) ;;
    124 | 137) note "$tool of $name was cut short by the stage's time; $(grep -c '^========= \(Invalid\|Error\|Warning\|Potential\)' "$log" || true) findings until then." ;;
    *) failed=1 ;;
  esac
}

ops() { limited "${@:4}" "$bin/retrieval" bench --device cuda:0 --dtype "$1" --preset "$2" --filter "$3" --seconds 0 --peak-tflops 1 --peak-gbs 1; }

stage_sanitize() {
  local tool type dtype
  sanitizer=$(find_tool compute-sanitizer) || { note "compute-sanitizer is not here: neither memcheck nor racecheck was run."; return 0; }
  for tool in racecheck memcheck; do
    for dtype in bfloat16 float32; do sanitized "$tool" "every op in $dtype" ops "$dtype" tiny ""; done
  done
  # Larger products: on some GPUs another kernel's.
  sanitized memcheck "products in bfloat16" ops bfloat16 "${RETRIEVAL_GPU_PRESET:-small}" matmul
  for type in F32 BF16; do sanitized memcheck "tests $type" op_tests "$type"; done
}

# peer SCRIPT ARGUMENTS...: a line of PyTorch's results, or a note why there is none.
peer() {
  local code=0
  command -v "${python[0]}" >/dev/null || { note "${python[0]} is not here: no comparison with PyTorch."; return 0; }
  limited "${python[@]}" "$here/$1" --device "${TORCH_DEVICE:-cuda}" --preset "$preset" "${@:2}" >"$work/peer.json" 2> >(tee "$work/peer.log" >&2) || code=$?
  if [ $code = 0 ]; then cat "$work/peer.json" >>"$result"; else note "$1 ${*:2} gave exit code $code: $(tail -n 1 "$work/peer.log")"; fi
  grep '^hugging_face: ' "$work/peer.log" | while read -r line; do note "No Hugging Face training step: ${line#hugging_face: }"; done || true
}
ours() {
  local code=0
  limited "$bin/retrieval" bench --device cuda:0 --preset "$preset" "${peaks[@]}" --json "$@" >"$work/ours.json" || code=$?
  cat "$work/ours.json" >>"$result"
  # 1: an op failed, and its case says so.
  [ $code = 0 ] || { failed=1; note "retrieval bench $* gave exit code $code."; }
}
# The ceilings: what cuBLAS and a copy reach here; without PyTorch what retrieval bench takes by itself.
measure_peaks() {
  peaks=()
  peer torch_kernels.py --peaks
  [ -s "$work/peer.json" ] || return 0
  peaks=(--peak-tflops "$(sed 's/.*"peak_tflops": \([^,]*\),.*/\1/' "$work/peer.json")" --peak-gbs "$(sed 's/.*"peak_gbs": \([^,]*\),.*/\1/' "$work/peer.json")")
}
kernel_ops=load,copy,fill,cast,embedding,pool,l2normalize,crossentropy,squares,adamw,add,scale,activation,norm,rope,matmul,attention,quantize
# How long each case is repeated; a try of the script repeats little.
repeat() { [ "$preset" = 7b ] && echo "$1" || echo 0; }

stage_kernels() {
  local dtype
  measure_peaks
  for dtype in bfloat16 float32; do
    ours --dtype "$dtype" --filter "$kernel_ops" --seconds "$(repeat 0.5)"
    peer torch_kernels.py --dtype "$dtype" --seconds "$(repeat 0.5)"
  done
}
stage_training() {
  measure_peaks
  ours --dtype bfloat16 --filter trainingstep --seconds "$(repeat 10)"
  peer torch_training.py --dtype bfloat16 --seconds "$(repeat 10)"
}
stage_search() {
  measure_peaks
  ours --dtype bfloat16 --filter scoretopk --seconds "$(repeat 3)"
  [ -s "$work/ours.json" ] || return 0
  peer torch_search.py --like "$work/ours.json" --seconds "$(repeat 3)"
}

report() {
  command -v "${python[0]}" >/dev/null || { say "${python[0]} is not here: take $out to a machine with it and run python3 bench/gpu/report.py FOLDER"; return 0; }
  "${python[@]}" "$here/report.py" "$out"
}

run_stage() {
  local begin=$SECONDS code=0
  failed='' result=$(result_of "$1") deadline=$((SECONDS + stage_seconds))
  rm -f "$result" "$work/ours.json" "$work/peer.json"
  touch "$result"
  say "== $1"
  # Compiling belongs to the stage that needs it first.
  ready || { note "The kernels do not compile here."; return 1; }
  "stage_$1" || failed=1
  [ -z "$failed" ] || code=1
  printf '{"done": "%s", "seconds": %d, "failed": %s}\n' "$1" $((SECONDS - begin)) "$([ $code = 0 ] && echo false || echo true)" >>"$result"
  say "== $1: $((SECONDS - begin)) s$([ $code = 0 ] || echo ', with failures')"
  return $code
}

wanted=("$@")
if [ $# = 0 ]; then
  for stage in "${stages[@]}"; do finished "$stage" || wanted+=("$stage"); done
fi
status=0
for stage in "${wanted[@]}"; do
  case " ${stages[*]} report " in *" $stage "*) ;; *) die "there is no stage $stage; there are ${stages[*]} report" ;; esac
done
for stage in "${wanted[@]}"; do
  [ "$stage" = report ] || run_stage "$stage" || status=1
done
report
exit $status
