#!/bin/bash
# Runs FreeRADIUS as its own user, which may read its secrets and no others.
set -euo pipefail
install -d -o freerad -g freerad -m 0700 /run/lab
install -o freerad -g freerad -m 0400 /secrets/users /run/lab/users
printf 'secret = "%s"\n' "$(< /secrets/shared)" > /run/lab/secret.conf
chown freerad:freerad /run/lab/secret.conf
chmod 0400 /run/lab/secret.conf
exec setpriv --reuid freerad --regid freerad --init-groups freeradius -f -l stdout -d /lab -n radiusd
