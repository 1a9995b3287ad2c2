-- Statements of exact scans, run by the serving role; common conventions: postgres/statements.py.

-- name: begin_scan
-- The probes of a scan: :face_ids has the id of a stored face for each probe that is one, else null, and :encodings the
-- probes' vectors, concatenated. Returns a row per probe, in order: the stored face's vector, the probe's sketch while
-- sketches are complete and kept by triggers, the collection, and the numbers of blocks to scan. The tables that it reads
-- are not rewritten until the transaction ends, and its statements have generic plans, which saves each step some 0.4 ms.
-- suspended_faces counts the faces of the first 1,000 suspended persons. Primary key of collection; face (face_id); all of
-- rotation; person (person_key) WHERE suspended, face (person_key, content_id).
SELECT c.space,
       c.identify_threshold,
       c.calibration_id,
       CASE WHEN sketched.use THEN c.sketch_max_distance END AS sketch_max_distance,
       facerec.estimated_rows('face', :collection_id) AS collection_faces,
       (
           SELECT count(*)
           FROM facerec.:"face" f
           WHERE f.collection_id = :collection_id AND f.person_key = ANY (ARRAY(
               SELECT p.person_key FROM facerec.:"person" p WHERE p.suspended LIMIT 1000
           ))
       ) AS suspended_faces,
       pg_relation_size('facerec.:"face"') / current_setting('block_size')::bigint AS face_blocks,
       pg_relation_size('facerec.:"sketch"') / current_setting('block_size')::bigint AS sketch_blocks,
       set_config('plan_cache_mode', 'force_generic_plan', true) AS plans,
       CASE WHEN probe.face_id IS NOT NULL THEN target.encoding END AS encoding,
       CASE
           WHEN sketched.use AND target.encoding IS NOT NULL
               THEN ARRAY(SELECT -(r.axis <#> target.encoding) FROM facerec.:"rotation" r ORDER BY r.number)::vector
       END AS sketch
FROM facerec.collection c
CROSS JOIN unnest(:face_ids::uuid[]) WITH ORDINALITY AS probe(face_id, number)
CROSS JOIN LATERAL (
    SELECT CASE
               WHEN probe.face_id IS NULL THEN subvector(:encodings::vector, (128 * (probe.number - 1) + 1)::integer, 128)
               ELSE (
                   SELECT f.encoding
                   FROM facerec.:"face" f
                   WHERE f.collection_id = :collection_id AND f.face_id = probe.face_id AND f.expire_time > now()
               )
           END AS encoding
    OFFSET 0
) target
CROSS JOIN LATERAL (
    SELECT c.sketch_max_distance >= 0 AND facerec.has_sketch_triggers(:collection_id) AS use OFFSET 0
) sketched
LEFT JOIN LATERAL (SELECT FROM facerec.:"sketch" s LIMIT 1) locked ON true
WHERE c.collection_id = :collection_id
ORDER BY probe.number;

-- name: scan_faces
-- Compares the rows from :first_row to before :end_row with each probe {n}, of vector :encoding_{n} and :max_distance_{n},
-- both null for an unused probe; without :first_row and :end_row all rows, with parallel workers if enabled. Returns a row
-- per probe and person within the distance: the probe's number and the person's nearest face, of the :max_persons nearest
-- persons, or where :by_ids is true for the probe of the first persons by id; of persons with the labels that
-- :labels_paths demands for the probe, if that is not null; of those who are not suspended, unless :with_suspended has
-- true for the probe; and not of the probe's person in :left_out_keys, if that is not null.
--
-- near: sequential scan of all faces, or TID range scan, which reads only these blocks. It is intended: the result is
-- exact, and no index on vectors can give it. Comparing in the condition costs a quarter less than an aggregate that also
-- counts the faces. Person (person_key) WHERE suspended; with :by_ids or :labels_paths person (person_key).
WITH near AS MATERIALIZED (
    SELECT f.person_key, f.face_id, f.encoding
    FROM facerec.:"face" f
    WHERE (
        false
        OR f.encoding <-> :encoding_{n}::vector <= :max_distance_{n}::float8
    )
      AND f.expire_time > now()
      AND f.ctid >= :first_row::tid AND f.ctid < :end_row::tid
), hit AS (
    SELECT probe.number, near.person_key, near.face_id, near.encoding <-> probe.encoding AS distance
    FROM (
        VALUES (0, NULL::vector, NULL::float8)
        , ({n}, :encoding_{n}::vector, :max_distance_{n}::float8)
    ) AS probe(number, encoding, max_distance)
    JOIN near ON near.encoding <-> probe.encoding <= probe.max_distance
), nearest AS (
    SELECT DISTINCT ON (hit.number, hit.person_key) hit.number, hit.person_key, hit.face_id, hit.distance
    FROM hit
    ORDER BY hit.number, hit.person_key, hit.distance, hit.face_id
), ranked AS (
    SELECT nearest.*,
           rank() OVER (
               PARTITION BY nearest.number
               ORDER BY CASE
                            WHEN (:by_ids::boolean[])[nearest.number] THEN (
                                SELECT p.person_id
                                FROM facerec.:"person" p
                                WHERE p.collection_id = :collection_id AND p.person_key = nearest.person_key
                            )
                        END,
                        CASE WHEN NOT (:by_ids::boolean[])[nearest.number] THEN nearest.distance END
           ) AS rank
    FROM nearest
    WHERE nearest.person_key IS DISTINCT FROM (:left_out_keys::bigint[])[nearest.number]
      AND (
          SELECT NOT (:with_suspended::boolean[])[nearest.number]
          FROM facerec.:"person" p
          WHERE p.collection_id = :collection_id AND p.person_key = nearest.person_key AND p.suspended
      ) IS NOT TRUE
      AND (
          (:labels_paths::text[])[nearest.number] IS NULL
          OR (
              SELECT p.labels @@ ((:labels_paths::text[])[nearest.number])::jsonpath
              FROM facerec.:"person" p
              WHERE p.collection_id = :collection_id AND p.person_key = nearest.person_key
          )
      )
)
SELECT ranked.number, ranked.person_key, ranked.face_id, ranked.distance
FROM ranked
WHERE ranked.rank <= :max_persons::bigint;

-- name: scan_sketches
-- As scan_faces, for probes whose distance sketches decide: compares the sketches from :first_row to before :end_row with
-- the probe's :sketch_{n}, and the faces of persons with one within :max_sketch_distance_{n}, squared, as scan_faces does.
--
-- near: sequential scan of all sketches, or TID range scan. The few persons that are left are looked up one by one (OFFSET
-- 0): as a join, 16 probes cost five times as much. Sketches of probes are converted once, as scalar subqueries. Face
-- (person_key, content_id), person (person_key) WHERE suspended; with :by_ids or :labels_paths person (person_key).
WITH near AS MATERIALIZED (
    SELECT s.person_key, s.sketch
    FROM facerec.:"sketch" s
    WHERE (
        s.sketch IS NULL
        OR halfvec_l2_squared_distance(s.sketch, (SELECT :sketch_{n}::vector::halfvec)) <= :max_sketch_distance_{n}::float8
    )
      AND s.ctid >= :first_row::tid AND s.ctid < :end_row::tid
), probe AS MATERIALIZED (
    SELECT *
    FROM (
        VALUES (0, NULL::halfvec, NULL::float8, NULL::vector, NULL::float8)
        , ({n}, :sketch_{n}::vector::halfvec, :max_sketch_distance_{n}::float8, :encoding_{n}::vector, :max_distance_{n}::float8)
    ) AS probe(number, sketch, max_sketch_distance, encoding, max_distance)
), hit AS (
    SELECT probe.number, f.person_key, f.face_id, f.distance
    FROM (
        SELECT DISTINCT probe.number, near.person_key
        FROM near
        JOIN probe ON halfvec_l2_squared_distance(near.sketch, probe.sketch) <= probe.max_sketch_distance
                   OR near.sketch IS NULL AND probe.encoding IS NOT NULL
    ) left_over
    JOIN probe USING (number)
    CROSS JOIN LATERAL (
        SELECT f.person_key, f.face_id, f.encoding <-> probe.encoding AS distance
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.person_key = left_over.person_key AND f.expire_time > now()
        OFFSET 0
    ) f
    WHERE f.distance <= probe.max_distance
), nearest AS (
    SELECT DISTINCT ON (hit.number, hit.person_key) hit.number, hit.person_key, hit.face_id, hit.distance
    FROM hit
    ORDER BY hit.number, hit.person_key, hit.distance, hit.face_id
), ranked AS (
    SELECT nearest.*,
           rank() OVER (
               PARTITION BY nearest.number
               ORDER BY CASE
                            WHEN (:by_ids::boolean[])[nearest.number] THEN (
                                SELECT p.person_id
                                FROM facerec.:"person" p
                                WHERE p.collection_id = :collection_id AND p.person_key = nearest.person_key
                            )
                        END,
                        CASE WHEN NOT (:by_ids::boolean[])[nearest.number] THEN nearest.distance END
           ) AS rank
    FROM nearest
    WHERE nearest.person_key IS DISTINCT FROM (:left_out_keys::bigint[])[nearest.number]
      AND (
          SELECT NOT (:with_suspended::boolean[])[nearest.number]
          FROM facerec.:"person" p
          WHERE p.collection_id = :collection_id AND p.person_key = nearest.person_key AND p.suspended
      ) IS NOT TRUE
      AND (
          (:labels_paths::text[])[nearest.number] IS NULL
          OR (
              SELECT p.labels @@ ((:labels_paths::text[])[nearest.number])::jsonpath
              FROM facerec.:"person" p
              WHERE p.collection_id = :collection_id AND p.person_key = nearest.person_key
          )
      )
)
SELECT ranked.number, ranked.person_key, ranked.face_id, ranked.distance
FROM ranked
WHERE ranked.rank <= :max_persons::bigint;

-- name: read_hit_persons
-- :person_keys, :face_ids and :distances are the hits of all steps. Returns :max_rows candidates, nearest first or with
-- :by_id by person id, and in each the number of persons, up to 101. Person (person_key).
SELECT p.person_id, p.display_name, h.distance, h.face_id, least(count(*) OVER (), 101) AS matched_persons
FROM (
    SELECT DISTINCT ON (u.person_key) u.person_key, u.face_id, u.distance
    FROM unnest(:person_keys::bigint[], :face_ids::uuid[], :distances::float8[]) AS u(person_key, face_id, distance)
    ORDER BY u.person_key, u.distance, u.face_id
) h
JOIN facerec.:"person" p ON p.collection_id = :collection_id AND p.person_key = h.person_key
ORDER BY CASE WHEN NOT :by_id::boolean THEN h.distance END, p.person_id
LIMIT :max_rows;
