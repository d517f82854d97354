#!/bin/bash
# Tries the compose lab for real: builds the images, brings everything up, logs
# in with the right password and a wrong one, and without the RADIUS server.
# Where Docker is not installed it says so and has nothing to try.
set -euo pipefail
cd "$(dirname "$0")/../.."
source integration/compose/daemon.sh

say() { printf '== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

if docker compose version > /dev/null 2>&1; then
  compose=(docker compose)
elif command -v docker docker-compose > /dev/null && docker-compose version > /dev/null 2>&1; then
  compose=(docker-compose)
else
  echo "Docker with Compose is not installed here, so the compose lab was not tried. On Debian: apt-get install docker.io docker-compose slirp4netns"
  exit 0
fi

folder=$(mktemp -d)
project=bridgehead-lab-$$
compose+=(--project-name "$project")
finish() {
  local code=$?
  [[ $code == 0 ]] || "${compose[@]}" logs --tail 40 2> /dev/null || true
  "${compose[@]}" down --volumes > /dev/null 2>&1 || true
  stop_daemon
  rm -rf "$folder"
  exit "$code"
}
trap finish EXIT

if ! docker info > /dev/null 2>&1; then
  [[ $(id -u) == 0 ]] || fail "no Docker daemon answers, and only root can start one: sudo make lab-test"
  for program in dockerd slirp4netns; do
    if ! command -v "$program" > /dev/null; then
      echo "No Docker daemon answers and $program is not installed to start one, so the compose lab was not tried. On Debian: apt-get install docker.io slirp4netns"
      exit 0
    fi
  done
  say "no Docker daemon answers: starting one of our own"
  start_daemon "$folder" || fail "dockerd did not start"
fi

base=${LAB_BASE:-debian:bookworm-slim}
if ! docker image inspect "$base" > /dev/null 2>&1 && ! docker pull --quiet "$base"; then
  command -v debootstrap > /dev/null || fail "$base can't be pulled, and debootstrap is not installed to make it from Debian's packages"
  say "$base can't be pulled: making it from Debian's packages"
  debootstrap --variant=minbase bookworm "$folder/base" > "$folder/debootstrap.log" || { tail "$folder/debootstrap.log"; fail "debootstrap"; }
  rm -f "$folder"/base/var/cache/apt/archives/*.deb
  tar -C "$folder/base" -c . | docker import - "$base"
  rm -rf "$folder/base"
fi

say "building the images"
"${compose[@]}" build > "$folder/build.log" 2>&1 || { tail -n 40 "$folder/build.log"; fail "docker-compose build"; }

say "docker-compose up"
"${compose[@]}" up -d > "$folder/up.log" 2>&1 || { cat "$folder/up.log"; fail "docker-compose up"; }
[[ $(docker wait "$("${compose[@]}" ps -a -q client)") == 0 ]] || fail "the login of 'up'"

# client USER [PASSWORD] logs in and leaves what it printed in $folder/out.
client() { "${compose[@]}" run --rm --no-deps -T -e "LAB_USER=$1" -e "LAB_PASSWORD=${2:-}" client > "$folder/out" 2>&1 < /dev/null; }
# shows WORDS... wants them in what the last command printed.
shows() {
  local word
  for word; do grep -qF -- "$word" "$folder/out" || { cat "$folder/out"; fail "expected \"$word\""; }; done
}
why() { "${compose[@]}" exec -T gateway bridgehead why > "$folder/out" 2>&1 < /dev/null || true; }

say "alice logs in, with the address that RADIUS gives her, and reaches what is behind the gateway"
client alice || { cat "$folder/out"; fail "the login"; }
shows "alice is logged in." "10.98.2.200" "fd98:2::" "2 packets transmitted, 2 received" "10.98.1.2 ping statistics" "fd98:1::2 ping statistics"

say "bob logs in, with an address of the pool"
client bob || { cat "$folder/out"; fail "the login"; }
shows "bob is logged in." "10.98.2." "2 packets transmitted, 2 received"

say "a wrong password is refused, and 'why' says so"
! client alice wrong || fail "a wrong password was taken"
why
shows "alice" "radius-refused"

say "without RADIUS nobody comes in, and 'why' says which server is silent"
"${compose[@]}" stop -t 2 radius > /dev/null 2>&1
! client bob || fail "a login without RADIUS"
why
shows "bob" "backend-unavailable" "server: lab"

say "back again, it lets users in"
"${compose[@]}" start radius > /dev/null 2>&1
for _ in {1..20}; do
  ! client bob || break
  sleep 3
done
shows "bob is logged in."
echo "The compose lab works: $(docker version --format 'Docker {{.Server.Version}}'), ${compose[0]} $("${compose[@]}" version --short)."
