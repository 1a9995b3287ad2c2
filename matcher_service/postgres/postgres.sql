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

-- name: session_identity
-- The server's process of this session, and the names under which it has prepared statements.
SELECT pg_backend_pid() AS process, ARRAY(SELECT s.name FROM pg_prepared_statements s) AS statements;

-- name: session_settings
-- What a session has of the settings that serving needs; pgvector's :schema as the search path is to be.
SELECT quote_ident(session_user) AS login,
       quote_ident(:schema::text) AS schema,
       current_setting('role') AS role,
       current_setting('search_path') AS search_path,
       current_setting('jit') AS jit,
       current_setting('max_parallel_workers_per_gather')::integer AS workers,
       extract(epoch FROM current_setting('lock_timeout')::interval)::float8 AS lock_seconds,
       CASE current_setting('statement_timeout') WHEN '0' THEN 0
           ELSE extract(epoch FROM current_setting('statement_timeout')::interval) END::float8 AS statement_seconds;

-- name: tables_state
-- Whether one of :table_names does not exist, and whether the collection exists. Catalogs and the primary key of
-- collection.
SELECT (SELECT bool_or(to_regclass('facerec.' || quote_ident(name)) IS NULL) FROM unnest(:table_names::text[]) AS name) AS table_missing,
       EXISTS (SELECT FROM facerec.collection c WHERE c.collection_id = :collection_id) AS collection;

-- name: maintenance_left
-- The number of indexes in use (index_effort: how many lists a query reads), the lowest recall of one, the number below
-- their collection's target, the time of the oldest erasure that is not vacuumed (seconds since 1970), and how many are
-- not vacuumed and not scrubbed, 1000 at most. A scan of one row per collection; erasure_unvacuumed, erasure_pending.
SELECT count(c.index_effort) AS indexes,
       min(least(c.index_recall, c.index_far_recall)) AS min_recall,
       count(*) FILTER (WHERE least(c.index_recall, c.index_far_recall) < c.target_recall) AS below_target,
       (SELECT extract(epoch FROM min(e.delete_time))::float8 FROM facerec.erasure e WHERE e.vacuum_time IS NULL)
           AS pending_since,
       (SELECT count(*) FROM (SELECT FROM facerec.erasure e WHERE e.vacuum_time IS NULL LIMIT 1000) AS few) AS unvacuumed,
       (SELECT count(*) FROM (SELECT FROM facerec.erasure e WHERE e.scrub_time IS NULL LIMIT 1000) AS few) AS unscrubbed
FROM facerec.collection c;

-- name: maintenance_steps
-- One row for each maintenance step. A scan of a table of three rows.
SELECT m.step, extract(epoch FROM m.success_time)::float8 AS success_time, m.failures, m.waiting
FROM facerec.maintenance m;

-- name: limit_statements
-- Limits the duration of statements until the transaction ends, as '1500ms'.
SELECT set_config('statement_timeout', :time_limit, true);

-- name: commit_position
-- On the primary: where the last record of the write-ahead log ends (insert_lsn), up to where the log is on disk, and what
-- tells this database from others: standbys have the same. All that is visible here now was inserted before; asynchronous
-- commits are visible before they are flushed. The log's sizes are for the arithmetic of `positions.py`.
SELECT pg_current_wal_insert_lsn() AS insert_lsn,
       pg_current_wal_flush_lsn() AS flush_lsn,
       ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer AS timeline,
       s.system_identifier AS system,
       current_database() AS database,
       current_setting('wal_block_size')::integer AS block_bytes,
       pg_size_bytes(current_setting('wal_segment_size')) AS segment_bytes
FROM pg_control_system() s;

-- name: primary_identity
-- Which cluster a server has, and its timeline, which every promotion raises; null on a standby.
SELECT s.system_identifier AS system,
       CASE WHEN NOT pg_is_in_recovery()
           THEN ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer
       END AS timeline
FROM pg_control_system() s;

-- name: flush_commits
-- On the primary: writes the log to disk up to here, as only flushed records reach a standby. It is a transaction of one
-- small record, which waits for this server's disk and for no standby.
SELECT set_config('synchronous_commit', 'local', true), pg_logical_emit_message(true, 'facerec', '');

-- name: replay_position
-- On a standby: up to where it has replayed the log, and which database it is a copy of. The timeline is the last one that
-- it has replayed for certain, by its control file, which a restart point updates. lsn is null on a primary. streaming:
-- whether it is connected to the server that it follows; the view has a row then, whose columns other roles may not see.
SELECT pg_is_in_recovery() AS in_recovery,
       pg_last_wal_replay_lsn() AS lsn,
       EXISTS (SELECT FROM pg_stat_wal_receiver) AS streaming,
       greatest(c.timeline_id, r.min_recovery_end_timeline) AS timeline,
       s.system_identifier AS system,
       current_database() AS database
FROM pg_control_system() s
CROSS JOIN pg_control_checkpoint() c
CROSS JOIN pg_control_recovery() r;
