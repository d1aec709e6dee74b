#!/bin/sh
# Writes the secrets that compose.yaml needs to ./.env (mode 0600); existing ones are kept.
set -eu
umask 077
touch .env
chmod 600 .env
# A last line without a newline would swallow the first one that is appended.
[ -z "$(tail -c 1 .env)" ] || echo >>.env

put() {
    grep -q "^$1=" .env || echo "$1=$2" >>.env
}

# Only characters that are safe in a URL: letters, digits, - and _.
password() {
    head -c 24 /dev/urandom | base64 | tr '+/' '-_'
}

put PLATFORM_TOKEN "$(password)"
put PLATFORM_DATA_KEY "$(head -c 32 /dev/urandom | base64)"
put POSTGRES_PASSWORD "$(password)"
put STORE_OWNER_PASSWORD "$(password)"
put STORE_SERVICES_PASSWORD "$(password)"
put DATABASES_ADMIN_PASSWORD "$(password)"
put DATABASES_PASSWORD "$(password)"
