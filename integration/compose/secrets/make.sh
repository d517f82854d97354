#!/bin/bash
# Makes the lab's certificates and secrets if they are not there yet:
#   authority/  the key that signs; nobody else sees it
#   gateway/    certificate and key, and what it shares with RADIUS
#   radius/     the same shared secret, and the users
#   client/     the authority's certificate, and the users' passwords
set -euo pipefail
umask 077
cd /made
[[ ! -e authority/done ]] || { echo "The secrets are there already."; exit 0; }

random() { openssl rand -hex "$1"; }

openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=Lab authority" \
  -addext keyUsage=critical,keyCertSign,cRLSign \
  -keyout authority/ca.key -out authority/ca.pem 2> /dev/null
openssl req -newkey rsa:2048 -nodes -subj "/CN=vpn.lab" -keyout gateway/server.key -out authority/server.csr 2> /dev/null
openssl x509 -req -in authority/server.csr -CA authority/ca.pem -CAkey authority/ca.key -set_serial "0x$(random 16)" -days 825 \
  -extfile <(printf '%s\n' subjectAltName=DNS:vpn.lab,IP:10.98.0.10 extendedKeyUsage=serverAuth keyUsage=digitalSignature) \
  -out gateway/server.pem 2> /dev/null
cp authority/ca.pem gateway/
cp authority/ca.pem client/

shared=$(random 24)
printf '%s' "$shared" > gateway/radius.secret
printf '%s' "$shared" > radius/shared
for user in alice bob; do random 8 | tr -d '\n' > "client/$user"; done
# What RADIUS tells the gateway about each: alice always has the same address,
# bob gets one of the gateway's pool.
cat > radius/users <<USERS
alice	Cleartext-Password := "$(< client/alice)"
	Framed-IP-Address = 10.98.2.200,
	Session-Timeout = 3600,
	Idle-Timeout = 600

bob	Cleartext-Password := "$(< client/bob)"
USERS
touch authority/done
echo "Certificates, a RADIUS secret, and passwords for alice and bob were made."
