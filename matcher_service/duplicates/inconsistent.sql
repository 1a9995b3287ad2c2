-- Statements that list inconsistent faces, run by the serving role; common conventions: postgres/statements.py.

-- name: get_reviewed_person
-- The verify threshold, and the key of :person_id, null if nobody has it. Primary keys of collection and person.
SELECT c.verify_threshold, p.person_key
FROM facerec.collection c
LEFT JOIN facerec.:"person" p ON p.collection_id = :collection_id AND p.person_id = :person_id
WHERE c.collection_id = :collection_id;

-- name: pick_faces
-- The next faces after :after_face_id of the person :first_key, of persons up to :last_key, expired ones included. Face
-- (person_key, content_id), in its order by persons, of which each is sorted by face ids.
SELECT f.person_key, f.face_id
FROM facerec.:"face" f
WHERE f.collection_id = :collection_id
  AND f.person_key >= :first_key::bigint AND f.person_key <= :last_key::bigint
  AND (f.person_key > :first_key::bigint OR f.face_id > :after_face_id::uuid)
ORDER BY f.person_key, f.face_id
LIMIT :max_faces;

-- name: check_exactly
-- The inconsistent ones of the faces :face_ids, in the order of persons' keys and face ids: those with a face of somebody
-- else's within :max_distance and nearer than each other face of their person. own_within counts those of own_faces, the
-- person's other faces, that are within :near_distance, and other_within those of the other person's other faces that are
-- so near to the other face. Persons dismissed as different from the face's are left out. Face
-- (face_id) and (person_key, content_id); one sequential scan of all faces: OFFSET 0 keeps the few in the inner loop, and
-- an array of distance and key has the least of both without sorting. Person (person_key), one by one.
WITH item AS MATERIALIZED (
    SELECT f.person_key, f.face_id, f.encoding,
           own.face_id AS own_face_id, own.distance AS own_distance, counts.own_faces, counts.own_within
    FROM unnest(:face_ids::uuid[]) AS i(face_id)
    CROSS JOIN LATERAL (
        SELECT f.person_key, f.face_id, f.encoding
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.face_id = i.face_id AND f.expire_time > now()
        OFFSET 0
    ) f
    CROSS JOIN LATERAL (
        SELECT o.face_id, o.encoding <-> f.encoding AS distance
        FROM facerec.:"face" o
        WHERE o.collection_id = :collection_id AND o.person_key = f.person_key AND o.face_id <> f.face_id AND o.expire_time > now()
        ORDER BY distance, o.face_id
        LIMIT 1
    ) own
    CROSS JOIN LATERAL (
        SELECT count(*) AS own_faces, count(*) FILTER (WHERE o.encoding <-> f.encoding <= :near_distance::float8) AS own_within
        FROM facerec.:"face" o
        WHERE o.collection_id = :collection_id AND o.person_key = f.person_key AND o.face_id <> f.face_id AND o.expire_time > now()
    ) counts
), nearest AS MATERIALIZED (
    SELECT near.face_id, min(ARRAY[near.distance, f.person_key::float8]) AS other
    FROM facerec.:"face" f
    CROSS JOIN LATERAL (
        SELECT item.face_id, item.person_key, item.encoding <-> f.encoding AS distance
        FROM item
        WHERE item.person_key <> f.person_key
          AND item.encoding <-> f.encoding <= :max_distance::float8 AND item.encoding <-> f.encoding < item.own_distance
        OFFSET 0
    ) near
    LEFT JOIN facerec.dismissed_duplicate d
        ON d.collection_id = :collection_id
        AND d.low_key = least(f.person_key, near.person_key) AND d.high_key = greatest(f.person_key, near.person_key)
    WHERE f.collection_id = :collection_id AND f.expire_time > now() AND d.low_key IS NULL
    GROUP BY near.face_id
)
SELECT item.person_key, item.face_id, a.person_id, item.own_face_id, item.own_distance, item.own_faces, item.own_within,
       others.other_faces, others.other_within, b.person_id AS other_person_id, o.face_id AS other_face_id, o.distance AS other_distance
FROM nearest
JOIN item USING (face_id)
CROSS JOIN LATERAL (
    SELECT f.face_id, f.encoding, f.encoding <-> item.encoding AS distance
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key = nearest.other[2]::bigint AND f.expire_time > now()
    ORDER BY distance, f.face_id
    LIMIT 1
) o
CROSS JOIN LATERAL (
    SELECT count(*) AS other_faces, count(*) FILTER (WHERE g.encoding <-> o.encoding <= :near_distance::float8) AS other_within
    FROM facerec.:"face" g
    WHERE g.collection_id = :collection_id AND g.person_key = nearest.other[2]::bigint AND g.face_id <> o.face_id AND g.expire_time > now()
) others
CROSS JOIN LATERAL (
    SELECT p.person_id FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_key = item.person_key OFFSET 0
) a
CROSS JOIN LATERAL (
    SELECT p.person_id FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_key = nearest.other[2]::bigint OFFSET 0
) b
ORDER BY item.person_key, item.face_id;

-- name: check_by_index
-- As check_exactly, among the 50 persons whom each index proposes for each face. The indexes on half of the dimensions of
-- means and of centers; face (face_id) and (person_key, content_id), person (person_key).
WITH item AS MATERIALIZED (
    SELECT f.person_key, f.face_id, f.encoding,
           own.face_id AS own_face_id, own.distance AS own_distance, counts.own_faces, counts.own_within
    FROM unnest(:face_ids::uuid[]) AS i(face_id)
    CROSS JOIN LATERAL (
        SELECT f.person_key, f.face_id, f.encoding
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.face_id = i.face_id AND f.expire_time > now()
        OFFSET 0
    ) f
    CROSS JOIN LATERAL (
        SELECT o.face_id, o.encoding <-> f.encoding AS distance
        FROM facerec.:"face" o
        WHERE o.collection_id = :collection_id AND o.person_key = f.person_key AND o.face_id <> f.face_id AND o.expire_time > now()
        ORDER BY distance, o.face_id
        LIMIT 1
    ) own
    CROSS JOIN LATERAL (
        SELECT count(*) AS own_faces, count(*) FILTER (WHERE o.encoding <-> f.encoding <= :near_distance::float8) AS own_within
        FROM facerec.:"face" o
        WHERE o.collection_id = :collection_id AND o.person_key = f.person_key AND o.face_id <> f.face_id AND o.expire_time > now()
    ) counts
), proposed AS MATERIALIZED (
    SELECT item.face_id, other.person_key
    FROM item
    CROSS JOIN LATERAL (
        SELECT p.person_key
        FROM facerec.:"person" p
        ORDER BY subvector(p.centroid, 1, 64)::halfvec(64) <-> subvector(item.encoding, 1, 64)::halfvec(64)
        LIMIT 50
    ) other
    UNION
    SELECT item.face_id, other.person_key
    FROM item
    CROSS JOIN LATERAL (
        SELECT f.person_key
        FROM facerec.:"face" f
        WHERE f.is_center
        ORDER BY subvector(f.encoding, 1, 64)::halfvec(64) <-> subvector(item.encoding, 1, 64)::halfvec(64)
        LIMIT 50
    ) other
), nearest AS MATERIALIZED (
    SELECT DISTINCT ON (item.face_id) item.face_id, near.person_key, near.face_id AS other_face_id, near.encoding, near.distance
    FROM item
    JOIN proposed USING (face_id)
    CROSS JOIN LATERAL (
        SELECT f.person_key, f.face_id, f.encoding, f.encoding <-> item.encoding AS distance
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.person_key = proposed.person_key AND f.expire_time > now()
        ORDER BY distance, f.face_id
        LIMIT 1
    ) near
    LEFT JOIN facerec.dismissed_duplicate d
        ON d.collection_id = :collection_id
        AND d.low_key = least(near.person_key, item.person_key) AND d.high_key = greatest(near.person_key, item.person_key)
    WHERE proposed.person_key <> item.person_key AND d.low_key IS NULL
      AND near.distance <= :max_distance::float8 AND near.distance < item.own_distance
    ORDER BY item.face_id, near.distance, near.person_key
)
SELECT item.person_key, item.face_id, a.person_id, item.own_face_id, item.own_distance, item.own_faces, item.own_within,
       others.other_faces, others.other_within, b.person_id AS other_person_id, nearest.other_face_id, nearest.distance AS other_distance
FROM nearest
JOIN item USING (face_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS other_faces, count(*) FILTER (WHERE g.encoding <-> nearest.encoding <= :near_distance::float8) AS other_within
    FROM facerec.:"face" g
    WHERE g.collection_id = :collection_id AND g.person_key = nearest.person_key AND g.face_id <> nearest.other_face_id
      AND g.expire_time > now()
) others
CROSS JOIN LATERAL (
    SELECT p.person_id FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_key = item.person_key OFFSET 0
) a
CROSS JOIN LATERAL (
    SELECT p.person_id FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_key = nearest.person_key OFFSET 0
) b
ORDER BY item.person_key, item.face_id;
