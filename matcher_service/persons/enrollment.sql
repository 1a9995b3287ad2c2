-- Statements of Enroll, run by the serving role; common conventions: postgres/statements.py.

-- name: preview_enroll
-- Reads the state before anything is encoded or locked. :content_digest is of the request's content; what is stored of an
-- earlier request is its HMAC under its person's key (facerec.request_digest), so they can be compared only while that
-- person exists. enrollment_version is as in record_recent_enrollment. Primary keys of
-- collection, recent_enrollment, person, enroll_request and model, person (person_key), face (person_key, content_id) and
-- (face_id).
SELECT c.space,
       c.duplicate_policy,
       c.duplicate_threshold,
       c.consistency_policy,
       c.min_face_pixels,
       c.refused_qualities,
       recent.enrolled AS enrollment_version,
       r.request_tag IS NOT NULL AS replayed,
       requested.person_key IS NOT NULL AS person_exists,
       requested.person_id <> :person_id AS renamed,
       r.digest = facerec.request_digest(requested.audit_key, :content_digest) AS same_content,
       r.person_created,
       r.face_ids,
       r.already_enrolled,
       r.face_times,
       ARRAY(
           SELECT m.fingerprint
           FROM unnest(r.model_keys) WITH ORDINALITY AS k(model_key, ordinal)
           JOIN facerec.model m USING (model_key)
           ORDER BY k.ordinal
       ) AS fingerprints,
       ARRAY(
           SELECT f.external_ref
           FROM unnest(r.face_ids) WITH ORDINALITY AS k(face_id, ordinal)
           LEFT JOIN facerec.:"face" f ON f.collection_id = :collection_id AND f.face_id = k.face_id
           ORDER BY k.ordinal
       ) AS external_refs,
       ARRAY(
           SELECT f.expire_time
           FROM unnest(r.face_ids) WITH ORDINALITY AS k(face_id, ordinal)
           LEFT JOIN facerec.:"face" f ON f.collection_id = :collection_id AND f.face_id = k.face_id
           ORDER BY k.ordinal
       ) AS expire_times,
       ARRAY(
           SELECT f.quality
           FROM unnest(r.face_ids) WITH ORDINALITY AS k(face_id, ordinal)
           LEFT JOIN facerec.:"face" f ON f.collection_id = :collection_id AND f.face_id = k.face_id
           ORDER BY k.ordinal
       ) AS qualities,
       ARRAY(
           SELECT f.content_id
           FROM facerec.:"face" f
           WHERE f.collection_id = :collection_id AND f.person_key = p.person_key AND f.content_id = ANY (:content_ids::uuid[])
             AND f.expire_time > now() AND (f.create_time <= now() - c.retention) IS NOT TRUE
       ) AS known_content_ids
FROM facerec.collection c
LEFT JOIN facerec.recent_enrollment recent ON recent.collection_id = c.collection_id
LEFT JOIN facerec.:"person" p ON p.collection_id = :collection_id AND p.person_id = :person_id
LEFT JOIN facerec.:"enroll_request" r ON r.collection_id = :collection_id AND r.request_tag = facerec.request_tag(:request_id)
LEFT JOIN facerec.:"person" requested ON requested.collection_id = :collection_id AND requested.person_key = r.person_key
WHERE c.collection_id = :collection_id;

-- name: lock_enrolled_person
-- Creates the person, or locks the existing one until the transaction ends (DO UPDATE locks the row even if its condition
-- is false), so that the next statement sees what the lock's previous holder committed. One row if the person is new.
-- Primary key of person, model (space, fingerprint). Models are looked up first, as a conflict would use a number of the
-- key's sequence at every enrollment. They are inserted before the person is locked (the condition counts them), in the
-- order that imports use, to avoid deadlocks. Before both comes the lock that a policy change waits for, so that later
-- statements read the current policy.
WITH enrollment_lock AS MATERIALIZED (
    SELECT facerec.enter_enrollment(:collection_id)
), new_model AS (
    INSERT INTO facerec.model (space, fingerprint)
    SELECT DISTINCT :space::text, u.fingerprint
    FROM unnest(:fingerprints::text[]) AS u(fingerprint)
    WHERE (SELECT count(*) FROM enrollment_lock) = 1
      AND u.fingerprint IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM facerec.model m WHERE m.space = :space::text AND m.fingerprint = u.fingerprint
      )
    ORDER BY 2
    ON CONFLICT DO NOTHING
    RETURNING model_key
)
INSERT INTO facerec.:"person" (collection_id, person_id)
SELECT :collection_id, :person_id
WHERE (SELECT count(*) FROM enrollment_lock) = 1 AND (SELECT count(*) FROM new_model) >= 0
ON CONFLICT (collection_id, person_id) DO UPDATE SET person_id = excluded.person_id WHERE false
RETURNING person_key;

-- name: add_faces
-- Adds faces to a locked person. :display_name and :expire_time may be null; :labels and :metadata are as in
-- update_person; an array for each field of the items,
-- :source_ids of stored faces to copy. One row per item, in order: content_id is null if the face to copy no longer
-- exists, face_id also if the person no longer has the photo that an item without an encoding refers to. The
-- policies in each row are the current ones, which may differ from the preview's. Face (person_key, content_id) and
-- (face_id), model (space, fingerprint), primary keys of person and collection.
WITH owner AS MATERIALIZED (
    SELECT p.person_key,
           p.create_time,
           p.suspended,
           coalesce(:display_name::text, p.display_name) AS display_name,
           p.labels || :labels::jsonb AS labels,
           nullif(coalesce(:metadata::text, p.metadata::text), '')::json AS metadata
    FROM facerec.:"person" p
    WHERE p.collection_id = :collection_id AND p.person_id = :person_id
), item AS MATERIALIZED (
    SELECT i.ordinal,
           coalesce(i.content_id, source.content_id) AS content_id,
           coalesce(i.encoding, source.encoding) AS encoding,
           coalesce(m.model_key, source.model_key) AS model_key,
           coalesce(i.quality, source.quality, '') AS quality,
           i.external_ref,
           row_number() OVER (
               PARTITION BY coalesce(i.content_id, source.content_id)
               ORDER BY i.encoding IS NULL AND source.encoding IS NULL, i.ordinal
           ) AS copy
    FROM unnest(:content_ids::uuid[], :encodings::vector[], :fingerprints::text[], :qualities::bytea[], :source_ids::uuid[], :external_refs::text[])
        WITH ORDINALITY AS i(content_id, encoding, fingerprint, quality, source_id, external_ref, ordinal)
    LEFT JOIN facerec.:"face" source
        ON source.collection_id = :collection_id AND source.face_id = i.source_id AND source.expire_time > now()
    LEFT JOIN facerec.model m ON m.space = :space::text AND m.fingerprint = i.fingerprint
), existing AS MATERIALIZED (
    SELECT f.face_id, f.content_id, f.model_key, f.external_ref, f.create_time, f.expire_time, f.quality
    FROM owner JOIN facerec.:"face" f ON f.collection_id = :collection_id AND f.person_key = owner.person_key
    WHERE f.content_id IN (SELECT item.content_id FROM item)
), fresh AS MATERIALIZED (
    SELECT item.*
    FROM item
    WHERE item.copy = 1
      AND item.encoding IS NOT NULL
      AND NOT EXISTS (SELECT FROM existing WHERE existing.content_id = item.content_id)
), recomputed AS MATERIALIZED (
    SELECT avg(every.encoding) AS centroid,
           facerec.pick_centers(array_agg(every.content_id), array_agg(every.encoding)) AS centers
    FROM (
        SELECT f.content_id, f.encoding
        FROM owner JOIN facerec.:"face" f ON f.collection_id = :collection_id AND f.person_key = owner.person_key
        UNION ALL
        SELECT fresh.content_id, fresh.encoding FROM fresh
    ) every
    WHERE EXISTS (SELECT FROM fresh)
), marked AS (
    UPDATE facerec.:"face" f
    SET is_center = NOT f.is_center
    FROM owner, recomputed
    WHERE f.collection_id = :collection_id AND f.person_key = owner.person_key
      AND f.is_center <> (f.content_id = ANY (recomputed.centers))
), added AS (
    INSERT INTO facerec.:"face" (
        collection_id, person_key, encoding, model_key, content_id, external_ref, expire_time, is_center, quality
    )
    SELECT :collection_id, owner.person_key, fresh.encoding, fresh.model_key, fresh.content_id, fresh.external_ref,
           coalesce(:expire_time::timestamptz, 'infinity'), fresh.content_id = ANY (recomputed.centers), fresh.quality
    FROM owner, fresh, recomputed
    ORDER BY fresh.ordinal
    RETURNING face_id, content_id, model_key, external_ref, create_time, expire_time, quality
), changed AS (
    UPDATE facerec.:"person" p
    SET display_name = owner.display_name,
        labels = owner.labels,
        metadata = owner.metadata,
        update_time = clock_timestamp(),
        centroid = coalesce(recomputed.centroid, p.centroid)
    FROM owner, recomputed
    WHERE p.collection_id = :collection_id
      AND p.person_key = owner.person_key
      AND (
          EXISTS (SELECT FROM added)
          OR (p.display_name, p.labels, p.metadata::text) IS DISTINCT FROM (owner.display_name, owner.labels, owner.metadata::text)
      )
    RETURNING p.update_time
), stored AS (
    SELECT face_id, content_id, model_key, external_ref, create_time, expire_time, quality, true AS existed
    FROM existing
    UNION ALL
    SELECT face_id, content_id, model_key, external_ref, create_time, expire_time, quality, false FROM added
)
SELECT item.content_id,
       stored.face_id,
       stored.existed OR item.copy > 1 AS already_enrolled,
       stored.model_key,
       m.fingerprint,
       stored.external_ref,
       stored.create_time AS face_time,
       stored.expire_time,
       stored.quality,
       person_key,
       coalesce(p.kept_tag, facerec.audit_tag(p.audit_key, p.person_id)) AS person_tag,
       owner.display_name,
       owner.labels,
       owner.metadata,
       owner.suspended,
       p.display_name <> owner.display_name AS renamed,
       p.labels <> owner.labels AS relabeled,
       p.metadata::text IS DISTINCT FROM owner.metadata::text AS new_metadata,
       p.create_time,
       coalesce((SELECT update_time FROM changed), p.update_time) AS update_time,
       (SELECT count(*) FROM facerec.:"face" f WHERE f.collection_id = :collection_id AND f.person_key = p.person_key)
           + (SELECT count(*) FROM added) AS faces,
       c.duplicate_policy,
       c.duplicate_threshold,
       c.consistency_policy
FROM facerec.:"person" p
JOIN owner USING (person_key)
JOIN facerec.collection c ON c.collection_id = :collection_id
CROSS JOIN item
LEFT JOIN stored USING (content_id)
LEFT JOIN facerec.model m ON m.model_key = stored.model_key
WHERE p.collection_id = :collection_id AND p.person_id = :person_id
ORDER BY item.ordinal;

-- name: record_recent_enrollment
-- Adds the new faces to the list of the collection's last :max_listed faces, and lets only one enrollment at a time commit.
-- This is the last lock of an enrollment, a merge or an import, to avoid deadlocks. One row with the enrollment version
-- before and the number of faces now in the list. The column `enrolled` is a version: it grows by 1 with each face, and by
-- 1 more with outdate_duplicate_searches and with `maintain`'s clear_recent_enrollments, which empty the list. Primary key.
UPDATE facerec.recent_enrollment r
SET enrolled = r.enrolled + cardinality(:face_ids::uuid[]),
    face_ids = (r.face_ids || :face_ids::uuid[])[
        greatest(1, cardinality(r.face_ids) + cardinality(:face_ids::uuid[]) - :max_listed::integer + 1) :
    ]
WHERE r.collection_id = :collection_id
RETURNING r.enrolled - cardinality(:face_ids::uuid[]) AS version_before, cardinality(r.face_ids) AS listed_faces;

-- name: find_recent_duplicate
-- The first of the added faces :face_ids that is within :max_distance of another person's face among the last
-- :compared_faces enrolled, and that person; no row if there is none. Primary key of recent_enrollment, face (face_id),
-- person (person_key). OFFSET 0 makes each a lookup: without statistics of these columns, a join would read all faces.
WITH added AS MATERIALIZED (
    SELECT item.face_id, item.ordinal, f.encoding
    FROM unnest(:face_ids::uuid[]) WITH ORDINALITY AS item(face_id, ordinal)
    CROSS JOIN LATERAL (
        SELECT f.encoding FROM facerec.:"face" f WHERE f.collection_id = :collection_id AND f.face_id = item.face_id OFFSET 0
    ) f
)
SELECT added.face_id, p.person_id
FROM facerec.recent_enrollment r
CROSS JOIN LATERAL unnest(r.face_ids[cardinality(r.face_ids) - :compared_faces::integer + 1 :]) AS recent(face_id)
CROSS JOIN LATERAL (
    SELECT f.person_key, f.encoding
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.face_id = recent.face_id AND f.expire_time > now()
    OFFSET 0
) f
JOIN added ON added.encoding <-> f.encoding <= :max_distance::float8
CROSS JOIN LATERAL (
    SELECT p.person_id
    FROM facerec.:"person" p
    WHERE p.collection_id = :collection_id AND p.person_key = f.person_key AND p.person_id <> :person_id
    OFFSET 0
) p
WHERE r.collection_id = :collection_id
ORDER BY added.ordinal, p.person_id
LIMIT 1;

-- name: outdate_duplicate_searches
-- Makes every enrollment in progress search again, if the collection has ever refused duplicates: after an import or a
-- merge. Primary key.
UPDATE facerec.recent_enrollment r SET enrolled = r.enrolled + 1, face_ids = '{}' WHERE r.collection_id = :collection_id;

-- name: add_enroll_request
-- Stores the answer of a request id. :content_digest is of the request's content, and is stored as an HMAC under the
-- person's key; :person_key is of a locked person. One row unless the id is taken. Primary key; person (person_key).
INSERT INTO facerec.:"enroll_request" (
    collection_id, request_tag, digest, person_key, person_created,
    face_ids, already_enrolled, model_keys, face_times
)
SELECT :collection_id, facerec.request_tag(:request_id), facerec.request_digest(p.audit_key, :content_digest), :person_key, :person_created, :face_ids, :already_enrolled, :model_keys, :face_times
FROM facerec.:"person" p
WHERE p.collection_id = :collection_id AND p.person_key = :person_key
ON CONFLICT DO NOTHING
RETURNING true;
