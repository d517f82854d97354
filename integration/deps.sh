#!/bin/bash
# Installs the Debian packages that the tests need, or says which are missing.
# No service is started: the tests run every daemon themselves.
set -euo pipefail

packages=(
  gcc libc6-dev # the race detector
  iproute2 iputils-ping nftables curl openssl procps tcpdump
  strongswan-charon strongswan-swanctl charon-cmd strongswan-libcharon
  libcharon-extra-plugins libcharon-extauth-plugins
  libstrongswan-standard-plugins libstrongswan-extra-plugins
  network-manager strongswan-nm dbus-daemon
  user-mode-linux kmod # a kernel with ESP
  freeradius freeradius-utils eapoltest sqlite3
  slapd ldap-utils
)

missing=()
for p in "${packages[@]}"; do
  [[ $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) == "install ok installed" ]] || missing+=("$p")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

if [[ $(id -u) != 0 ]]; then
  echo "These Debian packages are missing: ${missing[*]}" >&2
  echo "Install them, or run 'sudo make test'." >&2
  exit 1
fi

# A policy of "never" keeps the packages from starting their daemons.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
echo "Installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
{ apt-get update -q && apt-get install -q -y --no-install-recommends "${missing[@]}"; } > "$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; exit 1; }
rm -f "$log"
