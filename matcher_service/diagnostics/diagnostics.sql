-- Statements of `doctor`: problems that a restore, a replication or an upgrade can leave behind. They read catalogs, which
-- any login may, and `greatest_person_key` reads the end of an index.

-- name: newer_extension
-- The version of pgvector that the server offers, if the database has another one.
SELECT a.default_version
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_available_extensions a ON a.name = e.extname
WHERE e.extname = 'vector' AND a.default_version <> e.extversion;

-- name: lacking_rights
-- Objects that the serving role needs and may not read or call. The parent tables hold no rows, and only the owner calls
-- add_partitions.
SELECT count(*) AS objects, min(name) AS first
FROM (
    SELECT c.oid::regclass::text AS name
    FROM pg_catalog.pg_class c
    WHERE c.relnamespace = to_regnamespace('facerec') AND c.relkind = 'r'
      AND c.relname NOT IN ('person', 'face', 'enroll_request', 'rotation', 'sketch')
      AND NOT has_table_privilege('facerec_serve', c.oid, 'SELECT')
    UNION ALL
    SELECT c.oid::regclass::text
    FROM pg_catalog.pg_class c
    WHERE c.oid = to_regclass('facerec.person_key') AND NOT has_sequence_privilege('facerec_serve', c.oid, 'USAGE')
    UNION ALL
    SELECT p.oid::regprocedure::text
    FROM pg_catalog.pg_proc p
    WHERE p.pronamespace = to_regnamespace('facerec') AND p.proname NOT IN ('add_partitions', 'add_partition', 'add_sketch_triggers')
      AND NOT has_function_privilege('facerec_serve', p.oid, 'EXECUTE')
) AS lacking;

-- name: other_owners
-- Objects of the schema that belong to another role, and that role.
SELECT count(*) AS objects, min(name) AS first, min(owner::text) AS owner
FROM (
    SELECT c.oid::regclass::text AS name, c.relowner::regrole AS owner
    FROM pg_catalog.pg_class c
    WHERE c.relnamespace = to_regnamespace('facerec') AND c.relkind IN ('r', 'S')
    UNION ALL
    SELECT p.oid::regprocedure::text, p.proowner::regrole
    FROM pg_catalog.pg_proc p WHERE p.pronamespace = to_regnamespace('facerec')
    UNION ALL
    SELECT n.nspname, n.nspowner::regrole FROM pg_catalog.pg_namespace n WHERE n.nspname = 'facerec'
) AS owned
WHERE owner <> to_regrole('facerec_owner');

-- name: unmeasured_tables
-- Tables of more than a megabyte that were never vacuumed or analyzed.
SELECT count(*) AS tables
FROM pg_catalog.pg_class c
WHERE c.relnamespace = to_regnamespace('facerec') AND c.relkind = 'r' AND c.reltuples < 0
  AND pg_relation_size(c.oid) > 1048576;

-- name: person_tables
-- The tables that hold persons.
SELECT c.relname AS name
FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid
WHERE h.inhparent = to_regclass('facerec.person');

-- name: greatest_person_key
-- The greatest key of a collection's persons: the last entry of its unique index.
SELECT p.person_key FROM facerec.:"person" p ORDER BY p.collection_id DESC, p.person_key DESC LIMIT 1;

-- name: last_person_key
-- The last key given to a person; null if none was.
SELECT pg_sequence_last_value('facerec.person_key'::regclass);
