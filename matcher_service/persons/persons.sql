-- Statements of people and their faces, run by the serving role; common conventions: postgres/statements.py.

-- name: delete_expired
-- Erases the faces of locked persons that have expired or are past the retention, as `maintain` would, so that the same
-- photo can be enrolled again and a merge neither counts it nor treats it as a copy. One row for each person who had some.
-- Primary keys of collection and person, face (person_key, content_id), person (person_key). Keys are arrays: without
-- statistics of person_id, a join by it could read all faces.
WITH deleted AS (
    DELETE FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id
      AND f.person_key = ANY (ARRAY(
          SELECT (SELECT p.person_key FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_id = i.person_id)
          FROM unnest(:person_ids::text[]) AS i(person_id)
      ))
      AND (f.expire_time <= now()
           OR f.create_time <= now() - (SELECT c.retention FROM facerec.collection c WHERE c.collection_id = :collection_id))
    RETURNING f.person_key, f.face_id
), recomputed AS MATERIALIZED (
    SELECT f.person_key,
           avg(f.encoding) AS centroid,
           facerec.pick_centers(array_agg(f.content_id), array_agg(f.encoding)) AS centers
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key = ANY (ARRAY(SELECT deleted.person_key FROM deleted))
      AND f.face_id NOT IN (SELECT deleted.face_id FROM deleted)
    GROUP BY f.person_key
), marked AS (
    UPDATE facerec.:"face" f
    SET is_center = NOT f.is_center
    FROM recomputed
    WHERE f.collection_id = :collection_id AND f.person_key = ANY (ARRAY(SELECT deleted.person_key FROM deleted))
      AND f.person_key = recomputed.person_key AND f.is_center <> (f.content_id = ANY (recomputed.centers))
      AND f.face_id NOT IN (SELECT deleted.face_id FROM deleted)
), changed AS (
    UPDATE facerec.:"person" p
    SET update_time = clock_timestamp(),
        centroid = (SELECT recomputed.centroid FROM recomputed WHERE recomputed.person_key = p.person_key)
    WHERE p.collection_id = :collection_id AND p.person_key = ANY (ARRAY(SELECT deleted.person_key FROM deleted))
    RETURNING p.person_key, coalesce(p.kept_tag, facerec.audit_tag(p.audit_key, p.person_id)) AS person_tag
), receipt AS (
    INSERT INTO facerec.erasure (collection_id, persons, faces)
    SELECT :collection_id, 0, (SELECT count(*) FROM deleted)
    WHERE EXISTS (SELECT FROM deleted)
)
SELECT changed.person_tag, (SELECT count(*) FROM deleted WHERE deleted.person_key = changed.person_key) AS faces
FROM changed;

-- name: any_unexpired
-- Whether the locked persons have a face that delete_expired would keep. Primary key of collection,
-- face (person_key, content_id).
SELECT EXISTS (
    SELECT FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key = ANY (:person_keys::bigint[])
      AND f.expire_time > now()
      AND (f.create_time <= now() - (SELECT c.retention FROM facerec.collection c WHERE c.collection_id = :collection_id)) IS NOT TRUE
) AS lasts;

-- name: count_merged
-- The number of faces of the locked persons once merged. Face (person_key, content_id).
SELECT count(DISTINCT f.content_id) AS faces
FROM facerec.:"face" f
WHERE f.collection_id = :collection_id AND f.person_key = ANY (:person_keys::bigint[]) AND f.expire_time > now();

-- name: get_person
-- Primary keys of collection and person, face (person_key, content_id).
SELECT p.person_id, p.display_name, p.create_time, p.update_time, p.labels, p.metadata, p.suspended,
       (SELECT count(*) FROM facerec.:"face" f WHERE f.collection_id = :collection_id AND f.person_key = p.person_key
          AND f.expire_time > now()) AS faces
FROM facerec.collection c
LEFT JOIN facerec.:"person" p ON p.collection_id = :collection_id AND p.person_id = :person_id
WHERE c.collection_id = :collection_id;

-- name: select_persons
-- The keys of :max_persons people at most of those with one of the ids :person_ids, labels as :labels_path demands
-- (PersonFilter.path), and a name that begins with :name_prefix; of the suspended with :only_suspended, of the others with
-- :only_active, both true if they are there. Run without what is not asked for. Primary key of person, one by one as in
-- lock_persons, and person (person_key); the index on labels, person (display_name) between the first and the last possible
-- name, of 256 characters, or person (person_key) WHERE suspended.
SELECT p.person_key
FROM facerec.:"person" p
WHERE p.collection_id = :collection_id
  AND p.person_key = ANY (ARRAY(SELECT k.person_key FROM unnest(:person_ids::text[]) AS i(person_id) CROSS JOIN LATERAL (SELECT k.person_key FROM facerec.:"person" k WHERE k.collection_id = :collection_id AND k.person_id = i.person_id OFFSET 0) k))
  AND p.labels <> '{}' AND p.labels @@ :labels_path::jsonpath
  AND p.display_name <> '' AND p.display_name ~>=~ :name_prefix AND p.display_name ~<=~ (:name_prefix || repeat(chr(1114111), 256))
  AND p.suspended AND :only_suspended::boolean
  AND NOT p.suspended AND :only_active::boolean
LIMIT :max_persons::bigint;

-- name: search_persons
-- The keys of the first :max_persons people by id, after :after_person_id and with the prefix :prefix, of whom each word of
-- :query begins a word of id or name, and who fulfill the conditions of select_persons, but for ids. The index on search_words: what is
-- compared and sorted is no column of the primary key, so that Postgres does not read everybody in the order of ids instead,
-- which it would, having no statistics.
SELECT p.person_key
FROM facerec.:"person" p
WHERE p.collection_id = :collection_id AND p.person_id || '' > :after_person_id AND starts_with(p.person_id || '', :prefix)
  AND facerec.search_words(p.person_id, p.display_name) @@ (SELECT facerec.search_query(:query))
  AND p.labels @@ :labels_path::jsonpath
  AND starts_with(p.display_name, :name_prefix)
  AND p.suspended AND :only_suspended::boolean
  AND NOT p.suspended AND :only_active::boolean
ORDER BY p.person_id || ''
LIMIT :max_persons::bigint;

-- name: list_persons
-- :after_person_id is the last person of the previous page, or ''; :prefix may be ''. Run with :person_keys of those to
-- list, or with the conditions of select_persons for more people than it is asked for, and :query as in search_persons. Of
-- :max_read people at most, or null. `more` says whether others follow. A page ends after the person whose attributes exceed
-- :max_attribute_bytes: metadata counts six times, since in a message a number of two bytes has eleven.
--
-- Primary key of person, in its order (LIMIT keeps it), between the first and the last possible id with the prefix, which
-- ends in 128 times the largest character; or person (person_key). Each person's faces by (person_key, content_id).
WITH page AS MATERIALIZED (
    SELECT p.*
    FROM (
        SELECT q.person_id, q.display_name, q.create_time, q.update_time, q.person_key, q.labels, q.metadata, q.suspended
        FROM facerec.:"person" q
        WHERE q.collection_id = :collection_id AND q.person_id > :after_person_id AND q.person_id >= :prefix
          AND q.person_id <= :prefix || repeat(chr(1114111), 128)
          AND q.person_key = ANY (:person_keys::bigint[])
        ORDER BY q.person_id
        LIMIT :max_read::bigint
    ) p
    WHERE true
      AND p.labels @@ :labels_path::jsonpath
      AND starts_with(p.display_name, :name_prefix)
      AND facerec.search_words(p.person_id, p.display_name) @@ (SELECT facerec.search_query(:query))
      AND p.suspended AND :only_suspended::boolean
      AND NOT p.suspended AND :only_active::boolean
    LIMIT :max_rows::bigint
), sized AS MATERIALIZED (
    SELECT page.person_id,
           lead(page.person_id) OVER (ORDER BY page.person_id) IS NOT NULL AS more,
           sum(octet_length(page.labels::text) + 6 * coalesce(octet_length(page.metadata::text), 0))
               OVER (ORDER BY page.person_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
    FROM page
)
SELECT p.*,
       (SELECT count(*) FROM facerec.:"face" f WHERE f.collection_id = :collection_id AND f.person_key = p.person_key
          AND f.expire_time > now()) AS faces
FROM facerec.collection c
LEFT JOIN (
    SELECT page.*, sized.more
    FROM page JOIN sized USING (person_id)
    WHERE coalesce(sized.bytes_before, 0) <= :max_attribute_bytes::bigint
) p ON true
WHERE c.collection_id = :collection_id
ORDER BY p.person_id;

-- name: begin_person_export
-- As get_person, with the person's key and tag. Primary keys of collection and person, face (person_key,
-- content_id).
SELECT p.person_id, p.display_name, p.create_time, p.update_time, p.labels, p.metadata, p.suspended, p.person_key, c.space,
       coalesce(p.kept_tag, facerec.audit_tag(p.audit_key, p.person_id)) AS person_tag,
       (SELECT count(*) FROM facerec.:"face" f WHERE f.collection_id = :collection_id AND f.person_key = p.person_key
          AND f.expire_time > now()) AS faces
FROM facerec.collection c
LEFT JOIN facerec.:"person" p ON p.collection_id = :collection_id AND p.person_id = :person_id
WHERE c.collection_id = :collection_id;

-- name: export_person_faces
-- :after_time and :after_face_id are those of the last face of the previous page, or null. Face (person_key, content_id),
-- sorted, as it is one person's; model.
SELECT f.face_id, f.external_ref, f.create_time, f.expire_time, f.quality, m.space, m.fingerprint,
       CASE WHEN :with_encodings::boolean THEN f.encoding END AS encoding
FROM facerec.:"face" f
JOIN facerec.model m ON m.model_key = f.model_key
WHERE f.collection_id = :collection_id AND f.person_key = :person_key AND f.expire_time > now()
  AND (:after_time::timestamptz IS NULL OR (f.create_time, f.face_id) > (:after_time::timestamptz, :after_face_id::uuid))
ORDER BY f.create_time, f.face_id
LIMIT :max_rows;

-- name: update_person
-- Changes a locked person. :display_name and :suspended may be null. The labels :labels are set after those of
-- :removed_labels, or with :replaces_labels all, were removed; :metadata is null to keep it and '' to remove it. Primary key
-- of person; face (person_key, content_id).
WITH old AS MATERIALIZED (
    SELECT p.person_key, p.display_name, p.labels, p.metadata, p.suspended
    FROM facerec.:"person" p
    WHERE p.collection_id = :collection_id AND p.person_id = :person_id
), new AS MATERIALIZED (
    SELECT coalesce(:display_name::text, old.display_name) AS display_name,
           CASE WHEN :replaces_labels::boolean THEN '{}' ELSE old.labels - :removed_labels::text[] END || :labels::jsonb AS labels,
           nullif(coalesce(:metadata::text, old.metadata::text), '')::json AS metadata,
           coalesce(:suspended::boolean, old.suspended) AS suspended
    FROM old
), difference AS MATERIALIZED (
    SELECT old.display_name <> new.display_name AS renamed,
           old.labels <> new.labels AS relabeled,
           old.metadata::text IS DISTINCT FROM new.metadata::text AS new_metadata,
           old.suspended <> new.suspended AS suspended_or_resumed
    FROM old, new
), changed AS (
    UPDATE facerec.:"person" p
    SET display_name = new.display_name,
        labels = new.labels,
        metadata = new.metadata,
        suspended = new.suspended,
        update_time = CASE
            WHEN renamed OR relabeled OR new_metadata OR suspended_or_resumed THEN clock_timestamp()
            ELSE p.update_time
        END
    FROM new, difference
    WHERE p.collection_id = :collection_id AND p.person_id = :person_id
    RETURNING p.person_id, p.display_name, p.create_time, p.update_time, p.labels, p.metadata, p.suspended, p.person_key,
              coalesce(p.kept_tag, facerec.audit_tag(p.audit_key, p.person_id)) AS person_tag,
              renamed, relabeled, new_metadata, suspended_or_resumed
)
SELECT changed.*,
       (SELECT count(*) FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.person_key = changed.person_key
          AND f.expire_time > now()) AS faces
FROM facerec.collection c
LEFT JOIN changed ON true
WHERE c.collection_id = :collection_id;

-- name: lock_persons
-- Locks those of the persons who exist, in the order of their ids by code points, until the transaction ends. A row for
-- each, or one of nulls. Primary keys, looked up one by one: without statistics of the ids a long list would read everybody.
-- The ids are compared again, in case a person was renamed before they were locked.
WITH locked AS MATERIALIZED (
    SELECT p.person_id, p.person_key, coalesce(p.kept_tag, facerec.audit_tag(p.audit_key, p.person_id)) AS person_tag
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
    FOR UPDATE
)
SELECT locked.person_key, locked.person_tag
FROM facerec.collection c
LEFT JOIN locked ON true
WHERE c.collection_id = :collection_id;

-- name: delete_persons
-- :person_keys are of locked persons. Returns the time, the receipt's id or null, and of each person the number of faces.
-- Person (person_key), face (person_key, content_id).
WITH person AS (
    DELETE FROM facerec.:"person" WHERE collection_id = :collection_id AND person_key = ANY (:person_keys::bigint[]) RETURNING 1
), face AS (
    DELETE FROM facerec.:"face" WHERE collection_id = :collection_id AND person_key = ANY (:person_keys::bigint[]) RETURNING person_key
), tries AS (
    DELETE FROM facerec.failed_try WHERE collection_id = :collection_id AND person_key = ANY (:person_keys::bigint[])
), receipt AS (
    INSERT INTO facerec.erasure (collection_id, persons, faces)
    SELECT :collection_id, (SELECT count(*) FROM person), (SELECT count(*) FROM face)
    WHERE EXISTS (SELECT FROM person)
    RETURNING erasure_id, delete_time
)
SELECT ARRAY(
           SELECT (SELECT count(*) FROM face WHERE face.person_key = k.person_key)
           FROM unnest(:person_keys::bigint[]) WITH ORDINALITY AS k(person_key, ordinal)
           ORDER BY k.ordinal
       ) AS faces,
       coalesce((SELECT delete_time FROM receipt), clock_timestamp()) AS delete_time,
       (SELECT erasure_id FROM receipt) AS erasure_id;

-- name: list_faces
-- :after_time and :after_face_id are those of the last face of the previous page, or null; :external_ref is '' for all.
-- Primary keys of collection and person, face (person_key, content_id), sorted, as it is one person's.
SELECT c.space, p.person_key IS NOT NULL AS person_found,
       f.face_id, f.external_ref, f.create_time, f.expire_time, f.quality, m.fingerprint
FROM facerec.collection c
LEFT JOIN facerec.:"person" p ON p.collection_id = :collection_id AND p.person_id = :person_id
LEFT JOIN LATERAL (
    SELECT face_id, external_ref, create_time, expire_time, quality, model_key
    FROM facerec.:"face"
    WHERE collection_id = :collection_id AND person_key = p.person_key AND expire_time > now()
      AND external_ref = coalesce(nullif(:external_ref::text, ''), external_ref)
      AND (:after_time::timestamptz IS NULL OR (create_time, face_id) > (:after_time::timestamptz, :after_face_id::uuid))
    ORDER BY create_time, face_id
    LIMIT :max_rows
) f ON true
LEFT JOIN facerec.model m ON m.model_key = f.model_key
WHERE c.collection_id = :collection_id
ORDER BY f.create_time, f.face_id;

-- name: list_faces_by_reference
-- As list_faces, of everybody's faces with :external_ref, which is not ''. Primary key of collection, face (external_ref,
-- create_time, face_id) in its order, person (person_key).
SELECT c.space, p.person_id, f.face_id, f.external_ref, f.create_time, f.expire_time, f.quality, m.fingerprint
FROM facerec.collection c
LEFT JOIN LATERAL (
    SELECT face_id, external_ref, create_time, expire_time, quality, model_key, person_key
    FROM facerec.:"face"
    WHERE collection_id = :collection_id AND external_ref = :external_ref::text AND external_ref <> '' AND expire_time > now()
      AND (create_time, face_id) > (
          coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_face_id::uuid, '00000000-0000-0000-0000-000000000000')
      )
    ORDER BY create_time, face_id
    LIMIT :max_rows
) f ON true
LEFT JOIN facerec.:"person" p ON p.collection_id = :collection_id AND p.person_key = f.person_key
LEFT JOIN facerec.model m ON m.model_key = f.model_key
WHERE c.collection_id = :collection_id
ORDER BY f.create_time, f.face_id;

-- name: list_all_faces
-- As list_faces_by_reference, of all faces, by id: :after_face_id is that of the last face of the previous page, or null.
-- Primary key of collection, face (face_id) in its order, person (person_key).
SELECT c.space, p.person_id, f.face_id, f.external_ref, f.create_time, f.expire_time, f.quality, m.fingerprint
FROM facerec.collection c
LEFT JOIN LATERAL (
    SELECT face_id, external_ref, create_time, expire_time, quality, model_key, person_key
    FROM facerec.:"face"
    WHERE collection_id = :collection_id AND expire_time > now()
      AND face_id > coalesce(:after_face_id::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY face_id
    LIMIT :max_rows
) f ON true
LEFT JOIN facerec.:"person" p ON p.collection_id = :collection_id AND p.person_key = f.person_key
LEFT JOIN facerec.model m ON m.model_key = f.model_key
WHERE c.collection_id = :collection_id
ORDER BY f.face_id;

-- name: get_face
-- Primary key of collection, face (face_id), person (person_key), model.
SELECT c.space, p.person_id, f.face_id, f.external_ref, f.create_time, f.expire_time, f.quality, m.fingerprint
FROM facerec.collection c
LEFT JOIN facerec.:"face" f ON f.collection_id = :collection_id AND f.face_id = :face_id AND f.expire_time > now()
LEFT JOIN facerec.:"person" p ON p.collection_id = :collection_id AND p.person_key = f.person_key
LEFT JOIN facerec.model m ON m.model_key = f.model_key
WHERE c.collection_id = :collection_id;

-- name: update_face
-- :person_key is of the face's person, who is locked. :external_ref is null to keep it; :expire_time is set only with
-- :changes_expiry. One row if the face exists. Face (face_id), person (person_key).
WITH face AS (
    UPDATE facerec.:"face"
    SET external_ref = coalesce(:external_ref, external_ref),
        expire_time = CASE WHEN :changes_expiry::boolean THEN :expire_time::timestamptz ELSE expire_time END
    WHERE collection_id = :collection_id AND face_id = :face_id AND person_key = :person_key AND expire_time > now()
    RETURNING 1
)
UPDATE facerec.:"person"
SET update_time = clock_timestamp()
WHERE collection_id = :collection_id AND person_key = :person_key AND EXISTS (SELECT FROM face)
RETURNING person_id;

-- name: lock_person_of_face
-- Locks the person of a face, as every change of a person's faces does first. If a merge moved the face while this waited
-- for the lock, face_found is true and person_key null; run again, it locks the new person. Face (face_id), person
-- (person_key).
WITH locked AS MATERIALIZED (
    SELECT p.person_key, coalesce(p.kept_tag, facerec.audit_tag(p.audit_key, p.person_id)) AS person_tag
    FROM facerec.:"face" f JOIN facerec.:"person" p ON p.person_key = f.person_key
    WHERE f.collection_id = :collection_id AND f.face_id = :face_id AND p.collection_id = :collection_id
    FOR UPDATE OF p
)
SELECT EXISTS (
           SELECT FROM facerec.:"face" f WHERE f.collection_id = :collection_id AND f.face_id = :face_id
       ) AS face_found,
       locked.person_key,
       locked.person_tag
FROM facerec.collection c
LEFT JOIN locked ON true
WHERE c.collection_id = :collection_id;

-- name: delete_face
-- :person_key is of the face's person, who is locked. Face (face_id), person (person_key).
WITH face AS (
    DELETE FROM facerec.:"face"
    WHERE collection_id = :collection_id AND face_id = :face_id AND person_key = :person_key
    RETURNING 1
), recomputed AS MATERIALIZED (
    SELECT avg(f.encoding) AS centroid,
           facerec.pick_centers(array_agg(f.content_id), array_agg(f.encoding)) AS centers
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key = :person_key AND f.face_id <> :face_id AND EXISTS (SELECT FROM face)
), marked AS (
    UPDATE facerec.:"face" f
    SET is_center = NOT f.is_center
    FROM recomputed
    WHERE f.collection_id = :collection_id AND f.person_key = :person_key AND f.face_id <> :face_id
      AND f.is_center <> (f.content_id = ANY (recomputed.centers))
), person AS (
    UPDATE facerec.:"person"
    SET update_time = clock_timestamp(), centroid = (SELECT recomputed.centroid FROM recomputed)
    WHERE collection_id = :collection_id AND person_key = :person_key AND EXISTS (SELECT FROM face)
), receipt AS (
    INSERT INTO facerec.erasure (collection_id, persons, faces)
    SELECT :collection_id, 0, 1 WHERE EXISTS (SELECT FROM face)
    RETURNING erasure_id, delete_time
)
SELECT (SELECT count(*) FROM face) AS faces,
       coalesce((SELECT delete_time FROM receipt), clock_timestamp()) AS delete_time,
       (SELECT erasure_id FROM receipt) AS erasure_id;

-- name: get_erasure
-- One row if the collection exists, with null times if the erasure does not. Primary keys.
SELECT e.persons, e.faces, e.delete_time, e.vacuum_time, e.scrub_time
FROM facerec.collection c
LEFT JOIN facerec.erasure e ON e.collection_id = c.collection_id AND e.erasure_id = :erasure_id
WHERE c.collection_id = :collection_id;

-- name: lock_merged_persons
-- Locks both persons, always in the order of their ids by code points, until the transaction ends. One row if the
-- collection exists. Primary keys of collection and person.
WITH locked AS MATERIALIZED (
    SELECT p.person_id, p.person_key, p.suspended, coalesce(p.kept_tag, facerec.audit_tag(p.audit_key, p.person_id)) AS person_tag
    FROM facerec.:"person" p
    WHERE p.collection_id = :collection_id AND p.person_id IN (:source_id, :target_id)
    ORDER BY p.person_id
    FOR UPDATE
)
SELECT source.person_key AS source_key,
       source.person_tag AS source_tag,
       target.person_key AS target_key,
       target.person_tag AS target_tag,
       source.suspended AND NOT target.suspended AS suspends
FROM facerec.collection c
LEFT JOIN locked source ON source.person_id = :source_id
LEFT JOIN locked target ON target.person_id = :target_id
WHERE c.collection_id = :collection_id;

-- name: merge_persons
-- Faces that both persons have are kept once; with :suspends the target is suspended. Face (person_key, content_id), person
-- (person_key).
WITH in_both AS MATERIALIZED (
    SELECT f.face_id
    FROM facerec.:"face" f
    JOIN facerec.:"face" t ON t.collection_id = :collection_id AND t.person_key = :target_key AND t.content_id = f.content_id
    WHERE f.collection_id = :collection_id AND f.person_key = :source_key
), recomputed AS MATERIALIZED (
    SELECT avg(f.encoding) AS centroid,
           facerec.pick_centers(array_agg(f.content_id), array_agg(f.encoding)) AS centers
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key IN (:source_key, :target_key) AND f.face_id NOT IN (SELECT face_id FROM in_both)
), moved AS (
    UPDATE facerec.:"face" f
    SET person_key = :target_key, is_center = f.content_id = ANY (recomputed.centers)
    FROM recomputed
    WHERE f.collection_id = :collection_id AND f.person_key = :source_key AND f.face_id NOT IN (SELECT face_id FROM in_both)
    RETURNING f.face_id
), marked AS (
    UPDATE facerec.:"face" f
    SET is_center = NOT f.is_center
    FROM recomputed
    WHERE f.collection_id = :collection_id AND f.person_key = :target_key AND f.is_center <> (f.content_id = ANY (recomputed.centers))
), deleted_copies AS (
    DELETE FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key = :source_key AND f.face_id IN (SELECT face_id FROM in_both)
), deleted_source AS (
    DELETE FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_key = :source_key
), tries AS (
    DELETE FROM facerec.failed_try t WHERE t.collection_id = :collection_id AND t.person_key = :source_key RETURNING t.caller, t.full_time
), moved_tries AS (
    INSERT INTO facerec.failed_try AS t (collection_id, person_key, caller, full_time)
    SELECT :collection_id, :target_key, tries.caller, tries.full_time FROM tries
    ON CONFLICT (collection_id, person_key, caller) DO UPDATE
    SET full_time = greatest(t.full_time, excluded.full_time)
), receipt AS (
    INSERT INTO facerec.erasure (collection_id, persons, faces)
    SELECT :collection_id, 1, (SELECT count(*) FROM in_both)
), changed AS (
    UPDATE facerec.:"person" p
    SET update_time = clock_timestamp(),
        centroid = (SELECT recomputed.centroid FROM recomputed),
        suspended = p.suspended OR :suspends::boolean
    WHERE p.collection_id = :collection_id AND p.person_key = :target_key
    RETURNING p.person_id, p.display_name, p.create_time, p.update_time, p.labels, p.metadata, p.suspended
)
SELECT changed.*,
       ARRAY(SELECT face_id FROM moved ORDER BY face_id) AS moved,
       (SELECT count(*) FROM moved) + (
           SELECT count(*) FROM facerec.:"face" f
           WHERE f.collection_id = :collection_id AND f.person_key = :target_key AND f.expire_time > now()
       ) AS faces
FROM changed;
