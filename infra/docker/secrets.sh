#!/bin/sh
# Makes the secrets that compose.yaml asks for, in ./.env (mode 0600); those that are there stay.
set -eu
umask 077
touch .env
chmod 600 .env
# A last line without an end would swallow the first one of ours.
[ -z "$(tail -c 1 .env)" ] || echo >>.env

put() {
    grep -q "^$1=" .env || echo "$1=$2" >>.env
}

# Letters, digits, - and _ only: they stand in URLs.
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
