-- Statements on the schema and on the state of maintenance, run by the serving role; common conventions:
-- postgres/statements.py.

-- name: schema_version
-- The last migration applied, and the oldest schema version whose release the schema is compatible with. Older databases
-- have no column for it: each migration then requires its own version. A table of a few rows.
SELECT coalesce(max(m.version), 0) AS version,
       coalesce(max(coalesce((to_jsonb(m) ->> 'serves_from')::int, m.version)), 0) AS serves_from
FROM facerec.schema_migration m;

-- name: schema_identity
-- The objects that a connection's prepared statements and codecs depend on: other OIDs mean that pgvector or the schema
-- was dropped and recreated, or pgvector moved. Null if an object does not exist. Catalogs only.
SELECT e.oid::bigint AS extension, e.extnamespace::bigint AS namespace, t.oid::bigint AS type,
       to_regclass('facerec.collection')::oid::bigint AS collections,
       to_regclass('facerec.schema_migration')::oid::bigint AS schema_migration
FROM (SELECT) AS one
LEFT JOIN pg_catalog.pg_extension e ON e.extname = 'vector'
LEFT JOIN pg_catalog.pg_type t ON t.typname = 'vector' AND t.typnamespace = e.extnamespace;

-- name: tables_state
-- Whether one of :table_names does not exist, and whether the collection exists. Catalogs and the primary key of
-- collection.
SELECT (SELECT bool_or(to_regclass('facerec.' || quote_ident(name)) IS NULL) FROM unnest(:table_names::text[]) AS name) AS table_missing,
       EXISTS (SELECT FROM facerec.collection c WHERE c.collection_id = :collection_id) AS collection;

-- name: maintenance_left
-- The number of indexes in use (index_effort: how many lists a query reads), the lowest recall of one, the number below
-- their collection's target, and the time of the oldest erasure that is not vacuumed (seconds since 1970). A scan of one
-- row per collection; erasure_unvacuumed.
SELECT count(c.index_effort) AS indexes,
       min(least(c.index_recall, c.index_far_recall)) AS min_recall,
       count(*) FILTER (WHERE least(c.index_recall, c.index_far_recall) < c.target_recall) AS below_target,
       (SELECT extract(epoch FROM min(e.delete_time))::float8 FROM facerec.erasure e WHERE e.vacuum_time IS NULL)
           AS pending_since
FROM facerec.collection c;

-- name: maintenance_steps
-- One row for each maintenance step. A scan of a table of three rows.
SELECT m.step, extract(epoch FROM m.success_time)::float8 AS success_time, m.failures, m.waiting
FROM facerec.maintenance m;

-- name: limit_statements
-- Limits the duration of statements until the transaction ends, as '1500ms'.
SELECT set_config('statement_timeout', :time_limit, true);
