-- Statements that list likely duplicate pairs, run by the serving role; common conventions: postgres/statements.py.

-- name: begin_review
-- :max_distance may be null for the collection's duplicate threshold. Reads the settings of a listing and sets up the
-- transaction: with an index, searches read index_effort lists of it and use no sequential scan; without one, each
-- statement is planned for its own bounds, which may be of few people or of all. Primary key of collection.
SELECT coalesce(:max_distance::float8, c.duplicate_threshold) AS max_distance,
       NOT c.exact_only AND facerec.use_index(c.index_effort) AS indexed,
       facerec.estimated_rows('face', :collection_id) AS faces,
       CASE WHEN NOT c.exact_only AND c.index_effort IS NOT NULL THEN set_config('enable_seqscan', 'off', true)
            ELSE set_config('plan_cache_mode', 'force_custom_plan', true)
       END AS planner_setting
FROM facerec.collection c
WHERE c.collection_id = :collection_id;

-- name: pick_reviewed
-- The next persons from :first_key on, with the number of their faces, expired ones included. Person (person_key), face
-- (person_key, content_id).
SELECT p.person_key,
       (SELECT count(*) FROM facerec.:"face" f WHERE f.collection_id = :collection_id AND f.person_key = p.person_key) AS faces
FROM facerec.:"person" p
WHERE p.collection_id = :collection_id AND p.person_key >= :first_key::bigint AND p.centroid IS NOT NULL
ORDER BY p.person_key
LIMIT :max_persons;

-- name: bound_reviewed
-- The key of the person who has the last of the next :faces faces of persons with keys above :after_key; no row if there
-- are fewer faces. Face (person_key, content_id).
SELECT f.person_key
FROM facerec.:"face" f
WHERE f.collection_id = :collection_id AND f.person_key > :after_key::bigint
ORDER BY f.person_key
OFFSET :faces::bigint - 1
LIMIT 1;

-- name: review_exactly
-- The next pairs by their keys: each of :person_keys with persons of a larger key, from after :after_key to :until_key,
-- who have a face within :max_distance. :include_dismissed also lists dismissed pairs; :last_low_key and :last_high_key
-- are the keys of the last pair returned. One sequential scan of all faces, or of the other persons' by face (person_key,
-- content_id): OFFSET 0 keeps the few :person_keys in the inner loop. Grouped to one row per pair before sorting. Person
-- (person_key).
WITH own AS MATERIALIZED (
    SELECT f.person_key, f.face_id, f.encoding,
           greatest(f.person_key, CASE WHEN f.person_key = :last_low_key::bigint THEN :last_high_key::bigint END) AS after_own_key
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key = ANY (:person_keys::bigint[]) AND f.expire_time > now()
), near AS MATERIALIZED (
    SELECT own.person_key AS low_key, f.person_key AS high_key
    FROM facerec.:"face" f
    CROSS JOIN LATERAL (
        SELECT own.person_key
        FROM own
        WHERE own.after_own_key < f.person_key AND own.encoding <-> f.encoding <= :max_distance::float8
        OFFSET 0
    ) own
    WHERE f.collection_id = :collection_id AND f.person_key > :after_key::bigint AND f.person_key <= :until_key::bigint AND f.expire_time > now()
    GROUP BY own.person_key, f.person_key
), pair AS MATERIALIZED (
    SELECT near.low_key, near.high_key, d.low_key IS NOT NULL AS dismissed
    FROM near
    LEFT JOIN facerec.dismissed_duplicate d
        ON d.collection_id = :collection_id AND d.low_key = near.low_key AND d.high_key = near.high_key
    WHERE d.low_key IS NULL OR :include_dismissed::boolean
    ORDER BY near.low_key, near.high_key
    LIMIT :max_rows
)
SELECT pair.low_key, pair.high_key, a.person_id AS a, b.person_id AS b,
       nearest.low_face, nearest.high_face, nearest.distance, pair.dismissed
FROM pair
CROSS JOIN LATERAL (
    SELECT own.face_id AS low_face, f.face_id AS high_face, own.encoding <-> f.encoding AS distance
    FROM own CROSS JOIN facerec.:"face" f
    WHERE own.person_key = pair.low_key
      AND f.collection_id = :collection_id AND f.person_key = pair.high_key AND f.expire_time > now()
    ORDER BY distance, own.face_id, f.face_id
    LIMIT 1
) nearest
JOIN facerec.:"person" a ON a.collection_id = :collection_id AND a.person_key = pair.low_key
JOIN facerec.:"person" b ON b.collection_id = :collection_id AND b.person_key = pair.high_key
ORDER BY pair.low_key, pair.high_key;

-- name: review_by_index
-- As review_exactly, without :after_key and :until_key, among the 50 persons whom each index proposes for each center of
-- a person. The indexes on half of the dimensions of means and of centers; face (person_key, content_id), person
-- (person_key), one by one.
WITH own AS MATERIALIZED (
    SELECT c.person_key, c.center,
           greatest(c.person_key, CASE WHEN c.person_key = :last_low_key::bigint THEN :last_high_key::bigint END) AS after_own_key
    FROM (
        SELECT p.person_key, p.centroid AS center
        FROM facerec.:"person" p
        WHERE p.collection_id = :collection_id AND p.person_key = ANY (:person_keys::bigint[])
        UNION ALL
        SELECT f.person_key, f.encoding
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.person_key = ANY (:person_keys::bigint[]) AND f.is_center
    ) c
), proposed AS MATERIALIZED (
    SELECT own.person_key AS low_key, other.person_key AS high_key
    FROM own
    CROSS JOIN LATERAL (
        SELECT p.person_key
        FROM facerec.:"person" p
        ORDER BY subvector(p.centroid, 1, 64)::halfvec(64) <-> subvector(own.center, 1, 64)::halfvec(64)
        LIMIT 50
    ) other
    WHERE other.person_key > own.after_own_key
    UNION
    SELECT own.person_key, other.person_key
    FROM own
    CROSS JOIN LATERAL (
        SELECT f.person_key
        FROM facerec.:"face" f
        WHERE f.is_center
        ORDER BY subvector(f.encoding, 1, 64)::halfvec(64) <-> subvector(own.center, 1, 64)::halfvec(64)
        LIMIT 50
    ) other
    WHERE other.person_key > own.after_own_key
), pair AS MATERIALIZED (
    SELECT proposed.low_key, proposed.high_key, d.low_key IS NOT NULL AS dismissed,
           nearest.low_face, nearest.high_face, nearest.distance
    FROM proposed
    LEFT JOIN facerec.dismissed_duplicate d
        ON d.collection_id = :collection_id AND d.low_key = proposed.low_key AND d.high_key = proposed.high_key
    CROSS JOIN LATERAL (
        SELECT low.face_id AS low_face, high.face_id AS high_face, low.encoding <-> high.encoding AS distance
        FROM facerec.:"face" low CROSS JOIN facerec.:"face" high
        WHERE low.collection_id = :collection_id AND low.person_key = proposed.low_key AND low.expire_time > now()
          AND high.collection_id = :collection_id AND high.person_key = proposed.high_key AND high.expire_time > now()
        ORDER BY distance, low.face_id, high.face_id
        LIMIT 1
    ) nearest
    WHERE nearest.distance <= :max_distance::float8 AND (d.low_key IS NULL OR :include_dismissed::boolean)
    ORDER BY proposed.low_key, proposed.high_key
    LIMIT :max_rows
)
SELECT pair.low_key, pair.high_key, a.person_id AS a, b.person_id AS b,
       pair.low_face, pair.high_face, pair.distance, pair.dismissed
FROM pair
CROSS JOIN LATERAL (
    SELECT p.person_id FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_key = pair.low_key OFFSET 0
) a
CROSS JOIN LATERAL (
    SELECT p.person_id FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_key = pair.high_key OFFSET 0
) b
ORDER BY pair.low_key, pair.high_key;

-- name: lock_pair
-- Locks both persons until the transaction ends, in the order of lock_merged_persons. One row if the collection exists,
-- with null for a person who does not. Primary keys of collection and person.
WITH locked AS MATERIALIZED (
    SELECT p.person_id, p.person_key
    FROM facerec.:"person" p
    WHERE p.collection_id = :collection_id AND p.person_id IN (:person_id_a, :person_id_b)
    ORDER BY p.person_id
    FOR UPDATE
)
SELECT a.person_key AS key_a, b.person_key AS key_b
FROM facerec.collection c
LEFT JOIN locked a ON a.person_id = :person_id_a
LEFT JOIN locked b ON b.person_id = :person_id_b
WHERE c.collection_id = :collection_id;

-- name: dismiss_duplicate
-- :key_a and :key_b are keys of locked persons. One row if the dismissal is new. Primary key.
INSERT INTO facerec.dismissed_duplicate (collection_id, low_key, high_key)
VALUES (:collection_id, least(:key_a::bigint, :key_b::bigint), greatest(:key_a::bigint, :key_b::bigint))
ON CONFLICT DO NOTHING
RETURNING true;

-- name: restore_duplicate
-- :key_a and :key_b are keys of locked persons. One row if the pair was dismissed. Primary key.
DELETE FROM facerec.dismissed_duplicate
WHERE collection_id = :collection_id AND low_key = least(:key_a::bigint, :key_b::bigint) AND high_key = greatest(:key_a::bigint, :key_b::bigint)
RETURNING true;
