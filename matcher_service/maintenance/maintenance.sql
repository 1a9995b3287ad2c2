-- The statements of `maintain`, run as facerec_owner for one collection at a time. As in the serving role's statements,
-- :"person" and :"face" are the collection's partitions and :collection_id is the collection; :"index" is the name of an
-- index, and :'lists' a number.
--
-- The indexes are a pair: one over the mean of each person's faces, so that its size depends on the number of people and
-- not of photos, and one over the few faces that are centers because they are far from the mean. Both cover half of the
-- dimensions in half precision, because a proposal need not be exact and memory reads dominate the cost. docs/search.md
-- has the measurements.

-- name: list_collections
SELECT collection_id FROM facerec.collection ORDER BY collection_id;

-- name: has_collection
SELECT EXISTS (SELECT FROM facerec.collection c WHERE c.collection_id = :collection_id) AS there;

-- name: get_policy
-- The collection's search policy, its index and its size.
SELECT c.exact_only, c.index_above_faces, c.target_recall, c.index_name, c.index_effort AS lists_read, c.index_persons,
       c.index_centers, c.recall_persons, extract(epoch FROM now() - c.recall_time)::float8 AS recall_age_seconds,
       facerec.estimated_rows('face', :collection_id) AS faces,
       facerec.estimated_rows('person', :collection_id) AS persons
FROM facerec.collection c
WHERE c.collection_id = :collection_id;

-- name: list_indexes
-- :tables are the partitions of people and faces. Their vector indexes; one of an interrupted build is invalid.
SELECT i.relname AS name, x.indisvalid AS valid
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_am a ON a.oid = i.relam
WHERE x.indrelid = ANY (:tables::text[]::regclass[]) AND a.amname = 'ivfflat'
ORDER BY 1;

-- name: count_lists
-- The number of lists of an index.
SELECT (SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = 'lists')::integer
FROM pg_class c
WHERE c.oid = to_regclass('facerec.' || quote_ident(:index_name::text));

-- name: count_centers
-- The number of faces that are centers. A scan of all faces.
SELECT count(*) FROM facerec.:"face" f WHERE f.is_center;

-- name: list_persons_to_mark
-- People with a face far from each of their centers, enrolled by a release without marks. A scan of all faces and people.
SELECT DISTINCT f.person_key
FROM facerec.:"face" f
JOIN facerec.:"person" p ON p.person_key = f.person_key
WHERE f.encoding <-> p.centroid > facerec.center_radius() + 1e-6 AND NOT f.is_center
  AND NOT EXISTS (
      SELECT FROM facerec.:"face" m
      WHERE m.collection_id = :collection_id AND m.person_key = f.person_key AND m.is_center
        AND m.encoding <-> f.encoding <= facerec.center_radius() + 1e-6
  );

-- name: lock_persons_to_mark
-- Locks the persons of :person_keys, except those locked by another transaction.
SELECT p.person_key
FROM facerec.:"person" p
WHERE p.collection_id = :collection_id AND p.person_key = ANY (:person_keys::bigint[])
FOR UPDATE SKIP LOCKED;

-- name: count_old_transactions
-- Counts other transactions older than :min_seconds that an index build would wait for: with a snapshot of any table, or
-- with a writer's lock on :tables, the partitions of people and faces. Postgres shows the start of another login's
-- transaction only to members of pg_read_all_stats.
SELECT count(*)
FROM pg_stat_activity a
WHERE a.datname = current_database()
  AND a.xact_start < now() - make_interval(secs => :min_seconds)
  AND a.pid <> pg_backend_pid()
  AND a.backend_type <> 'autovacuum worker'
  AND a.pid NOT IN (SELECT v.pid FROM pg_stat_progress_vacuum v)
  AND (
      a.backend_xmin IS NOT NULL
      OR EXISTS (
          SELECT FROM pg_locks l
          JOIN pg_class c ON c.oid = l.relation
          WHERE l.pid = a.pid AND l.granted AND c.relname = ANY (:tables::text[])
            AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')
      )
  );

-- name: index_means
-- Blocks neither readers nor writers; must run outside a transaction.
CREATE INDEX CONCURRENTLY :"index" ON facerec.:"person"
USING ivfflat ((subvector(centroid, 1, 64)::halfvec(64)) halfvec_l2_ops) WITH (lists = :'lists');

-- name: index_centers
-- As the statement before.
CREATE INDEX CONCURRENTLY :"index" ON facerec.:"face"
USING ivfflat ((subvector(encoding, 1, 64)::halfvec(64)) halfvec_l2_ops) WITH (lists = :'lists') WHERE is_center;

-- name: keep_index_from_statistics
-- ANALYZE would copy the indexed means or faces into pg_statistic.
ALTER INDEX facerec.:"index" ALTER COLUMN 1 SET STATISTICS 0;

-- name: drop_index
-- Blocks neither readers nor writers; must run outside a transaction.
DROP INDEX CONCURRENTLY IF EXISTS facerec.:"index";

-- name: analyze
-- Row counts for plans with a new index, and statistics of the columns that identify nobody.
ANALYZE facerec.:"person", facerec.:"face";

-- name: record_index
-- Once the transaction commits, which also runs `set_index_recall`, each replica's next search uses the index.
UPDATE facerec.collection
SET index_name = :index_name, index_persons = :persons, index_centers = :centers,
    index_faces = facerec.estimated_rows('face', :collection_id), index_time = now()
WHERE collection_id = :collection_id;

-- name: set_index_recall
-- :lists_read, how many lists a query reads, is null if the index must not be used; :recall and :samples are null if there
-- are too few people to measure, and so are :far_recall and :far_samples, of faces far from their centers.
UPDATE facerec.collection
SET recall_persons = :persons, recall_time = now(), index_effort = :lists_read,
    index_recall = :recall, recall_samples = :samples, index_far_recall = :far_recall, far_samples = :far_samples
WHERE collection_id = :collection_id AND index_name IS NOT NULL;

-- name: clear_index
UPDATE facerec.collection
SET index_name = NULL, index_effort = NULL, index_recall = NULL, index_persons = NULL, index_faces = NULL,
    index_time = NULL, recall_time = NULL, recall_persons = NULL, index_centers = NULL, index_far_recall = NULL,
    recall_samples = NULL, far_samples = NULL
WHERE collection_id = :collection_id;

-- name: get_progress
-- The progress of the current index build on :tables, the partitions of people and faces.
SELECT phase,
       CASE
           WHEN tuples_total > 0 THEN tuples_done::float8 / tuples_total
           WHEN blocks_total > 0 THEN blocks_done::float8 / blocks_total
           ELSE 0
       END AS done
FROM pg_stat_progress_create_index
WHERE relid = ANY (:tables::text[]::regclass[]);

-- name: put_progress
INSERT INTO facerec.index_build (collection_id, phase, done) VALUES (:collection_id, :phase, :done)
ON CONFLICT (collection_id) DO UPDATE SET phase = excluded.phase, done = excluded.done, update_time = now();

-- name: end_progress
DELETE FROM facerec.index_build WHERE collection_id = :collection_id;

-- name: search_by_index
-- Until the transaction ends, searches read :lists_read lists of an index, and use no sequential scan.
SELECT set_config('ivfflat.probes', :lists_read, true), set_config('enable_seqscan', 'off', true);

-- name: count_proposed
-- :sample_encodings has a sample of each person in :person_keys. The number of samples whose person the indexes propose,
-- by the same queries as `identify`.
SELECT count(*)
FROM unnest(:person_keys::bigint[], :sample_encodings::vector[]) AS sample(person_key, probe)
WHERE sample.person_key IN (
    SELECT p.person_key
    FROM facerec.:"person" p
    ORDER BY subvector(p.centroid, 1, 64)::halfvec(64) <-> subvector(sample.probe, 1, 64)::halfvec(64)
    LIMIT 50
) OR sample.person_key IN (
    SELECT near.person_key
    FROM (
        SELECT f.person_key, f.encoding
        FROM facerec.:"face" f
        WHERE f.is_center
        ORDER BY subvector(f.encoding, 1, 64)::halfvec(64) <-> subvector(sample.probe, 1, 64)::halfvec(64)
        LIMIT 50
    ) near
    ORDER BY near.encoding <-> sample.probe
    LIMIT 10
);

-- name: has_retention
SELECT c.retention IS NOT NULL AS has_retention FROM facerec.collection c WHERE c.collection_id = :collection_id;

-- name: lock_expired_persons
-- Locks people with an expired face, except those locked by another transaction, which the next run finds. Face
-- (expire_time), a partial index of the faces that expire; ordered by it, as without statistics of the column the planner
-- would read all faces.
SELECT p.person_key
FROM facerec.:"person" p
WHERE p.collection_id = :collection_id
  AND p.person_key = ANY (ARRAY(
      SELECT f.person_key
      FROM facerec.:"face" f
      WHERE f.expire_time <= now() AND f.expire_time < 'infinity'
      ORDER BY f.expire_time
      LIMIT :max_persons
  ))
FOR UPDATE SKIP LOCKED;

-- name: lock_persons_past_retention
-- The same for people with a face older than the collection's retention. A scan of all faces; person (person_key).
SELECT p.person_key
FROM facerec.:"person" p
WHERE p.collection_id = :collection_id
  AND p.person_key = ANY (ARRAY(
      SELECT f.person_key
      FROM facerec.:"face" f
      WHERE f.create_time <= now() - (SELECT c.retention FROM facerec.collection c WHERE c.collection_id = :collection_id)
      LIMIT :max_persons
  ))
FOR UPDATE SKIP LOCKED;

-- name: erase_expired
-- Erases the expired faces of the locked people :person_keys, and the people without another face.
WITH deleted AS (
    DELETE FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key = ANY (:person_keys::bigint[])
      AND (f.expire_time <= now()
           OR f.create_time <= now() - (SELECT c.retention FROM facerec.collection c WHERE c.collection_id = :collection_id))
    RETURNING f.face_id
), recomputed AS MATERIALIZED (
    SELECT k.person_key,
           avg(f.encoding) AS centroid,
           facerec.pick_centers(array_agg(f.content_id), array_agg(f.encoding)) AS centers
    FROM unnest(:person_keys::bigint[]) AS k(person_key)
    LEFT JOIN LATERAL (
        SELECT f.content_id, f.encoding
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.person_key = k.person_key AND f.face_id NOT IN (SELECT face_id FROM deleted)
        OFFSET 0
    ) f ON true
    GROUP BY k.person_key
), marked AS (
    UPDATE facerec.:"face" f
    SET is_center = NOT f.is_center
    FROM recomputed
    WHERE f.collection_id = :collection_id AND f.person_key = ANY (:person_keys::bigint[]) AND f.face_id NOT IN (SELECT face_id FROM deleted)
      AND f.person_key = recomputed.person_key AND f.is_center <> (f.content_id = ANY (recomputed.centers))
), emptied AS (
    DELETE FROM facerec.:"person" p
    USING recomputed
    WHERE p.collection_id = :collection_id AND p.person_key = recomputed.person_key AND recomputed.centroid IS NULL
    RETURNING 1
), changed AS (
    UPDATE facerec.:"person" p
    SET centroid = recomputed.centroid, update_time = clock_timestamp()
    FROM recomputed
    WHERE p.collection_id = :collection_id AND p.person_key = recomputed.person_key AND recomputed.centroid IS NOT NULL
), receipt AS (
    INSERT INTO facerec.erasure (collection_id, persons, faces)
    SELECT :collection_id, (SELECT count(*) FROM emptied), (SELECT count(*) FROM deleted)
    WHERE EXISTS (SELECT FROM deleted)
), audit_event AS (
    INSERT INTO facerec.audit (collection_id, action, caller, persons, faces)
    SELECT :collection_id, 'EXPIRE', 'maintain', (SELECT count(*) FROM emptied), (SELECT count(*) FROM deleted)
    WHERE EXISTS (SELECT FROM deleted)
)
SELECT (SELECT count(*) FROM deleted) AS faces, (SELECT count(*) FROM emptied) AS persons;

-- name: delete_stale_dismissals
-- Dismissed pairs of which a person is erased.
DELETE FROM facerec.dismissed_duplicate d
WHERE d.collection_id = :collection_id
  AND NOT (
      EXISTS (SELECT FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_key = d.low_key)
      AND EXISTS (SELECT FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_key = d.high_key)
  );

-- name: delete_old_requests
-- Request ids older than :before_time. A scan of all of them.
DELETE FROM facerec.:"enroll_request" r WHERE r.collection_id = :collection_id AND r.create_time < :before_time;

-- name: delete_old_imports
-- Imports not continued since :before_time. Primary key.
DELETE FROM facerec.face_import i WHERE i.collection_id = :collection_id AND i.update_time < :before_time;

-- name: delete_old_operations
-- Long work that was begun before :before_time, of all collections, deleted ones too. A scan of the table, which has a row
-- for each calibration, measurement and deletion of that time.
DELETE FROM facerec.operation o WHERE o.create_time < :before_time;

-- name: blank_requests
-- Blanks the requests whose person is erased; only their ids stay. A scan of all requests; person (person_key).
UPDATE facerec.:"enroll_request" r
SET digest = '', face_ids = '{}', already_enrolled = '{}', model_keys = '{}', face_times = '{}'
WHERE r.collection_id = :collection_id AND r.digest <> ''
  AND NOT EXISTS (SELECT FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_key = r.person_key);

-- name: clear_recent_enrollments
-- Clears the list of recent enrollments if one of its faces is erased; duplicate searches in progress then start again.
-- Primary key, face (face_id).
UPDATE facerec.recent_enrollment r
SET enrolled = r.enrolled + 1, face_ids = '{}'
WHERE r.collection_id = :collection_id AND cardinality(r.face_ids) > (
    SELECT count(*)
    FROM unnest(r.face_ids) AS recent(face_id)
    CROSS JOIN LATERAL (
        SELECT FROM facerec.:"face" f WHERE f.collection_id = :collection_id AND f.face_id = recent.face_id OFFSET 0
    ) there
);

-- name: delete_stale_tries
-- Rows whose bucket is full again, and rows of erased persons that a concurrent decision may have added. Key 0 is no
-- person's: it counts refused enrollments.
DELETE FROM facerec.failed_try t
WHERE t.collection_id = :collection_id
  AND (t.full_time <= now()
       OR t.person_key <> 0
          AND NOT EXISTS (SELECT FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_key = t.person_key));

-- name: delete_old_audit_events
-- Deletes changes older than :changes_before and decisions older than :decisions_before, null for none; of all
-- collections, also of erased ones. Audit (event_time), up to the later of the two.
WITH old AS (
    SELECT a.event_id
    FROM facerec.audit a
    WHERE a.event_time < greatest(:changes_before::timestamptz, :decisions_before::timestamptz)
      AND a.event_time < CASE WHEN a.outcome IS NULL THEN :changes_before::timestamptz ELSE :decisions_before::timestamptz END
    LIMIT :max_rows
), deleted AS (
    DELETE FROM facerec.audit a USING old WHERE a.event_id = old.event_id RETURNING 1
)
SELECT count(*) AS deleted FROM deleted;

-- name: list_unvacuumed
-- The collection's erasures that still have dead rows.
SELECT e.erasure_id FROM facerec.erasure e WHERE e.collection_id = :collection_id AND e.vacuum_time IS NULL;

-- name: list_unscrubbed
-- The collection's erasures whose bytes may still be in the files.
SELECT e.erasure_id, extract(epoch FROM clock_timestamp() - e.delete_time)::float8 AS age_seconds
FROM facerec.erasure e
WHERE e.collection_id = :collection_id AND e.scrub_time IS NULL;

-- name: vacuum
-- Blocks neither readers nor writers; must run outside a transaction.
VACUUM (VERBOSE, INDEX_CLEANUP ON)
    facerec.:"person", facerec.:"face", facerec.:"enroll_request", facerec.:"rotation", facerec.:"sketch";

-- name: lock_tables
-- The locks of a rewrite, until the transaction ends.
LOCK TABLE facerec.:"person", facerec.:"face", facerec.:"enroll_request", facerec.:"rotation", facerec.:"sketch"
IN ACCESS EXCLUSIVE MODE;

-- name: rewrite_persons
-- Rewrites the files of the table and its indexes, under an exclusive lock; must run outside a transaction.
VACUUM (FULL, VERBOSE) facerec.:"person";

-- name: rewrite_faces
-- As the statement before.
VACUUM (FULL, VERBOSE) facerec.:"face";

-- name: rewrite_requests
-- As the statement before.
VACUUM (FULL, VERBOSE) facerec.:"enroll_request";

-- name: list_person_statistics
-- Columns of the collection's persons in the database's statistics; none, unless an administrator enabled them.
SELECT s.tablename || '.' || s.attname AS name
FROM pg_stats s
WHERE s.schemaname = 'facerec'
  AND s.attname NOT IN ('collection_id', 'person_key', 'model_key', 'number')
  AND s.tablename IN (
      SELECT c.relname
      FROM pg_class t
      JOIN pg_class c ON c.oid = t.oid OR c.oid IN (SELECT x.indexrelid FROM pg_index x WHERE x.indrelid = t.oid)
      WHERE t.relnamespace = 'facerec'::regnamespace
        AND t.relname IN (
            'person', 'face', 'enroll_request', 'rotation', 'sketch',
            facerec.partition_name('person', :collection_id),
            facerec.partition_name('face', :collection_id),
            facerec.partition_name('enroll_request', :collection_id),
            facerec.partition_name('rotation', :collection_id),
            facerec.partition_name('sketch', :collection_id)
        )
  )
UNION ALL
SELECT e.tablename || '.' || e.statistics_name
FROM pg_stats_ext e
WHERE e.schemaname = 'facerec'
  AND e.tablename IN (
      'person', 'face', 'enroll_request', 'rotation', 'sketch',
      facerec.partition_name('person', :collection_id),
      facerec.partition_name('face', :collection_id),
      facerec.partition_name('enroll_request', :collection_id),
      facerec.partition_name('rotation', :collection_id),
      facerec.partition_name('sketch', :collection_id)
  )
ORDER BY 1;

-- name: rewrite_statistics
-- For a superuser, the database's owner or a role that may MAINTAIN the catalog; for others Postgres only warns.
VACUUM (FULL, VERBOSE) pg_catalog.pg_statistic;

-- name: statistics_file
-- Changes when the catalog's files are rewritten.
SELECT pg_relation_filenode('pg_catalog.pg_statistic');

-- name: mark_vacuumed
UPDATE facerec.erasure SET vacuum_time = clock_timestamp(), with_sketches = true
WHERE collection_id = :collection_id AND erasure_id = ANY (:erasure_ids::uuid[]) AND vacuum_time IS NULL;

-- name: mark_scrubbed
UPDATE facerec.erasure
SET vacuum_time = coalesce(vacuum_time, clock_timestamp()), scrub_time = clock_timestamp(), with_sketches = true
WHERE collection_id = :collection_id AND erasure_id = ANY (:erasure_ids::uuid[]);

-- name: record_step
-- :failed is the number of collections where the step failed, :waiting where it was postponed.
UPDATE facerec.maintenance
SET success_time = CASE WHEN :failed = 0 THEN clock_timestamp() ELSE success_time END,
    failures = failures + :failed,
    waiting = :waiting
WHERE step = :step;

-- name: get_sketch_policy
-- The size of a collection, and its sketches: whether there is a rotation, whether triggers keep them, whether they are
-- complete, and how many are null. Sketch (person_key) where they are null.
SELECT facerec.estimated_rows('face', :collection_id) AS faces,
       facerec.estimated_rows('person', :collection_id) AS persons,
       EXISTS (SELECT FROM facerec.:"rotation") AS has_rotation,
       EXISTS (SELECT FROM facerec.:"sketch") AS has_sketches,
       facerec.has_sketch_triggers(:collection_id) AS has_triggers,
       (SELECT count(*) FROM facerec.:"sketch" s WHERE s.sketch IS NULL) AS null_sketches,
       c.sketch_max_distance,
       extract(epoch FROM now() - c.sketch_time)::float8 AS age_seconds
FROM facerec.collection c
WHERE c.collection_id = :collection_id;

-- name: draw_faces
-- A face of each of :max_persons random persons. A scan of all persons; face (person_key, content_id).
SELECT f.encoding
FROM (SELECT p.person_key FROM facerec.:"person" p ORDER BY random() LIMIT :max_persons::bigint) picked
CROSS JOIN LATERAL (
    SELECT f.encoding
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key = picked.person_key AND f.expire_time > now()
    ORDER BY random()
    LIMIT 1
) f;

-- name: lock_sketches
-- Waits for the transactions whose triggers have run, and keeps others from running theirs until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended(:'face', 0));

-- name: lock_faces
-- Waits for the transactions that write faces, and keeps others from it until the transaction ends.
LOCK TABLE facerec.:"face" IN SHARE ROW EXCLUSIVE MODE;

-- name: add_sketch_triggers
-- Makes them, or makes them again.
SELECT facerec.add_sketch_triggers(:collection_id);

-- name: add_axes
-- The rotation, of axes by number. From the commit on, triggers add the sketches of new faces.
INSERT INTO facerec.:"rotation" (number, axis)
SELECT a.number, a.axis FROM unnest(:axes::vector[]) WITH ORDINALITY AS a(axis, number);

-- name: read_axes
SELECT r.axis FROM facerec.:"rotation" r ORDER BY r.number;

-- name: last_key_to_sketch
-- The last person's key of the next :max_faces faces after :last_key, null after the last. Face (person_key, content_id).
SELECT max(next_face.person_key)
FROM (
    SELECT f.person_key
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key > :last_key
    ORDER BY f.person_key
    LIMIT :max_faces::bigint
) next_face;

-- name: fill_sketches
-- Adds the missing sketches of the faces of persons after :last_key up to :key. Under the lock of `lock_sketches`, since
-- the sketch of a face that is erased meanwhile would stay. Face and sketch (person_key, content_id).
WITH rotation AS MATERIALIZED (
    SELECT array_agg(r.axis ORDER BY r.number) AS axes FROM facerec.:"rotation" r
), added AS (
    INSERT INTO facerec.:"sketch" (person_key, content_id, sketch)
    SELECT f.person_key, f.content_id, facerec.sketch_of((SELECT rotation.axes FROM rotation), f.encoding)
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key > :last_key AND f.person_key <= :key
      AND NOT EXISTS (
          SELECT FROM facerec.:"sketch" s WHERE s.person_key = f.person_key AND s.content_id = f.content_id OFFSET 0
      )
    RETURNING 1
)
SELECT count(*) FROM added;

-- name: vacuum_sketches
VACUUM (ANALYZE) facerec.:"sketch", facerec.:"rotation";

-- name: set_sketch_distance
-- From the commit on, scans up to :max_distance use the sketches, or none if it is null, below 0 or there is no rotation.
UPDATE facerec.collection SET sketch_max_distance = :max_distance, sketch_time = now() WHERE collection_id = :collection_id;

-- name: unset_sketch_distance
-- From the commit on, no scan uses the sketches.
UPDATE facerec.collection SET sketch_max_distance = NULL, sketch_time = NULL WHERE collection_id = :collection_id;

-- name: delete_rotation
DELETE FROM facerec.:"rotation";

-- name: delete_sketches
-- All of them. Once no writer adds any.
DELETE FROM facerec.:"sketch";

-- name: count_wrong_sketches
-- How many faces have no sketch, or another than the rotation gives, and how many sketches no face. Scans of both tables.
WITH rotation AS MATERIALIZED (
    SELECT array_agg(r.axis ORDER BY r.number) AS axes FROM facerec.:"rotation" r
)
SELECT count(*) FILTER (WHERE s.person_key IS NULL) AS missing,
       count(*) FILTER (WHERE f.person_key IS NULL) AS orphans,
       count(*) FILTER (WHERE s.person_key = f.person_key) AS other
FROM facerec.:"face" f
FULL JOIN facerec.:"sketch" s ON s.person_key = f.person_key AND s.content_id = f.content_id
WHERE s.person_key IS NULL OR f.person_key IS NULL
   OR s.sketch IS DISTINCT FROM facerec.sketch_of((SELECT rotation.axes FROM rotation), f.encoding);

-- name: rewrite_rotation
-- As rewrite_persons.
VACUUM (FULL, VERBOSE) facerec.:"rotation";

-- name: rewrite_sketches
-- As the statement before.
VACUUM (FULL, VERBOSE) facerec.:"sketch";
