#!/bin/sh
# A secret whose name is in capital letters becomes the environment variable of that name: gateway.yaml names variables,
# and holds no secret itself.
set -eu
for file in "${SECRETS:-/run/secrets}"/[A-Z]*; do
    [ -f "$file" ] || continue
    export "$(basename "$file")=$(cat "$file")"
done
exec stillroom "$@"
