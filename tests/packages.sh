# Sourced by tests/run.sh and train/quickstart.sh: installs the Debian packages that are missing, and says so.
#   need_packages PACKAGE...
need_packages() {
  local missing=() p
  for p in "$@"; do
    dpkg-query -W -f='${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  local run=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "error: these packages are missing and sudo is not there to install them: ${missing[*]}" >&2; return 2; }
    run=(sudo)
  fi
  echo "installing ${#missing[@]} Debian packages: ${missing[*]}" >&2
  "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2 || return 2
  "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || {
    echo "error: apt-get could not install: ${missing[*]}" >&2; return 2; }
}

# What the library and the command line are built from.
build_packages=(g++ cmake ninja-build pkg-config libeigen3-dev libhwy-dev nlohmann-json3-dev libsndfile1-dev libsoxr-dev
                libpng-dev zlib1g-dev libfmt-dev libcli11-dev)
test_packages=(libgtest-dev libgmock-dev libbenchmark-dev strace python3 python3-jsonschema)
full_packages=(g++-aarch64-linux-gnu qemu-user-static)  # tests/run.sh --full
