-- Statements that decide: Verify, Identify, Compare, and what measures an index, run by the serving role; what they have in common is in postgres/statements.py.

-- name: verify
-- $2 person, $3 encoding or null, $4 stored face's id or null; $5 the caller where its failed tries are counted, with
-- $6 largest distance or null, $7 the encoding's space or null, $8 and $9 as `count_refusal` has them, $10 how much of a
-- try a match takes. wait_seconds is null where nothing is decided or counted.
-- Primary keys of collection and person, face (person_key, content_id); face (face_id) for $4.
-- OFFSET 0 keeps the probe from being worked out again for each face.
SELECT c.space,
       c.verify_threshold,
       p.person_key IS NOT NULL AS person_found,
       probe.encoding IS NOT NULL AS probe_found,
       coalesce(nearest.faces, 0) AS faces,
       nearest.face_id,
       nearest.distance,
       CASE
           WHEN $5::text IS NOT NULL AND nearest.distance IS NOT NULL AND c.space = coalesce($7::text, c.space)
               THEN facerec.count_try(
                   $1, p.person_key, $5,
                   CASE WHEN nearest.distance > coalesce($6::float8, c.verify_threshold) THEN 1 ELSE $10::float8 END,
                   $8, $9
               )
       END AS wait_seconds
FROM facerec.collection c
CROSS JOIN LATERAL (
    SELECT coalesce($3::vector, (
        SELECT f.encoding FROM facerec.:"face" f WHERE f.collection_id = $1 AND f.face_id = $4::uuid AND f.expire_time > now()
    )) AS encoding
    OFFSET 0
) probe
LEFT JOIN facerec.:"person" p ON p.collection_id = $1 AND p.person_id = $2
LEFT JOIN LATERAL (
    SELECT count(*) OVER () AS faces, f.face_id, f.encoding <-> probe.encoding AS distance
    FROM facerec.:"face" f
    WHERE f.collection_id = $1 AND f.person_key = p.person_key AND f.expire_time > now()
    ORDER BY distance, f.face_id
    LIMIT 1
) nearest ON true
WHERE c.collection_id = $1;

-- name: count_refusal
-- $2 caller, $3 seconds in which one try is regained, $4 the most that may be missing for one more. Counts an enrolment
-- as refused; 0, or the seconds until another may be.
SELECT facerec.count_try($1, 0, $2, 1, $3, $4) AS wait_seconds;

-- name: give_refusal_back
-- $2 caller, $3 seconds in which one try is regained, $4 how much of it is given back. Primary key.
UPDATE facerec.failed_try t
SET full_time = t.full_time - make_interval(secs => $3::float8 * $4::float8)
WHERE t.collection_id = $1 AND t.person_key = 0 AND t.caller = $2;

-- name: identify
-- $2 encoding or null, $3 stored face's id or null, $4 largest distance or null, $5 most candidates,
-- $6 the encoding's space or null, $7 true to ask no index, $8 the size up to which a scan may run here, or
-- null for any, $9 and $10 the shares of the index's effort and of the trust distance, $11 true for the candidates in
-- the order of their ids, of all that are near enough the first $5. A row a candidate, else nearest first; one row
-- without a person for nobody. `matched_persons` counts whoever is near enough, up to 101.
--
-- `search` is what was done: 'index', 'scan', 'later' for a scan of more faces than $8, or 'none' where the
-- probe has no encoding or one of another space. `decided` unless the index's word does not stand: it
-- stands for a nearest candidate within the trust distance, and never for nobody. The indexes propose 50
-- people by their means, and 50 faces that are centers, of which the 10 nearest count: so whoever wants more candidates
-- gets a scan. `cut` where all of either are within the threshold: there may be more.
--
-- scanned: sequential scan of all faces, on purpose: exact, and no index of vectors can serve it, since
-- nothing is ordered by distance before it is computed. The aggregate's argument is computed for the few rows
-- that pass its filter, so each face is measured once; named row types let parallel workers hand over what
-- they found; and a CASE skips it, where a condition would put one more step between each row and the sum. by_mean and by_center: the indexes on half of the dimensions of means and of centers, where there are some, at the effort
-- measured for them, which is set for this statement alone when `asked` is read, before the indexes are. measured: face
-- (person_key, content_id). Either part is skipped where it isn't called for. Then person (person_key).
WITH asked AS MATERIALIZED (
    SELECT c.space,
           c.calibration_id,
           c.trust_distance * $10::float8 AS trust_distance,
           coalesce($4::float8, c.identify_threshold) AS threshold,
           probe.encoding,
           CASE
               WHEN probe.encoding IS NULL OR c.space <> $6::text THEN 'none'
               WHEN NOT $7::boolean AND NOT c.exact_only AND $5 <= 50
                   AND facerec.use_index(ceil(c.index_effort * $9::float8)::integer) THEN 'index'
               WHEN $8::bigint IS NULL OR facerec.estimated_rows('face', $1) <= $8::bigint THEN 'scan'
               ELSE 'later'
           END AS search
    FROM facerec.collection c
    CROSS JOIN LATERAL (
        SELECT coalesce($2::vector, (
            SELECT f.encoding
            FROM facerec.:"face" f
            WHERE f.collection_id = $1 AND f.face_id = $3::uuid AND f.expire_time > now()
        )) AS encoding
        OFFSET 0
    ) probe
    WHERE c.collection_id = $1
), scanned AS MATERIALIZED (
    SELECT CASE WHEN asked.search = 'scan' THEN (
               SELECT (
                   count(*),
                   array_agg((f.person_key, f.face_id, f.encoding <-> (SELECT encoding FROM asked))::facerec.hit)
                       FILTER (
                           WHERE f.encoding <-> (SELECT encoding FROM asked) <= (SELECT threshold FROM asked)
                             AND f.expire_time > now()
                       )
               )::facerec.scan
               FROM facerec.:"face" f
           ) END AS found
    FROM asked
), by_mean AS MATERIALIZED (
    SELECT p.person_key
    FROM facerec.:"person" p
    WHERE (SELECT search = 'index' FROM asked)
    ORDER BY subvector(p.centroid, 1, 64)::halfvec(64)
             <-> (SELECT subvector(encoding, 1, 64)::halfvec(64) FROM asked)
    LIMIT 50
), by_center AS MATERIALIZED (
    SELECT near.person_key, near.encoding <-> (SELECT encoding FROM asked) AS distance
    FROM (
        SELECT f.person_key, f.encoding
        FROM facerec.:"face" f
        WHERE f.is_center AND (SELECT search = 'index' FROM asked)
        ORDER BY subvector(f.encoding, 1, 64)::halfvec(64)
                 <-> (SELECT subvector(encoding, 1, 64)::halfvec(64) FROM asked)
        LIMIT 50
    ) near
    ORDER BY distance
    LIMIT 10
), measured AS MATERIALIZED (
    SELECT f.person_key, f.face_id, f.encoding <-> (SELECT encoding FROM asked) AS distance
    FROM (SELECT by_mean.person_key FROM by_mean UNION SELECT by_center.person_key FROM by_center) proposed
    JOIN facerec.:"face" f ON f.collection_id = $1 AND f.person_key = proposed.person_key
    WHERE f.expire_time > now()
), nearest AS MATERIALIZED (
    SELECT DISTINCT ON (h.person_key) h.person_key, h.face_id, h.distance
    FROM (
        SELECT hit.person_key, hit.face_id, hit.distance FROM scanned, unnest((scanned.found).hits) AS hit
        UNION ALL
        SELECT measured.* FROM measured WHERE measured.distance <= (SELECT threshold FROM asked)
    ) h
    ORDER BY h.person_key, h.distance, h.face_id
)
SELECT asked.space,
       asked.threshold,
       asked.calibration_id,
       CASE WHEN asked.calibration_id IS NOT NULL THEN facerec.estimated_rows('face', $1) END AS gallery_faces,
       asked.encoding IS NOT NULL AS probe_found,
       asked.search,
       asked.search = 'scan'
           OR (asked.search = 'index'
               AND EXISTS (SELECT FROM nearest WHERE nearest.distance <= asked.trust_distance)) AS decided,
       asked.search = 'index'
           AND ((SELECT count(*) FROM nearest) >= 50
                OR (SELECT count(*) FROM by_center WHERE by_center.distance <= asked.threshold) >= 10) AS cut,
       coalesce((scanned.found).faces, 0) + (SELECT count(*) FROM measured) AS faces,
       (SELECT least(count(*), 101) FROM nearest) AS matched_persons,
       candidate.person_id,
       candidate.display_name,
       candidate.distance,
       candidate.face_id
FROM asked
CROSS JOIN scanned
LEFT JOIN LATERAL (
    SELECT p.person_id, p.display_name, nearest.distance, nearest.face_id
    FROM nearest JOIN facerec.:"person" p USING (person_key)
    WHERE p.collection_id = $1
    ORDER BY CASE WHEN NOT $11::boolean THEN nearest.distance END, p.person_id
    LIMIT $5
) candidate ON true
ORDER BY CASE WHEN NOT $11::boolean THEN candidate.distance END, candidate.person_id;

-- name: begin_scan
-- $2 encoding or null, $3 stored face's id or null, $4 largest distance or null, $5 the encoding's space or
-- null. What `identify` would answer before it scans, and the blocks there are to scan. Primary keys.
SELECT c.space,
       coalesce($4::float8, c.identify_threshold) AS threshold,
       c.calibration_id,
       CASE WHEN c.calibration_id IS NOT NULL THEN facerec.estimated_rows('face', $1) END AS gallery_faces,
       probe.found AS probe_found,
       CASE WHEN NOT probe.found OR c.space <> $5::text THEN 'none' ELSE 'scan' END AS search,
       pg_relation_size('facerec.:"face"') / current_setting('block_size')::bigint AS blocks
FROM facerec.collection c
CROSS JOIN LATERAL (
    SELECT $2::vector IS NOT NULL OR EXISTS (
        SELECT FROM facerec.:"face" f
        WHERE f.collection_id = $1 AND f.face_id = $3::uuid AND f.expire_time > now()
    ) AS found
) probe
WHERE c.collection_id = $1;

-- name: scan_step
-- $2 encoding or null, $3 stored face's id or null, $4 largest distance, $5 most people, $6 and $7 where to
-- begin and end, $8 true for the people whose ids come first instead of the nearest. A row: the faces there, and the
-- nearest of each of those people as columns. TID range scan, which reads just those blocks; face (face_id), and by id
-- person (person_key).
WITH probe AS MATERIALIZED (
    SELECT coalesce($2::vector, (
        SELECT f.encoding
        FROM facerec.:"face" f
        WHERE f.collection_id = $1 AND f.face_id = $3::uuid AND f.expire_time > now()
    )) AS encoding
), scanned AS MATERIALIZED (
    SELECT count(*) AS faces,
           array_agg((f.person_key, f.face_id, f.encoding <-> (SELECT encoding FROM probe))::facerec.hit)
               FILTER (
                   WHERE f.encoding <-> (SELECT encoding FROM probe) <= $4::float8 AND f.expire_time > now()
               ) AS hits
    FROM facerec.:"face" f
    WHERE f.ctid >= $6::tid AND f.ctid < $7::tid
), nearest AS (
    SELECT DISTINCT ON (h.person_key) h.person_key, h.face_id, h.distance
    FROM scanned, unnest(scanned.hits) AS h
    ORDER BY h.person_key, h.distance, h.face_id
), best AS MATERIALIZED (
    SELECT nearest.*
    FROM nearest
    ORDER BY CASE
                 WHEN $8::boolean THEN (
                     SELECT p.person_id
                     FROM facerec.:"person" p
                     WHERE p.collection_id = $1 AND p.person_key = nearest.person_key
                 )
             END,
             CASE WHEN NOT $8::boolean THEN nearest.distance END
    FETCH FIRST ($5::bigint) ROWS WITH TIES
)
SELECT scanned.faces,
       ARRAY(SELECT best.person_key FROM best) AS person_keys,
       ARRAY(SELECT best.face_id FROM best) AS face_ids,
       ARRAY(SELECT best.distance FROM best) AS distances
FROM scanned;

-- name: name_hits
-- $2 persons' keys, $3 faces' ids, $4 distances of what the steps found, $5 most candidates, $6 true for the order of
-- ids. A row a candidate, else nearest first, and of how many people they are, up to 101. Person (person_key).
SELECT p.person_id, p.display_name, h.distance, h.face_id, least(count(*) OVER (), 101) AS matched_persons
FROM (
    SELECT DISTINCT ON (u.person_key) u.person_key, u.face_id, u.distance
    FROM unnest($2::bigint[], $3::uuid[], $4::float8[]) AS u(person_key, face_id, distance)
    ORDER BY u.person_key, u.distance, u.face_id
) h
JOIN facerec.:"person" p ON p.collection_id = $1 AND p.person_key = h.person_key
ORDER BY CASE WHEN NOT $6::boolean THEN h.distance END, p.person_id
LIMIT $5;

-- name: search_defaults
-- Primary key of collection.
SELECT identify_threshold, space FROM facerec.collection WHERE collection_id = $1;

-- name: compare
-- $2 and $4 encodings or null, $3 and $5 stored faces' ids or null. Face (face_id).
SELECT c.space,
       c.verify_threshold,
       a.encoding IS NOT NULL AS a_found,
       b.encoding IS NOT NULL AS b_found,
       a.encoding <-> b.encoding AS distance
FROM facerec.collection c
CROSS JOIN LATERAL (
    SELECT coalesce($2::vector, (
        SELECT f.encoding FROM facerec.:"face" f WHERE f.collection_id = $1 AND f.face_id = $3::uuid AND f.expire_time > now()
    )) AS encoding
    OFFSET 0
) a
CROSS JOIN LATERAL (
    SELECT coalesce($4::vector, (
        SELECT f.encoding FROM facerec.:"face" f WHERE f.collection_id = $1 AND f.face_id = $5::uuid AND f.expire_time > now()
    )) AS encoding
    OFFSET 0
) b
WHERE c.collection_id = $1;

-- name: draw_probes
-- $2 most people to look at, $3 true for the twentieth of them with the faces farthest from their centers. A face of each of
-- some people drawn at random, to make probes of: with the mean of the person's faces and how many these are. `maintain` asks it too. Primary key of person, face (person_key, content_id).
WITH picked AS MATERIALIZED (
    SELECT p.person_key, p.centroid FROM facerec.:"person" p WHERE p.centroid IS NOT NULL ORDER BY random() LIMIT $2::bigint
), seen AS MATERIALIZED (
    SELECT picked.person_key, picked.centroid, f.encoding, f.is_center
    FROM picked
    CROSS JOIN LATERAL (
        SELECT f.encoding, f.is_center
        FROM facerec.:"face" f
        WHERE f.collection_id = $1 AND f.person_key = picked.person_key AND f.expire_time > now()
        OFFSET 0
    ) f
), placed AS MATERIALIZED (
    SELECT seen.*,
           least(
               seen.encoding <-> seen.centroid,
               (
                   SELECT min(seen.encoding <-> m.encoding)
                   FROM facerec.:"face" m
                   WHERE m.collection_id = $1 AND m.person_key = seen.person_key AND m.is_center
               )
           ) AS distance
    FROM seen
), chosen AS (
    SELECT placed.*,
           count(*) OVER (PARTITION BY placed.person_key) AS faces,
           row_number() OVER (
               PARTITION BY placed.person_key
               ORDER BY CASE WHEN $3::boolean THEN -placed.distance ELSE random() END
           ) AS place
    FROM placed
)
SELECT chosen.person_key, chosen.encoding, chosen.is_center, chosen.centroid, chosen.faces
FROM chosen
WHERE chosen.place = 1
ORDER BY CASE WHEN $3::boolean THEN -chosen.distance END
LIMIT CASE WHEN $3::boolean THEN (SELECT ceil(count(*) / 20.0) FROM picked)::bigint END;
