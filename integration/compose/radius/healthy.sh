#!/bin/bash
# Asks by Status-Server (RFC 5997) whether FreeRADIUS lives.
echo 'Message-Authenticator = 0x00' | radclient -q -r 1 -t 2 -S /secrets/shared 127.0.0.1:1812 status
