# Samba's ntlm_auth as far as rlm_mschap asks it, over OpenSSL: it judges an
# MS-CHAPv2 answer, and changes a password by ntlm-change-password-1. It stands
# in for a domain whose users' passwords have all expired; the NT hash that a
# user has is in a file of his own, the first one in the users file. Nobody can
# change the password of who is called paula.
dir=$(dirname "$0")

crypt() { # with cipher and key
	openssl enc "$1" -nopad -K "$2" -provider legacy -provider default "$3"
}
bin() { perl -e 'print pack "H*", shift' "$1"; }
hex() { od -An -v -tx1 | tr -d ' \n'; }
md4() { openssl dgst -md4 -binary -provider legacy -provider default; }
part() { printf %s "$1" | cut -c"$2"; }

spread() { # 7 octets to a DES key of 8; OpenSSL does without parity
	v=$((0x$1))
	for shift in 49 42 35 28 21 14 7 0; do
		printf %02x $(((v >> shift & 127) << 1))
	done
}
hash_of() {
	cat "$dir/changed-$1" 2>/dev/null || sed -n "s/^$1	.*NT-Password := 0x\([0-9a-f]*\).*/\1/p" "$dir/users"
}

judge() { # user, challenge, response
	hash=$(hash_of "$1")
	want=
	for key in $(part "$hash" 1-14) $(part "$hash" 15-28) $(part "$hash" 29-32)0000000000; do
		want=$want$(bin "$2" | crypt -des-ecb "$(spread "$key")" -e | hex)
	done
	if [ "$want" != "$(printf %s "$3" | tr A-F a-f)" ]; then
		echo "Logon failure (0xc000006d)"
		exit 1
	fi
	if [ ! -f "$dir/changed-$1" ]; then
		echo "Password expired (0xc0000071)"
		exit 1
	fi
	echo "NT_KEY: $(bin "$hash" | md4 | hex | tr a-f A-F)"
}

change() { # lines of "key: value" on stdin, up to a dot
	while read -r key value && [ "$key" != . ]; do
		case "$key" in
		username:) user=$value ;;
		new-nt-password-blob:) password=$value ;;
		old-nt-hash-blob:) proof=$value ;;
		esac
	done
	old=$(hash_of "$user")
	clear=$(bin "$password" | crypt -rc4 "$old" -d | hex)
	octets=$((0x$(part "$clear" 1027-1028)$(part "$clear" 1025-1026)))
	[ "$octets" -le 512 ] || octets=0
	new=$(bin "$(part "$clear" $((1025 - 2 * octets))-1024)" | md4 | hex)
	back=
	for i in 0 1; do
		key=$(part "$new" $((14 * i + 1))-$((14 * i + 14)))
		back=$back$(bin "$(part "$proof" $((16 * i + 1))-$((16 * i + 16)))" | crypt -des-ecb "$(spread "$key")" -d | hex)
	done
	if [ "$back" = "$old" ] && [ "$user" != paula ]; then
		printf %s "$new" >"$dir/changed-$user"
		echo "Password-Change: Yes"
	else
		echo "Password-Change-Error: not changed"
	fi
	echo .
}

case "$1" in
--helper-protocol=*) change ;;
*) judge "${1#--username=}" "${2#--challenge=}" "${3#--nt-response=}" ;;
esac
