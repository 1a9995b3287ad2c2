-- Statements that move faces between people and change people's ids, run by the serving role; common conventions:
-- postgres/statements.py.

-- name: add_person
-- Adds a person, and locks them until the transaction ends; no row if the id is taken, of which a person that is being
-- added counts once they are there. Primary key.
INSERT INTO facerec.:"person" (collection_id, person_id)
VALUES (:collection_id, :person_id)
ON CONFLICT DO NOTHING
RETURNING person_key;

-- name: lock_moved_persons
-- Locks the target and the owners of the faces, in the order of their ids by code points, until the transaction ends. A row
-- for each. Face (face_id), one by one: without statistics of the ids a long list would read all faces; person (person_key),
-- primary key of person.
SELECT p.person_id, p.person_key, p.suspended, coalesce(p.kept_tag, facerec.audit_tag(p.audit_key, p.person_id)) AS person_tag
FROM facerec.:"person" p
WHERE p.collection_id = :collection_id
  AND (p.person_id = :target_id OR p.person_key = ANY (ARRAY(
      SELECT f.person_key
      FROM unnest(:face_ids::uuid[]) AS i(face_id)
      CROSS JOIN LATERAL (
          SELECT f.person_key
          FROM facerec.:"face" f
          WHERE f.collection_id = :collection_id AND f.face_id = i.face_id AND f.expire_time > now()
          OFFSET 0
      ) f
  )))
ORDER BY p.person_id
FOR UPDATE;

-- name: owners_of_faces
-- The owner of each face that exists. Face (face_id), one by one.
SELECT i.face_id, f.person_key
FROM unnest(:face_ids::uuid[]) AS i(face_id)
CROSS JOIN LATERAL (
    SELECT f.person_key
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.face_id = i.face_id AND f.expire_time > now()
    OFFSET 0
) f;

-- name: move_faces
-- Moves faces of the locked persons :person_keys, of whom :target_key gets them. Of copies of one photo or encoding one is
-- kept: the target's, else the first enrolled. Face (face_id) and (person_key, content_id), person (person_key).
WITH chosen AS MATERIALIZED (
    SELECT f.face_id, f.content_id,
           row_number() OVER (PARTITION BY f.content_id ORDER BY f.create_time, f.face_id) AS copy
    FROM (SELECT DISTINCT unnest(:face_ids::uuid[]) AS face_id) i
    CROSS JOIN LATERAL (
        SELECT f.face_id, f.content_id, f.create_time, f.person_key
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.face_id = i.face_id
        OFFSET 0
    ) f
    WHERE f.person_key <> :target_key
), copied AS MATERIALIZED (
    SELECT chosen.face_id
    FROM chosen
    WHERE chosen.copy > 1 OR EXISTS (
        SELECT FROM facerec.:"face" t
        WHERE t.collection_id = :collection_id AND t.person_key = :target_key AND t.content_id = chosen.content_id
    )
), recomputed AS MATERIALIZED (
    SELECT every.person_key,
           avg(every.encoding) AS centroid,
           facerec.pick_centers(array_agg(every.content_id), array_agg(every.encoding)) AS centers
    FROM (
        SELECT CASE WHEN f.face_id IN (SELECT face_id FROM chosen) THEN :target_key ELSE f.person_key END AS person_key,
               f.content_id, f.encoding
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.person_key = ANY (:person_keys::bigint[])
          AND f.face_id NOT IN (SELECT face_id FROM copied)
    ) every
    GROUP BY every.person_key
), moved AS (
    UPDATE facerec.:"face" f
    SET person_key = :target_key, is_center = f.content_id = ANY (recomputed.centers)
    FROM recomputed
    WHERE f.collection_id = :collection_id AND recomputed.person_key = :target_key
      AND f.face_id IN (SELECT face_id FROM chosen) AND f.face_id NOT IN (SELECT face_id FROM copied)
    RETURNING 1
), marked AS (
    UPDATE facerec.:"face" f
    SET is_center = NOT f.is_center
    FROM recomputed
    WHERE f.collection_id = :collection_id AND f.person_key = ANY (:person_keys::bigint[])
      AND f.person_key = recomputed.person_key AND f.face_id NOT IN (SELECT face_id FROM chosen)
      AND f.is_center <> (f.content_id = ANY (recomputed.centers))
), deleted AS (
    DELETE FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.face_id IN (SELECT face_id FROM copied)
    RETURNING 1
), receipt AS (
    INSERT INTO facerec.erasure (collection_id, persons, faces)
    SELECT :collection_id, 0, (SELECT count(*) FROM deleted)
    WHERE EXISTS (SELECT FROM deleted)
), changed AS (
    UPDATE facerec.:"person" p
    SET update_time = clock_timestamp(),
        centroid = (SELECT recomputed.centroid FROM recomputed WHERE recomputed.person_key = p.person_key)
    WHERE p.collection_id = :collection_id AND p.person_key = ANY (:person_keys::bigint[]) AND EXISTS (SELECT FROM chosen)
    RETURNING p.person_key
)
SELECT (SELECT count(*) FROM moved) AS moved,
       (SELECT count(*) FROM deleted) AS copies,
       (SELECT count(*) FROM moved) + (
           SELECT count(*) FROM facerec.:"face" f
           WHERE f.collection_id = :collection_id AND f.person_key = :target_key AND f.expire_time > now()
       ) AS faces,
       (SELECT count(*) FROM changed) AS persons;

-- name: suspend_person
-- :person_key is of a locked person. Person (person_key).
UPDATE facerec.:"person" SET suspended = true WHERE collection_id = :collection_id AND person_key = :person_key;

-- name: delete_placeholder
-- Removes the row that add_person added. Person (person_key).
DELETE FROM facerec.:"person" WHERE collection_id = :collection_id AND person_key = :person_key;

-- name: rename_person
-- :person_key is of a locked person; nobody has the new id, and the transaction keeps others from taking it. The tag of the
-- person's audit events stays. Person (person_key), face (person_key, content_id).
UPDATE facerec.:"person" p
SET person_id = :person_id,
    kept_tag = coalesce(p.kept_tag, facerec.audit_tag(p.audit_key, p.person_id)),
    update_time = clock_timestamp()
WHERE p.collection_id = :collection_id AND p.person_key = :person_key
RETURNING p.person_id, p.display_name, p.create_time, p.update_time, p.labels, p.metadata, p.suspended, p.kept_tag AS person_tag,
          (SELECT count(*) FROM facerec.:"face" f
           WHERE f.collection_id = :collection_id AND f.person_key = p.person_key AND f.expire_time > now()) AS faces;

-- name: get_persons
-- One row for each person asked for who exists. Primary keys of collection and person, one by one as in lock_persons, face
-- (person_key, content_id).
SELECT p.person_id, p.display_name, p.create_time, p.update_time, p.labels, p.metadata, p.suspended,
       (SELECT count(*) FROM facerec.:"face" f WHERE f.collection_id = :collection_id AND f.person_key = p.person_key
          AND f.expire_time > now()) AS faces
FROM facerec.collection c
LEFT JOIN (
    unnest(:person_ids::text[]) AS i(person_id)
    CROSS JOIN LATERAL (
        SELECT p.* FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_id = i.person_id OFFSET 0
    ) p
) ON true
WHERE c.collection_id = :collection_id;
