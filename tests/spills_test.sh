#!/usr/bin/env bash
# The kernels of tests/cuda/no_spills.txt keep their numbers in registers.   bash tests/spills_test.sh [BUILD]
cd "$(dirname "$0")/.."
exec python3 tests/tools/spills.py tests/cuda/no_spills.txt "${1:-build}"
