-- Statements of reviews: pairs of persons who may be one, run by the serving role; what they have in common is in postgres/statements.py.

-- name: begin_review
-- $2 a largest distance or null. What a look for persons enrolled twice goes by; where an index may propose, it is
-- searched with its effort and nothing else is, until the transaction's end. Where none may, each statement is planned
-- for its own bounds, which may be a few people's or everybody's. Primary key of collection.
SELECT coalesce($2::float8, c.duplicate_threshold) AS max_distance,
       NOT c.exact_only AND facerec.use_index(c.index_effort) AS indexed,
       facerec.estimated_rows('face', $1) AS faces,
       CASE WHEN NOT c.exact_only AND c.index_effort IS NOT NULL THEN set_config('enable_seqscan', 'off', true)
            ELSE set_config('plan_cache_mode', 'force_custom_plan', true)
       END AS planned
FROM facerec.collection c
WHERE c.collection_id = $1;

-- name: pick_reviewed
-- $2 the first person's key, $3 most persons. With how many faces each has, those past their time too. Person
-- (person_key), face (person_key, content_id).
SELECT p.person_key,
       (SELECT count(*) FROM facerec.:"face" f WHERE f.collection_id = $1 AND f.person_key = p.person_key) AS faces
FROM facerec.:"person" p
WHERE p.collection_id = $1 AND p.person_key >= $2::bigint AND p.centroid IS NOT NULL
ORDER BY p.person_key
LIMIT $3;

-- name: bound_reviewed
-- $2 a person's key, $3 a number of faces. Whose the last of so many faces of people of larger keys is; no row where
-- there are fewer. Face (person_key, content_id).
SELECT f.person_key
FROM facerec.:"face" f
WHERE f.collection_id = $1 AND f.person_key > $2::bigint
ORDER BY f.person_key
OFFSET $3::bigint - 1
LIMIT 1;

-- name: review_exactly
-- $2 keys of persons, $3 largest distance, $4 whether dismissed pairs count, $5 and $6 the keys of the last pair told,
-- $7 most rows, $8 and $9 the key before the first and that of the last of the others. The next pairs, by their keys:
-- each of the persons with those others of a larger key who have a face that near. Sequential scan of all faces, or of
-- the others' by face (person_key, content_id): once, since OFFSET 0 keeps the few of the persons inside. The hits are
-- a row a pair before they are put in order. Person (person_key).
WITH own AS MATERIALIZED (
    SELECT f.person_key, f.face_id, f.encoding,
           greatest(f.person_key, CASE WHEN f.person_key = $5::bigint THEN $6::bigint END) AS told_key
    FROM facerec.:"face" f
    WHERE f.collection_id = $1 AND f.person_key = ANY ($2::bigint[]) AND f.expire_time > now()
), near AS MATERIALIZED (
    SELECT own.person_key AS low_key, f.person_key AS high_key
    FROM facerec.:"face" f
    CROSS JOIN LATERAL (
        SELECT own.person_key
        FROM own
        WHERE own.told_key < f.person_key AND own.encoding <-> f.encoding <= $3::float8
        OFFSET 0
    ) own
    WHERE f.collection_id = $1 AND f.person_key > $8::bigint AND f.person_key <= $9::bigint AND f.expire_time > now()
    GROUP BY own.person_key, f.person_key
), pair AS MATERIALIZED (
    SELECT near.low_key, near.high_key, d.low_key IS NOT NULL AS dismissed
    FROM near
    LEFT JOIN facerec.dismissed_duplicate d
        ON d.collection_id = $1 AND d.low_key = near.low_key AND d.high_key = near.high_key
    WHERE d.low_key IS NULL OR $4::boolean
    ORDER BY near.low_key, near.high_key
    LIMIT $7
)
SELECT pair.low_key, pair.high_key, a.person_id AS a, b.person_id AS b,
       nearest.low_face, nearest.high_face, nearest.distance, pair.dismissed
FROM pair
CROSS JOIN LATERAL (
    SELECT own.face_id AS low_face, f.face_id AS high_face, own.encoding <-> f.encoding AS distance
    FROM own CROSS JOIN facerec.:"face" f
    WHERE own.person_key = pair.low_key
      AND f.collection_id = $1 AND f.person_key = pair.high_key AND f.expire_time > now()
    ORDER BY distance, own.face_id, f.face_id
    LIMIT 1
) nearest
JOIN facerec.:"person" a ON a.collection_id = $1 AND a.person_key = pair.low_key
JOIN facerec.:"person" b ON b.collection_id = $1 AND b.person_key = pair.high_key
ORDER BY pair.low_key, pair.high_key;

-- name: review_by_index
-- As review_exactly but for $8 and $9, of the 50 whom either index proposes for each center of a person. The indexes on
-- half of the dimensions of means and of centers; face (person_key, content_id), person (person_key).
WITH own AS MATERIALIZED (
    SELECT c.person_key, c.center,
           greatest(c.person_key, CASE WHEN c.person_key = $5::bigint THEN $6::bigint END) AS told_key
    FROM (
        SELECT p.person_key, p.centroid AS center
        FROM facerec.:"person" p
        WHERE p.collection_id = $1 AND p.person_key = ANY ($2::bigint[])
        UNION ALL
        SELECT f.person_key, f.encoding
        FROM facerec.:"face" f
        WHERE f.collection_id = $1 AND f.person_key = ANY ($2::bigint[]) AND f.is_center
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
    WHERE other.person_key > own.told_key
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
    WHERE other.person_key > own.told_key
), pair AS MATERIALIZED (
    SELECT proposed.low_key, proposed.high_key, d.low_key IS NOT NULL AS dismissed,
           nearest.low_face, nearest.high_face, nearest.distance
    FROM proposed
    LEFT JOIN facerec.dismissed_duplicate d
        ON d.collection_id = $1 AND d.low_key = proposed.low_key AND d.high_key = proposed.high_key
    CROSS JOIN LATERAL (
        SELECT low.face_id AS low_face, high.face_id AS high_face, low.encoding <-> high.encoding AS distance
        FROM facerec.:"face" low CROSS JOIN facerec.:"face" high
        WHERE low.collection_id = $1 AND low.person_key = proposed.low_key AND low.expire_time > now()
          AND high.collection_id = $1 AND high.person_key = proposed.high_key AND high.expire_time > now()
        ORDER BY distance, low.face_id, high.face_id
        LIMIT 1
    ) nearest
    WHERE nearest.distance <= $3::float8 AND (d.low_key IS NULL OR $4::boolean)
    ORDER BY proposed.low_key, proposed.high_key
    LIMIT $7
)
SELECT pair.low_key, pair.high_key, a.person_id AS a, b.person_id AS b,
       pair.low_face, pair.high_face, pair.distance, pair.dismissed
FROM pair
JOIN facerec.:"person" a ON a.collection_id = $1 AND a.person_key = pair.low_key
JOIN facerec.:"person" b ON b.collection_id = $1 AND b.person_key = pair.high_key
ORDER BY pair.low_key, pair.high_key;

-- name: dismiss_duplicate
-- $2 and $3 keys of locked persons. A row where it is new. Primary key.
INSERT INTO facerec.dismissed_duplicate (collection_id, low_key, high_key)
VALUES ($1, least($2::bigint, $3::bigint), greatest($2::bigint, $3::bigint))
ON CONFLICT DO NOTHING
RETURNING true;

-- name: restore_duplicate
-- $2 and $3 keys of locked persons. A row where it was dismissed. Primary key.
DELETE FROM facerec.dismissed_duplicate
WHERE collection_id = $1 AND low_key = least($2::bigint, $3::bigint) AND high_key = greatest($2::bigint, $3::bigint)
RETURNING true;
