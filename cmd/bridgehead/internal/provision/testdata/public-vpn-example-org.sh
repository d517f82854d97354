#!/bin/sh
# Makes the VPN connection 'My VPN' to vpn.example.org in NetworkManager. One that this script made
# earlier is replaced. Debian: apt install network-manager-strongswan libcharon-extauth-plugins
set -eu
data='address=vpn.example.org, remote-identity=vpn.example.org, method=eap, user=alice, virtual=yes, proposal=yes, ike=aes256gcm16-prfsha512-curve25519, esp=aes256gcm16, password-flags=1'
nmcli connection delete uuid c609be4a-bbc7-557e-90dd-8d8a5a8d6764 >/dev/null 2>&1 || true
nmcli connection add type vpn vpn-type strongswan con-name 'My VPN' ifname '*' connection.uuid c609be4a-bbc7-557e-90dd-8d8a5a8d6764 vpn.data "$data"
# To connect and be asked for the password: nmcli --ask connection up uuid c609be4a-bbc7-557e-90dd-8d8a5a8d6764
