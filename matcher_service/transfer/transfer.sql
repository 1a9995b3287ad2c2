-- Statements of imports and exports, run by the serving role; common conventions: postgres/statements.py.

-- name: lock_import
-- Creates or locks the import's row until the transaction ends: of two calls of one import the second waits for the
-- first's chunk. Primary key. Disables nested loops for import_faces, next in the transaction: the planner underestimates
-- its arrays, and nested loops took twice the time at 2,000 rows and ten times at 10,000. Takes the lock that a policy
-- change waits for first.
WITH enrollment_lock AS MATERIALIZED (
    SELECT facerec.enter_enrollment(:collection_id)
)
INSERT INTO facerec.face_import (collection_id, import_id)
SELECT c.collection_id, :import_id FROM enrollment_lock, facerec.collection c WHERE c.collection_id = :collection_id
ON CONFLICT (collection_id, import_id) DO UPDATE SET update_time = now()
RETURNING next_row,
          (SELECT c.space FROM facerec.collection c WHERE c.collection_id = :collection_id) AS space,
          set_config('enable_nestloop', 'off', true) AS nested_loops_off;

-- name: add_models
-- Inserts the missing models, so that import_faces, the next statement, sees them and those of concurrent transactions.
-- Before any person is locked, and in the order of lock_enrolled_person. Model (space, fingerprint).
INSERT INTO facerec.model (space, fingerprint)
SELECT DISTINCT :space::text, given.fingerprint
FROM unnest(:fingerprints::text[]) AS given(fingerprint)
WHERE NOT EXISTS (SELECT FROM facerec.model m WHERE m.space = :space::text AND m.fingerprint = given.fingerprint)
ORDER BY 2
ON CONFLICT DO NOTHING;

-- name: lock_imported_persons
-- Locks the existing persons until the transaction ends, in the same order as merges, so that their faces do not change
-- before import_faces, the next statement. Returns their keys. Primary key of person, one by one as in lock_persons.
SELECT p.person_key
FROM facerec.:"person" p
WHERE p.collection_id = :collection_id AND p.person_id = ANY (:person_ids::text[])
  AND p.person_key = ANY (ARRAY(
      SELECT k.person_key
      FROM unnest(:person_ids::text[]) AS i(person_id)
      CROSS JOIN LATERAL (
          SELECT k.person_key FROM facerec.:"person" k WHERE k.collection_id = :collection_id AND k.person_id = i.person_id OFFSET 0
      ) k
  ))
ORDER BY p.person_id
FOR UPDATE;

-- name: find_label_excess
-- Those of the given people who would have more than :max_labels labels with the given ones. Primary key of person, one by
-- one.
SELECT i.person_id
FROM unnest(:person_ids::text[], :labels::text[]) AS i(person_id, labels)
LEFT JOIN LATERAL (
    SELECT p.labels FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_id = i.person_id OFFSET 0
) p ON true
WHERE (SELECT count(*) FROM jsonb_object_keys(coalesce(p.labels, '{}') || i.labels::jsonb)) > :max_labels;

-- name: import_faces
-- An array for each field of the faces, no (person, content) twice; :labels and :metadata are null or '' where there are
-- none, and set in one row of a person at most; :locked_keys are the keys of the locked persons.
-- Returns counts of new faces, replaced expired faces and new persons, and in uncentered_keys the persons whose centers
-- must be computed. A locked person with all of the faces is not changed. Other persons are inserted, or locked by the
-- update; what the statement's snapshot shows of them is not used, so the chunk is consistent. Persons are locked in order,
-- to avoid deadlocks. Primary keys of person and collection, person (person_key), face (person_key, content_id), model.
-- Existing rows are looked up one by one in subqueries: joins would read whole tables for each chunk. A new person's
-- centroid is the mean of the added faces; `update_centers` computes those of other persons, and of persons with a face far
-- from it.
WITH item AS MATERIALIZED (
    SELECT i.*
    FROM unnest(:person_ids::text[], :display_names::text[], :external_refs::text[], :content_ids::uuid[], :encodings::vector[], :fingerprints::text[], :expire_times::timestamptz[], :labels::text[], :metadata::text[])
        WITH ORDINALITY
        AS i(person_id, display_name, external_ref, content_id, encoding, fingerprint, expire_time, labels, metadata, ordinal)
), named AS MATERIALIZED (
    SELECT item.person_id,
           max(item.display_name) AS display_name,
           coalesce(max(item.labels)::jsonb, '{}') AS labels,
           nullif(max(item.metadata), '')::json AS metadata,
           avg(item.encoding) AS centroid,
           (
               SELECT p.person_key FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_id = item.person_id
           ) AS person_key
    FROM item
    GROUP BY item.person_id
), spread AS (
    SELECT DISTINCT named.person_id
    FROM named JOIN item USING (person_id)
    WHERE item.encoding <-> named.centroid > facerec.center_radius()
), with_new_face AS (
    SELECT named.person_id
    FROM named JOIN item USING (person_id)
    WHERE (
        SELECT f.face_id
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.person_key = named.person_key AND f.content_id = item.content_id
          AND f.expire_time > now()
          AND (f.create_time <= now() - (SELECT c.retention FROM facerec.collection c WHERE c.collection_id = :collection_id))
              IS NOT TRUE
    ) IS NULL
), owner AS (
    INSERT INTO facerec.:"person" AS p (collection_id, person_id, display_name, centroid, labels, metadata)
    SELECT :collection_id, named.person_id, named.display_name, named.centroid, named.labels, named.metadata
    FROM named
    WHERE named.person_key IS NULL
       OR named.person_key NOT IN (SELECT unnest(:locked_keys::bigint[]))
       OR named.person_id IN (SELECT with_new_face.person_id FROM with_new_face)
       OR (
           named.display_name <> ''
           AND named.display_name <> (
               SELECT p.display_name FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_key = named.person_key
           )
       )
       OR (
           (named.labels <> '{}' OR named.metadata IS NOT NULL)
           AND (
               SELECT p.labels || named.labels <> p.labels
                   OR coalesce(named.metadata, p.metadata)::text IS DISTINCT FROM p.metadata::text
               FROM facerec.:"person" p
               WHERE p.collection_id = :collection_id AND p.person_key = named.person_key
           )
       )
    ORDER BY named.person_id COLLATE "C"
    ON CONFLICT (collection_id, person_id) DO UPDATE
        SET update_time = clock_timestamp(),
            display_name = CASE WHEN excluded.display_name = '' THEN p.display_name ELSE excluded.display_name END,
            labels = p.labels || excluded.labels,
            metadata = coalesce(excluded.metadata, p.metadata)
    RETURNING p.person_key, p.person_id, p.xmax = 0 AS is_new,
              CASE WHEN p.labels <> '{}' THEN (SELECT count(*) FROM jsonb_object_keys(p.labels)) END AS labels
), added AS (
    INSERT INTO facerec.:"face" AS f (
        collection_id, person_key, encoding, model_key, content_id, external_ref, expire_time
    )
    SELECT :collection_id, owner.person_key, item.encoding, m.model_key, item.content_id, item.external_ref,
           coalesce(item.expire_time, 'infinity')
    FROM item
    JOIN owner USING (person_id)
    JOIN facerec.model m ON m.space = :space::text AND m.fingerprint = item.fingerprint
    ORDER BY item.ordinal
    -- A face that has expired or is past the retention is replaced: calls no longer find it, or soon will not.
    ON CONFLICT (collection_id, person_key, content_id) DO UPDATE
        SET face_id = gen_random_uuid(),
            encoding = excluded.encoding,
            model_key = excluded.model_key,
            external_ref = excluded.external_ref,
            expire_time = excluded.expire_time,
            create_time = clock_timestamp()
        WHERE f.expire_time <= now()
           OR f.create_time <= now() - (SELECT c.retention FROM facerec.collection c WHERE c.collection_id = :collection_id)
    RETURNING f.person_key, f.xmax <> 0 AS replaced
), receipt AS (
    INSERT INTO facerec.erasure (collection_id, persons, faces)
    SELECT :collection_id, 0, (SELECT count(*) FROM added WHERE added.replaced)
    WHERE EXISTS (SELECT FROM added WHERE added.replaced)
)
SELECT (SELECT count(*) FROM added) AS faces,
       (SELECT count(*) FROM added WHERE added.replaced) AS expired,
       (SELECT count(*) FROM owner WHERE owner.is_new) AS persons,
       (SELECT coalesce(max(owner.labels), 0) FROM owner) AS labels,
       ARRAY(
           SELECT DISTINCT added.person_key
           FROM added JOIN owner USING (person_key)
           WHERE NOT owner.is_new OR owner.person_id IN (SELECT spread.person_id FROM spread)
       ) AS uncentered_keys;

-- name: suspend_imported_persons
-- Suspends or resumes those of the persons whom that changes; returns a row for each. They are locked, or new. Primary key
-- of person, one by one; person (person_key).
UPDATE facerec.:"person" p
SET suspended = :suspended::boolean, update_time = clock_timestamp()
WHERE p.collection_id = :collection_id
  AND p.person_key = ANY (ARRAY(
      SELECT (SELECT p.person_key FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_id = i.person_id)
      FROM unnest(:person_ids::text[]) AS i(person_id)
  ))
  AND p.suspended <> :suspended::boolean
RETURNING p.person_key;

-- name: update_centers
-- Computes the mean and the centers of locked persons. Person (person_key), face (person_key, content_id).
WITH recomputed AS MATERIALIZED (
    SELECT f.person_key,
           avg(f.encoding) AS centroid,
           facerec.pick_centers(array_agg(f.content_id), array_agg(f.encoding)) AS centers
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key = ANY (:person_keys::bigint[])
    GROUP BY f.person_key
), marked AS (
    UPDATE facerec.:"face" f
    SET is_center = NOT f.is_center
    FROM recomputed
    WHERE f.collection_id = :collection_id AND f.person_key = ANY (:person_keys::bigint[])
      AND f.person_key = recomputed.person_key AND f.is_center <> (f.content_id = ANY (recomputed.centers))
)
UPDATE facerec.:"person" p
SET centroid = recomputed.centroid
FROM unnest(:person_keys::bigint[]) AS k(person_key) LEFT JOIN recomputed USING (person_key)
WHERE p.collection_id = :collection_id AND p.person_key = ANY (:person_keys::bigint[]) AND p.person_key = k.person_key;

-- name: find_full_persons
-- The ids of the locked persons with more than :max_faces faces. Person (person_key), face (person_key, content_id), at
-- most :max_faces + 1 of each person.
SELECT p.person_id
FROM facerec.:"person" p
WHERE p.collection_id = :collection_id AND p.person_key = ANY (:person_keys::bigint[])
  AND (
      SELECT count(*)
      FROM (
          SELECT
          FROM facerec.:"face" f
          WHERE f.collection_id = :collection_id AND f.person_key = p.person_key AND f.expire_time > now()
          LIMIT :max_faces::bigint + 1
      ) few
  ) > :max_faces::bigint;

-- name: find_excess
-- The positions, from 1, of the given faces beyond a person's first :max_faces, with the person's key and the face's id or
-- null. Counts the faces that this transaction added, which have its xmin, or that are to be added, in the order of their
-- positions. Person (person_id), face (person_key, content_id), each looked up, as there are no statistics of either.
SELECT n.ordinal, n.person_key, n.face_id
FROM (
    SELECT i.ordinal,
           p.person_key,
           f.face_id,
           row_number() OVER (PARTITION BY i.person_id ORDER BY i.ordinal) AS number,
           (
               SELECT count(*)
               FROM facerec.:"face" f
               WHERE f.collection_id = :collection_id AND f.person_key = p.person_key AND f.expire_time > now()
                 AND f.xmin IS DISTINCT FROM pg_current_xact_id_if_assigned()::xid
           ) AS others
    FROM unnest(:person_ids::text[], :content_ids::uuid[]) WITH ORDINALITY AS i(person_id, content_id, ordinal)
    LEFT JOIN LATERAL (
        SELECT p.person_key FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_id = i.person_id OFFSET 0
    ) p ON true
    LEFT JOIN LATERAL (
        SELECT f.face_id,
               f.xmin IS DISTINCT FROM pg_current_xact_id_if_assigned()::xid
               AND f.expire_time > now()
               AND (f.create_time <= now() - (SELECT c.retention FROM facerec.collection c WHERE c.collection_id = :collection_id))
                   IS NOT TRUE AS was_there
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.person_key = p.person_key AND f.content_id = i.content_id
        OFFSET 0
    ) f ON true
    WHERE f.was_there IS NOT TRUE
) n
WHERE n.number > :max_faces::bigint - n.others
ORDER BY n.ordinal;

-- name: delete_excess
-- Deletes faces that this transaction added. Face (face_id), one by one, and (person_key, content_id).
DELETE FROM facerec.:"face" f
USING unnest(:face_ids::uuid[]) AS i(face_id)
CROSS JOIN LATERAL (
    SELECT k.person_key, k.content_id
    FROM facerec.:"face" k
    WHERE k.collection_id = :collection_id AND k.face_id = i.face_id
    OFFSET 0
) k
WHERE f.collection_id = :collection_id AND f.person_key = k.person_key AND f.content_id = k.content_id AND f.face_id = i.face_id;

-- name: count_known
-- The number of the given faces that exist and need not be replaced. Primary keys of collection and person, face
-- (person_key, content_id). OFFSET 0 makes each a lookup: without statistics of either, a join could read all faces.
SELECT count(*) AS known
FROM unnest(:person_ids::text[], :content_ids::uuid[]) AS i(person_id, content_id)
CROSS JOIN LATERAL (
    SELECT p.person_key FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_id = i.person_id OFFSET 0
) p
CROSS JOIN LATERAL (
    SELECT f.expire_time, f.create_time
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key = p.person_key AND f.content_id = i.content_id
    OFFSET 0
) f
WHERE f.expire_time > now()
  AND (f.create_time <= now() - (SELECT c.retention FROM facerec.collection c WHERE c.collection_id = :collection_id)) IS NOT TRUE;

-- name: find_same_encodings
-- The positions, from 1, of the given faces whose person has the same encoding with another content id, such as a photo's,
-- and that content id. Person (person_id), face (person_key, content_id): all faces of these persons are read.
SELECT i.ordinal, f.content_id
FROM unnest(:person_ids::text[], :content_ids::uuid[], :encodings::vector[]) WITH ORDINALITY AS i(person_id, content_id, encoding, ordinal)
CROSS JOIN LATERAL (
    SELECT p.person_key FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_id = i.person_id OFFSET 0
) p
CROSS JOIN LATERAL (
    SELECT f.content_id
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key = p.person_key AND f.encoding = i.encoding
      AND f.content_id <> i.content_id AND f.expire_time > now()
      AND (f.create_time <= now() - (SELECT c.retention FROM facerec.collection c WHERE c.collection_id = :collection_id))
          IS NOT TRUE
    ORDER BY f.content_id
    LIMIT 1
) f;

-- name: count_new_persons
-- The number of :person_ids without a person. Primary key of person.
SELECT count(DISTINCT i.person_id) AS new_persons
FROM unnest(:person_ids::text[]) AS i(person_id)
WHERE NOT EXISTS (SELECT FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_id = i.person_id);

-- name: record_import_progress
-- Adds a chunk's counts to a locked import. Returns whether the collection now refuses faces that an import does not
-- check for. Primary keys.
UPDATE facerec.face_import i
SET next_row = :next_row,
    faces_added = i.faces_added + :faces_added,
    faces_already_there = i.faces_already_there + :faces_already_there,
    rows_refused = i.rows_refused + :rows_refused,
    persons_added = i.persons_added + :persons_added
WHERE i.collection_id = :collection_id AND i.import_id = :import_id
RETURNING (
    SELECT 'refuse' IN (c.duplicate_policy, c.consistency_policy) FROM facerec.collection c WHERE c.collection_id = :collection_id
) AS refuses;

-- name: get_import
-- One row if the collection exists. Primary keys.
SELECT coalesce(i.next_row, 0) AS next_row,
       coalesce(i.faces_added, 0) AS faces_added,
       coalesce(i.faces_already_there, 0) AS faces_already_there,
       coalesce(i.rows_refused, 0) AS rows_refused,
       coalesce(i.persons_added, 0) AS persons_added,
       c.space,
       'refuse' IN (c.duplicate_policy, c.consistency_policy) AS refuses
FROM facerec.collection c
LEFT JOIN facerec.face_import i ON i.collection_id = c.collection_id AND i.import_id = :import_id
WHERE c.collection_id = :collection_id;

-- name: begin_export
-- One row if the collection exists. Primary key.
SELECT c.space FROM facerec.collection c WHERE c.collection_id = :collection_id;

-- name: export_faces
-- :after_person_id is the person of the last row, or ''; :after_time and :after_face_id are its face's, or null. Faces
-- ordered by person and age; a row with a null face for a person without further faces. A person's first row has their
-- labels and metadata, and whether they are suspended. A page ends after the row that exceeds :max_attribute_bytes of them. Primary key of person in its
-- order, face (person_key, content_id), sorted for each person; model. OFFSET 0 keeps the planner from reading all faces
-- for each page, which took 30 times as long with a million.
WITH page AS MATERIALIZED (
    SELECT p.person_id, p.display_name, p.labels, p.metadata, p.suspended, f.face_id, f.create_time, f.encoding, f.external_ref,
           f.expire_time, f.model_key,
           row_number() OVER (ORDER BY p.person_id, f.create_time, f.face_id) AS number,
           p.person_id > :after_person_id
               AND row_number() OVER (PARTITION BY p.person_id ORDER BY f.create_time, f.face_id) = 1 AS is_first
    FROM (
        SELECT p.person_id, p.person_key, p.display_name, p.labels, p.metadata, p.suspended
        FROM facerec.:"person" p
        WHERE p.collection_id = :collection_id AND p.person_id >= :after_person_id AND (p.person_id > :after_person_id OR :after_time::timestamptz IS NOT NULL)
        ORDER BY p.person_id
        LIMIT :max_rows
    ) p
    LEFT JOIN LATERAL (
        SELECT f.face_id, f.create_time, f.encoding, f.external_ref, f.expire_time, f.model_key
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.person_key = p.person_key AND f.expire_time > now()
          AND (p.person_id > :after_person_id OR (f.create_time, f.face_id) > (:after_time::timestamptz, :after_face_id::uuid))
        OFFSET 0
    ) f ON true
    ORDER BY p.person_id, f.create_time, f.face_id
    LIMIT :max_rows
), sized AS MATERIALIZED (
    SELECT page.number,
           sum(CASE WHEN page.is_first THEN octet_length(page.labels::text) + coalesce(octet_length(page.metadata::text), 0) ELSE 0 END)
               OVER (ORDER BY page.number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
    FROM page
)
SELECT page.person_id, page.display_name, page.face_id, page.create_time, page.encoding, page.external_ref, page.expire_time,
       m.fingerprint,
       CASE WHEN page.is_first THEN page.labels END AS labels,
       CASE WHEN page.is_first THEN page.metadata END AS metadata,
       page.is_first AND page.suspended AS suspended
FROM page
JOIN sized USING (number)
LEFT JOIN facerec.model m ON m.model_key = page.model_key
WHERE coalesce(sized.bytes_before, 0) <= :max_attribute_bytes::bigint
ORDER BY page.number;
