-- What every database needs before its first migration: two roles, the schema, the ledger of what was
-- applied. Run by each `migrate`, and therefore idempotent: roles belong to the whole cluster, so
-- another database of it, or a migration running there now, may have made them already.

DO $$
DECLARE
    name text;
    can_become boolean;
BEGIN
    FOREACH name IN ARRAY ARRAY['facerec_owner', 'facerec_serve'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;  -- made meanwhile through another database
            END;
        END IF;
    END LOOP;
    -- From Postgres 16 on, who creates a role may grant it but not yet become it.
    IF current_setting('server_version_num')::int >= 160000 THEN
        can_become := pg_has_role(current_user, 'facerec_owner', 'SET');
    ELSE
        can_become := pg_has_role(current_user, 'facerec_owner', 'MEMBER');
    END IF;
    IF NOT can_become THEN
        EXECUTE format('GRANT facerec_owner TO %I', current_user);
    END IF;
END
$$;

CREATE SCHEMA IF NOT EXISTS facerec AUTHORIZATION facerec_owner;

SET LOCAL ROLE facerec_owner;

CREATE TABLE IF NOT EXISTS facerec.schema_migration (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    apply_time timestamptz NOT NULL DEFAULT now()
);

-- The least version that a release must know to be served by the schema with this applied; null for its own.
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid = 'facerec.schema_migration'::regclass AND attname = 'serves_from'
    ) THEN
        ALTER TABLE facerec.schema_migration ADD serves_from integer;
    END IF;
END
$$;

GRANT USAGE ON SCHEMA facerec TO facerec_serve;
GRANT SELECT ON facerec.schema_migration TO facerec_serve;
