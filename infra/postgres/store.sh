#!/bin/sh
# The postgres image runs it once, on an empty volume: the database of busbar's own store and its two roles.
set -e
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv owner_password STORE_OWNER_PASSWORD
\getenv services_password STORE_SERVICES_PASSWORD
CREATE ROLE busbar_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE busbar_services LOGIN PASSWORD :'services_password';
CREATE DATABASE busbar OWNER busbar_owner;
REVOKE CONNECT ON DATABASE busbar FROM PUBLIC;
GRANT CONNECT ON DATABASE busbar TO busbar_services;
SQL
