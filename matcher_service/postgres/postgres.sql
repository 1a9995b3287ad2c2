-- Statements on the schema and on the state of maintenance, run by the serving role; common conventions:
-- postgres/statements.py.

-- name: schema_version
-- The last migration applied, and the least version that a release must know to be served by the schema. A ledger from
-- before migrations said so has no column for it: each then serves who knows it. A table of a few rows.
SELECT coalesce(max(m.version), 0) AS version,
       coalesce(max(coalesce((to_jsonb(m) ->> 'serves_from')::int, m.version)), 0) AS serves_from
FROM facerec.schema_migration m;

-- name: schema_identity
-- What a connection's prepared statements and codecs hold on to: other numbers mean that pgvector or our schema was
-- dropped and made anew, or pgvector moved. Null where something is not there. Catalogs alone.
SELECT e.oid::bigint AS extension, e.extnamespace::bigint AS namespace, t.oid::bigint AS type,
       to_regclass('facerec.collection')::oid::bigint AS collections,
       to_regclass('facerec.schema_migration')::oid::bigint AS ledger
FROM (SELECT) AS one
LEFT JOIN pg_catalog.pg_extension e ON e.extname = 'vector'
LEFT JOIN pg_catalog.pg_type t ON t.typname = 'vector' AND t.typnamespace = e.extnamespace;

-- name: tables_state
-- Of a collection's tables that a statement names, whether one is not there, and whether the collection is. Catalogs
-- and the primary key of collections.
SELECT (SELECT bool_or(to_regclass('facerec.' || quote_ident(name)) IS NULL) FROM unnest(:table_names::text[]) AS name) AS gone,
       EXISTS (SELECT FROM facerec.collection c WHERE c.collection_id = :collection_id) AS collection;

-- name: maintenance_left
-- Indexes, the least recall measured of one, how many have less than their collection asks for, and since when an
-- erasure waits for its vacuum (seconds since 1970). A scan of a row a collection; erasure_unvacuumed.
SELECT count(c.index_effort) AS indexes,
       min(least(c.index_recall, c.index_far_recall)) AS min_recall,
       count(*) FILTER (WHERE least(c.index_recall, c.index_far_recall) < c.target_recall) AS below_target,
       (SELECT extract(epoch FROM min(e.delete_time))::float8 FROM facerec.erasure e WHERE e.vacuum_time IS NULL)
           AS pending_since
FROM facerec.collection c;

-- name: maintenance_steps
-- A row a step of maintenance that was ever taken. A scan of a table of three.
SELECT m.step, extract(epoch FROM m.success_time)::float8 AS success_time, m.failures, m.waiting
FROM facerec.maintenance m;

-- name: limit_statements
-- How long statements may take until the transaction's end, as '1500ms'.
SELECT set_config('statement_timeout', :time_limit, true);
