-- Statements that compare a face to enroll with its person's own, run by the serving role; common conventions:
-- postgres/statements.py.

-- name: nearest_own_face
-- The nearest of the person's faces to :encoding or to the stored face :face_id, one of which is null; no row without any.
-- Faces of :without_face_ids, and those past the retention, which an enrollment erases, are left out. Primary keys of
-- collection and person, face (person_key, content_id) and (face_id).
SELECT own.face_id, own.distance
FROM facerec.collection c
JOIN facerec.:"person" p ON p.collection_id = :collection_id AND p.person_id = :person_id
CROSS JOIN LATERAL (
    SELECT coalesce(:encoding::vector, (
        SELECT f.encoding
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.face_id = :face_id::uuid AND f.expire_time > now()
    )) AS encoding
    OFFSET 0
) probe
CROSS JOIN LATERAL (
    SELECT f.face_id, f.encoding <-> probe.encoding AS distance
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key = p.person_key AND f.expire_time > now()
      AND (f.create_time <= now() - c.retention) IS NOT TRUE
      AND f.face_id <> ALL (:without_face_ids::uuid[])
    ORDER BY distance, f.face_id
    LIMIT 1
) own
WHERE c.collection_id = :collection_id AND own.distance IS NOT NULL;

-- name: find_recent_inconsistency
-- Whether one of the added faces :face_ids of a locked person is inconsistent: :other_distances are to the nearest other
-- person that the search found for each, null for none, and the last :compared_faces enrolled are compared too. Another
-- person counts within :max_distance, and where it is nearer than each face that the person had; with :by_match where none
-- of those is within :max_distance. Primary keys of recent_enrollment, face (face_id) and (person_key, content_id). OFFSET 0
-- makes each a lookup: without statistics of these columns, a join would read all faces.
WITH added AS MATERIALIZED (
    SELECT item.face_id, item.other_distance, f.person_key, f.encoding
    FROM unnest(:face_ids::uuid[], :other_distances::float8[]) AS item(face_id, other_distance)
    CROSS JOIN LATERAL (
        SELECT f.person_key, f.encoding
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.face_id = item.face_id
        OFFSET 0
    ) f
), recent AS MATERIALIZED (
    SELECT f.person_key, f.encoding
    FROM facerec.recent_enrollment r
    CROSS JOIN LATERAL unnest(r.face_ids[cardinality(r.face_ids) - :compared_faces::integer + 1 :]) AS recent(face_id)
    CROSS JOIN LATERAL (
        SELECT f.person_key, f.encoding
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.face_id = recent.face_id AND f.expire_time > now()
        OFFSET 0
    ) f
    WHERE r.collection_id = :collection_id
), compared AS (
    SELECT least(added.other_distance, (
               SELECT min(added.encoding <-> recent.encoding) FROM recent WHERE recent.person_key <> added.person_key
           )) AS other_distance,
           (
               SELECT min(added.encoding <-> f.encoding)
               FROM facerec.:"face" f
               WHERE f.collection_id = :collection_id AND f.person_key = added.person_key AND f.expire_time > now()
                 AND f.face_id <> ALL (:face_ids::uuid[])
           ) AS own_distance
    FROM added
)
SELECT EXISTS (
    SELECT FROM compared
    WHERE compared.other_distance <= :max_distance::float8
      AND compared.own_distance > CASE WHEN :by_match::boolean THEN :max_distance::float8 ELSE compared.other_distance END
) AS inconsistent;
