-- The database and its logins, by the superuser, when a server is made: docs/operations.md. psql reads the passwords from
-- migrate-password and serve-password in the folder FACEREC_PASSWORDS.
\set ON_ERROR_STOP on
\set migrate `cat "$FACEREC_PASSWORDS/migrate-password"`
\set serve `cat "$FACEREC_PASSWORDS/serve-password"`

CREATE ROLE facerec_owner;
CREATE ROLE facerec_serve;
-- Migrates and maintains, as a member of the tables' owner.
CREATE ROLE facerec_migrate LOGIN PASSWORD :'migrate' IN ROLE facerec_owner;
-- Serves: no DDL, and no access to others' tables.
CREATE ROLE facerec_matcher LOGIN PASSWORD :'serve' IN ROLE facerec_serve;
GRANT pg_read_all_stats TO facerec_migrate;
GRANT SET ON PARAMETER lc_messages TO facerec_migrate;
ALTER ROLE facerec_matcher SET log_error_verbosity = terse;
ALTER ROLE facerec_matcher SET log_parameter_max_length = 0;
ALTER ROLE facerec_migrate SET log_error_verbosity = terse;
ALTER ROLE facerec_migrate SET log_parameter_max_length = 0;

CREATE DATABASE facerec OWNER facerec_migrate ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE facerec FROM PUBLIC;
GRANT CONNECT ON DATABASE facerec TO facerec_matcher;
\connect facerec
CREATE EXTENSION vector;
