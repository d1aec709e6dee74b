#!/bin/sh
# The postgres image runs it once, on an empty volume: the administrator of the cluster that teams get databases in.
# docs/how-to/offer-postgres-databases.md
set -e
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv password DATABASES_PASSWORD
CREATE ROLE busbar_databases LOGIN CREATEDB CREATEROLE PASSWORD :'password';
REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE postgres, template1 TO busbar_databases;
SQL
