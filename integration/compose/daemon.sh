# Sourced by test.sh: where no Docker daemon answers, starts one of our own. It
# lives in a network namespace with slirp4netns as its way out, so that the
# host's firewall, forwarding and bridges stay as they are, and its files are in
# a folder that goes when it ends.

# start_daemon FOLDER sets DOCKER_HOST.
start_daemon() {
  local folder=$1
  mkdir -p "$folder"/{data,exec}
  unshare --net --mount --propagation private sh -c '
    mount -t tmpfs tmpfs /run # containerd and iptables keep files there
    ip link set lo up
    until [ -e "$0/online" ]; do sleep 0.1; done
    exec dockerd --data-root "$0/data" --exec-root "$0/exec" --pidfile "$0/pid" \
      --host "unix://$0/docker.sock" --dns 10.0.2.3' "$folder" > "$folder/dockerd.log" 2>&1 &
  daemon=$!
  mkfifo "$folder/ready"
  slirp4netns --configure --disable-host-loopback --ready-fd 3 "$daemon" tap0 \
    3> "$folder/ready" > "$folder/slirp4netns.log" 2>&1 &
  slirp=$!
  read -r -t 10 -n 1 < "$folder/ready" || { cat "$folder/slirp4netns.log" >&2; return 1; }
  touch "$folder/online"
  export DOCKER_HOST="unix://$folder/docker.sock"
  for _ in {1..100}; do
    ! docker info > /dev/null 2>&1 || return 0
    kill -0 "$daemon" 2> /dev/null || break
    sleep 0.3
  done
  tail -n 20 "$folder/dockerd.log" >&2
  return 1
}

# stop_daemon ends what start_daemon has started.
stop_daemon() {
  local pid
  for pid in "${daemon:-}" "${slirp:-}"; do
    [[ -z $pid ]] || { kill "$pid" 2> /dev/null && wait "$pid"; } || true
  done
}
