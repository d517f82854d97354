#!/bin/bash
# Logs in as LAB_USER, shows what came of it, and logs out; "login.sh stay"
# stays until it is told to end. The exit code is 1 if the login failed.
set -euo pipefail
user=$LAB_USER
password=${LAB_PASSWORD:-$(cat "/secrets/$user" 2> /dev/null || true)}
[[ $user =~ ^[A-Za-z0-9@._-]+$ && $password =~ ^[^\"]+$ ]] || { echo "LAB_USER is alice or bob; for another one set LAB_PASSWORD, too." >&2; exit 2; }

umask 077
install -D -m 0644 /secrets/ca.pem /etc/swanctl/x509ca/ca.pem
text=$(< /etc/swanctl/swanctl.conf)
text=${text//@user@/"$user"}
printf '%s\n' "${text//@password@/"$password"}" > /etc/swanctl/swanctl.conf

/usr/lib/ipsec/charon &
charon=$!
logout() {
  swanctl --terminate --ike lab > /dev/null 2>&1 || true
  kill "$charon" 2> /dev/null || true
  wait "$charon" || true
}
trap logout EXIT
trap 'exit 0' TERM INT
for _ in {1..50}; do [[ ! -S /run/charon.vici ]] || break; sleep 0.1; done
swanctl --load-all --noprompt > /dev/null

if ! swanctl --initiate --child inside --timeout 30 > /dev/null 2>&1; then
  echo "The login as $user failed. To hear why: docker-compose exec gateway bridgehead why" >&2
  exit 1
fi
echo "$user is logged in."
swanctl --list-sas
ping -n -c 2 -w 10 -q 10.98.1.2
ping -n -c 2 -w 10 -q fd98:1::2
if [[ ${1:-} == stay ]]; then
  echo "Ctrl-C logs out."
  wait "$charon"
fi
