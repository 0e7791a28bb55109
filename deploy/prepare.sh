#!/bin/sh
# Makes the secrets of compose.yaml, once; what is there already stays as it is. As root: in its container the gateway is
# the user 10001, who alone may read its address of the database.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
if [ -e secrets/DATABASE_URL ]; then
    echo "secrets/DATABASE_URL is there already: nothing is changed."
    exit 0
fi
password=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
printf %s "$password" > secrets/POSTGRES_PASSWORD
printf 'postgresql://stillroom:%s@database/stillroom' "$password" > secrets/DATABASE_URL
chown 10001 secrets/DATABASE_URL
echo "secrets/ holds the database's password, and its address for the gateway. Keep a copy of neither."
