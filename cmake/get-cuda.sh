#!/usr/bin/env bash
# Gets a compiler for the kernels where there is none: nvcc, ptxas, cuobjdump and the headers of CUDA 12.4; no kernel driver, no root.
#   cmake/get-cuda.sh [FOLDER]     FOLDER: ${XDG_CACHE_HOME:-~/.cache}/retrieval-engine/cuda, where build.sh looks
# It takes NVIDIA's own files from Debian trixie's non-free packages (92 MB to fetch, 225 MB on disk) and puts them into a folder that can be moved. They need
# a glibc from 2.7 and a g++ from 7 to 13, so the system here need not be trixie. Every byte is verified: packages by the checksums in Debian's signed lists,
# the slice of headers by the checksum below.
# Exit code 0: the compiler is there (path printed); 1: it could not be fetched; 2: something this needs is missing.
set -euo pipefail
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/retrieval-engine/cuda}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mirror=${RETRIEVAL_DEBIAN_MIRROR:-}

say() { echo "get-cuda.sh: $*" >&2; }
if [ -x "$folder/bin/nvcc" ] && "$folder/bin/nvcc" --version >/dev/null 2>&1; then echo "$folder/bin/nvcc"; exit 0; fi
for tool in apt-get dpkg-deb curl xz g++; do
  command -v $tool >/dev/null && continue
  say "$tool is missing. On Debian or Ubuntu: sudo apt-get install curl xz-utils g++"
  say "  elsewhere install the CUDA toolkit 12: https://developer.nvidia.com/cuda-downloads"
  exit 2
done
[ -r $keyring ] || { say "$keyring is missing: sudo apt-get install debian-archive-keyring"; exit 2; }
if [ -z "$mirror" ]; then
  # The mirror that this Debian uses; the public one elsewhere.
  mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
  [ -n "$mirror" ] || mirror=$(sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*debian\/\{0,1\}\) .*/\2/p' /etc/apt/sources.list 2>/dev/null | head -1)
  mirror=${mirror:-http://deb.debian.org/debian}
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work/lists/partial" "$work/unpacked" "$work/cuda"/{bin,nvvm/bin,include,lib64} "$(dirname "$folder")"
cat >"$work/trixie.sources" <<END
Types: deb
URIs: $mirror
Suites: trixie
Components: main non-free
Signed-By: $keyring
END
# An apt of its own inside the temporary folder: the system's lists and settings stay as they are.
apt() {
  apt-get -qq -o Dir::Etc::sourcelist="$work/trixie.sources" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists" -o Dir::State::status=/dev/null \
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Dir::Cache::archives="$work" -o APT::Architecture=amd64 -o APT::Sandbox::User=root "$@"
}
unpack() { dpkg-deb --fsys-tarfile "$1" | tar x -C "$2" "${@:3}"; }

cd "$work"
say "fetching CUDA 12.4's compiler from $mirror (92 MB)"
apt update || { say "the package lists of $mirror could not be fetched"; exit 1; }
apt download nvidia-cuda-toolkit libcu++-dev libcuda1 || { say "the packages could not be fetched"; exit 1; }

unpack nvidia-cuda-toolkit_*.deb unpacked ./usr/bin ./usr/lib/nvidia-cuda-toolkit/bin ./usr/lib/nvidia-cuda-toolkit/libdevice
for program in ptxas fatbinary cudafe++ nvlink cuobjdump nvdisasm; do mv unpacked/usr/bin/$program cuda/bin/; done
mv unpacked/usr/lib/nvidia-cuda-toolkit/bin/{nvcc,crt} cuda/bin/
mv unpacked/usr/lib/nvidia-cuda-toolkit/bin/cicc cuda/nvvm/bin/
mv unpacked/usr/lib/nvidia-cuda-toolkit/libdevice cuda/nvvm/
unpack libcu++-dev_*.deb cuda --strip-components=2 ./usr/include
# The driver's library, for the test that holds the program's list of its functions against it. It runs nothing here.
unpack libcuda1_*.deb unpacked
mv "$(find unpacked -name 'libcuda.so.*.*' -type f | head -1)" cuda/lib64/libcuda.so.1

# Headers stand first in nvidia-cuda-dev (934 MB): one MiB of it holds them all. All of it is fetched where it is another version than 12.4.127~12.4.1-2, or
# where the mirror sends no slices.
slice=ba196e1a7e89e4e368402aa62b011956f98807d229b8abf389186f10e9926625
url=$(apt download --print-uris nvidia-cuda-dev | cut -d"'" -f2)
if curl -fsS -r 0-1048575 --max-filesize 2000000 -o slice.deb "$url" && echo "$slice  slice.deb" | sha256sum -c --status; then
  { dpkg-deb --fsys-tarfile slice.deb 2>/dev/null || true; } | { tar x -C cuda --strip-components=2 ./usr/include 2>/dev/null || true; }
else
  say "fetching all of nvidia-cuda-dev for its headers (934 MB)"
  apt download nvidia-cuda-dev || { say "nvidia-cuda-dev could not be fetched"; exit 1; }
  unpack nvidia-cuda-dev_*.deb cuda --strip-components=2 ./usr/include
fi

cat >cuda/bin/nvcc.profile <<'END'
TOP                = $(_HERE_)/..
NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice
PATH              += $(TOP)/nvvm/bin:$(_HERE_):
INCLUDES          += "-I$(TOP)/include" $(_SPACE_)
LIBRARIES         =+ $(_SPACE_) "-L$(TOP)/lib64"
END

# A kernel must compile before the folder takes its place.
echo 'extern "C" __global__ void probe(float* x) { x[threadIdx.x] *= 2.0f; }' >probe.cu
cuda/bin/nvcc -std=c++17 -arch=sm_80 -cubin -o probe.cubin probe.cu || { say "what was fetched cannot compile a kernel"; exit 1; }
[ ! -e "$folder" ] || [ -e "$folder/bin/nvcc.profile" ] || rmdir "$folder" || { say "$folder is there and is no compiler; name another folder"; exit 2; }
rm -rf "$folder"
mv cuda "$folder"
"$folder/bin/nvcc" --version | tail -2 >&2
echo "$folder/bin/nvcc"
