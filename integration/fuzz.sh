#!/bin/bash
# fuzz.sh TIME [PACKAGE...]: runs every fuzz target of the module for TIME,
# as many side by side as there are processors.
set -euo pipefail
time=${1:-10s}; shift || true
packages=${*:-./...}

list=$(go test -list '^Fuzz' $packages | awk '
  /^Fuzz/ { names[++n] = $1 }
  /^ok/   { for (i = 1; i <= n; i++) print $2, names[i]; n = 0 }')
[[ -n $list ]] || { echo "no fuzz targets found" >&2; exit 1; }
echo "$(wc -l <<< "$list") fuzz targets, $time each"

# Go before 1.27 may report the end of -fuzztime itself as a failure
# (go.dev/issue/75804). It says nothing else then; a finding names its input.
only_the_end() { # OUTPUT
  [[ $(grep -A 1 '^--- FAIL' <<< "$1" | tail -n 1) =~ ^\ +context\ deadline\ exceeded$ ]] &&
    ! grep -qE 'Failing input|panic|goroutine [0-9]' <<< "$1"
}

one() { # TIME PACKAGE TARGET
  if ! out=$(go test -run '^$' -fuzz "^$3\$" -fuzztime "$1" -fuzzminimizetime 5x -parallel 2 "$2" 2>&1) && ! only_the_end "$out"; then
    printf 'FAIL %s %s\n%s\n' "$2" "$3" "$out"
    return 255
  fi
  printf 'ok   %s %s: %s\n' "$2" "$3" "$(grep -o 'execs: [0-9]*' <<< "$out" | tail -1)"
}
export -f one only_the_end
xargs -P "$(nproc)" -L 1 bash -c 'one "$@"' _ "$time" <<< "$list"
