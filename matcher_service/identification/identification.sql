-- Statements of Verify, Identify and recall, run by the serving role; common conventions: postgres/statements.py.

-- name: verify
-- A claim of a caller whose failed tries are counted. Either :encoding or :face_id (of a stored face) is null;
-- :max_distance may be null; :space is the encoding's space or null; :try_seconds and :max_missing_seconds are as in
-- `count_refusal`, :match_tries is the cost of a match and :failure_tries that of a failure. :spread is the mean squared
-- distance of a claim's photos from :encoding, their mean. wait_seconds is null if nothing is decided or counted. Primary
-- keys of collection and person, face (person_key, content_id); face (face_id) for :face_id. OFFSET 0 keeps the planner
-- from computing the probe again for each face, and `scored` computes the distance once. With a suspended person nothing is
-- compared or counted.
SELECT c.space,
       c.verify_threshold,
       c.score_rule,
       p.person_key IS NOT NULL AS person_found,
       coalesce(p.suspended, false) AS suspended,
       probe.encoding IS NOT NULL AS probe_found,
       coalesce(nearest.faces, 0) AS faces,
       nearest.face_id,
       scored.distance,
       CASE
           WHEN scored.distance IS NOT NULL AND c.space = coalesce(:space::text, c.space)
               THEN facerec.count_try(
                   :collection_id, p.person_key, :caller,
                   CASE
                       WHEN scored.distance > coalesce(:max_distance::float8, c.verify_threshold) THEN :failure_tries::float8
                       ELSE :match_tries::float8
                   END,
                   :try_seconds, :max_missing_seconds
               )
       END AS wait_seconds
FROM facerec.collection c
CROSS JOIN LATERAL (
    SELECT coalesce(:encoding::vector, (
        SELECT f.encoding FROM facerec.:"face" f WHERE f.collection_id = :collection_id AND f.face_id = :face_id::uuid AND f.expire_time > now()
    )) AS encoding
    OFFSET 0
) probe
LEFT JOIN facerec.:"person" p ON p.collection_id = :collection_id AND p.person_id = :person_id
LEFT JOIN LATERAL (
    SELECT count(*) OVER () AS faces,
           f.face_id,
           f.encoding <-> probe.encoding AS distance,
           avg(CASE WHEN c.score_rule = 'root_mean_square' THEN vector_l2_squared_distance(f.encoding, probe.encoding) END)
               OVER () AS mean_square
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key = p.person_key AND NOT p.suspended AND f.expire_time > now()
    ORDER BY distance, f.face_id
    LIMIT 1
) nearest ON true
CROSS JOIN LATERAL (
    SELECT sqrt(coalesce(nearest.mean_square, nearest.distance * nearest.distance) + :spread::float8) AS distance OFFSET 0
) scored
WHERE c.collection_id = :collection_id;

-- name: verify_claims
-- Several claims, whose failed tries are not counted. :person_ids are the claimed persons, :encodings the probes' vectors,
-- concatenated, :face_ids the id of a stored face for each claim that has one in place of a vector, else null, and :spreads
-- as :spread of `verify`. Returns a row per claim, in order. Primary keys of collection and person, face (person_key,
-- content_id); face (face_id) for :face_ids. OFFSET 0 keeps the planner from joining all claims at once, which reads whole
-- tables while they are small. With a suspended person nothing is compared.
SELECT c.space,
       c.verify_threshold,
       c.score_rule,
       p.person_key IS NOT NULL AS person_found,
       coalesce(p.suspended, false) AS suspended,
       probe.encoding IS NOT NULL AS probe_found,
       coalesce(nearest.faces, 0) AS faces,
       nearest.face_id,
       sqrt(coalesce(nearest.mean_square, nearest.distance * nearest.distance) + claim.spread) AS distance
FROM facerec.collection c
CROSS JOIN unnest(:person_ids::text[], :face_ids::uuid[], :spreads::float8[])
    WITH ORDINALITY AS claim(person_id, face_id, spread, number)
CROSS JOIN LATERAL (
    SELECT CASE
               WHEN claim.face_id IS NULL THEN subvector(:encodings::vector, (128 * (claim.number - 1) + 1)::integer, 128)
               ELSE (
                   SELECT f.encoding
                   FROM facerec.:"face" f
                   WHERE f.collection_id = :collection_id AND f.face_id = claim.face_id AND f.expire_time > now()
               )
           END AS encoding
    OFFSET 0
) probe
LEFT JOIN LATERAL (
    SELECT p.person_key, p.suspended
    FROM facerec.:"person" p
    WHERE p.collection_id = :collection_id AND p.person_id = claim.person_id
    OFFSET 0
) p ON true
LEFT JOIN LATERAL (
    SELECT count(*) OVER () AS faces,
           f.face_id,
           f.encoding <-> probe.encoding AS distance,
           avg(CASE WHEN c.score_rule = 'root_mean_square' THEN vector_l2_squared_distance(f.encoding, probe.encoding) END)
               OVER () AS mean_square
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key = p.person_key AND NOT p.suspended AND f.expire_time > now()
    ORDER BY distance, f.face_id
    LIMIT 1
) nearest ON true
WHERE c.collection_id = :collection_id
ORDER BY claim.number;

-- name: count_refusal
-- Counts a refused enrollment, of no person yet: such tries have person_key = 0, which is no person's key. Returns 0, or
-- the seconds until the next is allowed. Each caller's tries are a token bucket, stored as full_time, when it is full
-- again: a try moves that by :try_seconds, and one is left while it is at most :max_missing_seconds from now.
SELECT facerec.count_try(:collection_id, 0, :caller, 1, :try_seconds, :max_missing_seconds) AS wait_seconds;

-- name: return_refusal
-- Gives back :returned_share of what count_refusal charged: a try is worth :try_seconds. Primary key.
UPDATE facerec.failed_try t
SET full_time = t.full_time - make_interval(secs => :try_seconds::float8 * :returned_share::float8)
WHERE t.collection_id = :collection_id AND t.person_key = 0 AND t.caller = :caller;

-- name: identify
-- Either :encoding or :face_id (of a stored face) is null; :max_distance may be null; :space is null without an encoding.
-- :exact_only forbids the index. :max_scanned_faces is the largest collection to scan here, null for any. :lists_share and
-- :acceptance_share reduce the lists read (index_effort) and the acceptance threshold. With a :labels_path, null for
-- everybody, only persons with such labels (PersonFilter.path) are taken into account; without :with_suspended only those
-- who are not suspended; and not the person of :left_out_key, if that is not null. Returns one row per candidate, nearest
-- first, at most :max_rows; with :by_id the first by person id of all within the threshold. Without a candidate, one row
-- with a null person. `matched_persons` counts the persons within the threshold, up to 101; `faces` the faces compared, in a
-- scan without those of the suspended.
--
-- `search` is what was done: 'index'; 'scan'; 'scan_needed' if more than :max_scanned_faces faces must be scanned; 'none'
-- if the probe has no encoding or one of another space. `accepted` is true of a scan, and of an index result whose
-- nearest candidate is within the acceptance threshold. The indexes propose 50 people by their means, and 50 faces
-- that are centers, of which the 10 nearest count; with :max_candidates above 50 a scan is needed. `truncated` if 50
-- persons of both indexes together, or the 10 faces that are centers, are within the threshold: there may be more.
--
-- scanned: a sequential scan of all faces, on purpose: it is exact, and no vector index can replace it. The aggregate's
-- argument is computed only for the few rows that pass its filter, so each distance is computed once; named row types
-- let parallel workers return their hits; a CASE skips the scan, since a WHERE would cost a step per row. by_mean and
-- by_center: the indexes on half of the dimensions of means and of centers, of as many lists as `asked` sets for this
-- statement before they are read. measured: face (person_key, content_id). Scan and index are each skipped unless needed.
-- Then person (person_key), and that of the suspended, person (person_key) WHERE suspended.
WITH asked AS MATERIALIZED (
    SELECT c.space,
           c.calibration_id,
           c.acceptance_threshold * :acceptance_share::float8 AS acceptance_threshold,
           coalesce(:max_distance::float8, c.identify_threshold) AS threshold,
           probe.encoding,
           CASE
               WHEN probe.encoding IS NULL OR c.space <> :space::text THEN 'none'
               WHEN NOT :exact_only::boolean AND NOT c.exact_only AND :max_candidates <= 50
                   AND facerec.use_index(ceil(c.index_effort * :lists_share::float8)::integer) THEN 'index'
               WHEN :max_scanned_faces::bigint IS NULL OR facerec.estimated_rows('face', :collection_id) <= :max_scanned_faces::bigint THEN 'scan'
               ELSE 'scan_needed'
           END AS search
    FROM facerec.collection c
    CROSS JOIN LATERAL (
        SELECT coalesce(:encoding::vector, (
            SELECT f.encoding
            FROM facerec.:"face" f
            WHERE f.collection_id = :collection_id AND f.face_id = :face_id::uuid AND f.expire_time > now()
        )) AS encoding
        OFFSET 0
    ) probe
    WHERE c.collection_id = :collection_id
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
    JOIN facerec.:"face" f ON f.collection_id = :collection_id AND f.person_key = proposed.person_key
    WHERE f.expire_time > now()
), within AS MATERIALIZED (
    SELECT DISTINCT ON (h.person_key) h.person_key, h.face_id, h.distance
    FROM (
        SELECT hit.person_key, hit.face_id, hit.distance FROM scanned, unnest((scanned.found).hits) AS hit
        UNION ALL
        SELECT measured.* FROM measured WHERE measured.distance <= (SELECT threshold FROM asked)
    ) h
    ORDER BY h.person_key, h.distance, h.face_id
), nearest AS MATERIALIZED (
    SELECT within.*
    FROM within
    WHERE within.person_key IS DISTINCT FROM :left_out_key::bigint
      AND (
          SELECT NOT :with_suspended::boolean
          FROM facerec.:"person" p
          WHERE p.collection_id = :collection_id AND p.person_key = within.person_key AND p.suspended
      ) IS NOT TRUE
      AND (
          :labels_path::jsonpath IS NULL
          OR (
              SELECT p.labels @@ :labels_path::jsonpath
              FROM facerec.:"person" p
              WHERE p.collection_id = :collection_id AND p.person_key = within.person_key
          )
      )
)
SELECT asked.space,
       asked.threshold,
       asked.calibration_id,
       CASE WHEN asked.calibration_id IS NOT NULL THEN facerec.estimated_rows('face', :collection_id) END AS collection_faces,
       asked.encoding IS NOT NULL AS probe_found,
       asked.search,
       asked.search = 'scan'
           OR (asked.search = 'index'
               AND EXISTS (SELECT FROM nearest WHERE nearest.distance <= asked.acceptance_threshold)) AS accepted,
       asked.search = 'index'
           AND ((SELECT count(*) FROM within) >= 50
                OR (SELECT count(*) FROM by_center WHERE by_center.distance <= asked.threshold) >= 10) AS truncated,
       CASE
           WHEN asked.search = 'scan' THEN (scanned.found).faces - (
               SELECT count(*)
               FROM facerec.:"face" f
               WHERE f.collection_id = :collection_id AND f.person_key = ANY (ARRAY(
                   SELECT p.person_key FROM facerec.:"person" p WHERE p.suspended AND NOT :with_suspended::boolean
               ))
           )
           ELSE (SELECT count(*) FROM measured)
       END AS faces,
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
    WHERE p.collection_id = :collection_id
    ORDER BY CASE WHEN NOT :by_id::boolean THEN nearest.distance END, p.person_id
    LIMIT :max_rows
) candidate ON true
ORDER BY CASE WHEN NOT :by_id::boolean THEN candidate.distance END, candidate.person_id;

-- name: identify_among
-- Compares every face of the people :person_keys; the other parameters, and the columns, are those of `identify`. Face
-- (person_key, content_id), for one person after another (OFFSET 0: a join of many could read all faces); then person
-- (person_key).
WITH asked AS MATERIALIZED (
    SELECT c.space,
           c.calibration_id,
           coalesce(:max_distance::float8, c.identify_threshold) AS threshold,
           probe.encoding,
           probe.encoding IS NOT NULL AND c.space = coalesce(:space::text, c.space) AS usable
    FROM facerec.collection c
    CROSS JOIN LATERAL (
        SELECT coalesce(:encoding::vector, (
            SELECT f.encoding
            FROM facerec.:"face" f
            WHERE f.collection_id = :collection_id AND f.face_id = :face_id::uuid AND f.expire_time > now()
        )) AS encoding
        OFFSET 0
    ) probe
    WHERE c.collection_id = :collection_id
), measured AS MATERIALIZED (
    SELECT f.person_key, f.face_id, f.encoding <-> (SELECT encoding FROM asked) AS distance
    FROM unnest(:person_keys::bigint[]) AS chosen(person_key)
    CROSS JOIN LATERAL (
        SELECT f.person_key, f.face_id, f.encoding
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.person_key = chosen.person_key AND f.expire_time > now()
        OFFSET 0
    ) f
    WHERE (SELECT usable FROM asked)
), nearest AS MATERIALIZED (
    SELECT DISTINCT ON (measured.person_key) measured.*
    FROM measured
    WHERE measured.distance <= (SELECT threshold FROM asked)
    ORDER BY measured.person_key, measured.distance, measured.face_id
)
SELECT asked.space,
       asked.threshold,
       asked.calibration_id,
       (SELECT count(*) FROM measured) AS collection_faces,
       asked.encoding IS NOT NULL AS probe_found,
       CASE WHEN asked.usable THEN 'scan' ELSE 'none' END AS search,
       true AS accepted,
       false AS truncated,
       (SELECT count(*) FROM measured) AS faces,
       (SELECT least(count(*), 101) FROM nearest) AS matched_persons,
       candidate.person_id,
       candidate.display_name,
       candidate.distance,
       candidate.face_id
FROM asked
LEFT JOIN LATERAL (
    SELECT p.person_id, p.display_name, nearest.distance, nearest.face_id
    FROM nearest JOIN facerec.:"person" p USING (person_key)
    WHERE p.collection_id = :collection_id
    ORDER BY CASE WHEN NOT :by_id::boolean THEN nearest.distance END, p.person_id
    LIMIT :max_rows
) candidate ON true
ORDER BY CASE WHEN NOT :by_id::boolean THEN candidate.distance END, candidate.person_id;

-- name: identify_counted
-- As several claims: the nearest face of each of the people :person_keys, and a failed try of :caller against each whom the
-- probe does not match; the other parameters are those of `verify`. wait_seconds is null where nothing was compared. Persons
-- are locked in the order of their keys, to avoid deadlocks. Person (person_key), face (person_key, content_id).
WITH asked AS MATERIALIZED (
    SELECT c.space,
           c.calibration_id,
           coalesce(:max_distance::float8, c.identify_threshold) AS threshold,
           probe.encoding,
           probe.encoding IS NOT NULL AND c.space = coalesce(:space::text, c.space) AS usable
    FROM facerec.collection c
    CROSS JOIN LATERAL (
        SELECT coalesce(:encoding::vector, (
            SELECT f.encoding
            FROM facerec.:"face" f
            WHERE f.collection_id = :collection_id AND f.face_id = :face_id::uuid AND f.expire_time > now()
        )) AS encoding
        OFFSET 0
    ) probe
    WHERE c.collection_id = :collection_id
), nearest AS MATERIALIZED (
    SELECT p.person_key, p.person_id, p.display_name, f.faces, f.face_id, f.distance
    FROM facerec.:"person" p
    CROSS JOIN LATERAL (
        SELECT count(*) OVER () AS faces, f.face_id, f.encoding <-> (SELECT encoding FROM asked) AS distance
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.person_key = p.person_key AND f.expire_time > now()
        ORDER BY distance, f.face_id
        LIMIT 1
    ) f
    WHERE p.collection_id = :collection_id AND p.person_key = ANY (:person_keys::bigint[]) AND (SELECT usable FROM asked)
    ORDER BY p.person_key
)
SELECT asked.space,
       asked.threshold,
       asked.calibration_id,
       asked.encoding IS NOT NULL AS probe_found,
       nearest.person_id,
       nearest.display_name,
       nearest.faces,
       nearest.face_id,
       nearest.distance,
       CASE
           WHEN nearest.distance IS NOT NULL
               THEN facerec.count_try(
                   :collection_id, nearest.person_key, :caller,
                   CASE WHEN nearest.distance > asked.threshold THEN :failure_tries::float8 ELSE :match_tries::float8 END,
                   :try_seconds, :max_missing_seconds
               )
       END AS wait_seconds
FROM asked
LEFT JOIN nearest ON true;

-- name: read_attributes
-- The labels and metadata of those of the people :person_ids who are still there. Primary key of person, one by one.
SELECT p.person_id, p.labels, p.metadata
FROM unnest(:person_ids::text[]) AS i(person_id)
CROSS JOIN LATERAL (
    SELECT p.person_id, p.labels, p.metadata
    FROM facerec.:"person" p
    WHERE p.collection_id = :collection_id AND p.person_id = i.person_id
    OFFSET 0
) p;

-- name: read_probes
-- The vectors of the stored faces :face_ids, and the collection's space: a row per id, in order, without a vector where there
-- is no such face. Face (face_id), one by one; primary key of collection.
SELECT c.space, f.encoding
FROM facerec.collection c
CROSS JOIN unnest(:face_ids::uuid[]) WITH ORDINALITY AS probe(face_id, number)
LEFT JOIN LATERAL (
    SELECT f.encoding
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.face_id = probe.face_id AND f.expire_time > now()
    OFFSET 0
) f ON true
WHERE c.collection_id = :collection_id
ORDER BY probe.number;

-- name: search_defaults
-- Primary key of collection.
SELECT identify_threshold, space FROM facerec.collection WHERE collection_id = :collection_id;

-- name: draw_recall_samples
-- One face of each of at most :max_persons random people who are not suspended, to make samples of, with the mean and the
-- number of the person's faces; with :farthest only the twentieth of them with the faces farthest from their centers. Also
-- run by `maintain`.
-- Primary key of person, face (person_key, content_id).
WITH picked AS MATERIALIZED (
    SELECT p.person_key, p.centroid
    FROM facerec.:"person" p
    WHERE p.centroid IS NOT NULL AND NOT p.suspended
    ORDER BY random()
    LIMIT :max_persons::bigint
), picked_face AS MATERIALIZED (
    SELECT picked.person_key, picked.centroid, f.encoding, f.is_center
    FROM picked
    CROSS JOIN LATERAL (
        SELECT f.encoding, f.is_center
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.person_key = picked.person_key AND f.expire_time > now()
        OFFSET 0
    ) f
), with_distance AS MATERIALIZED (
    SELECT picked_face.*,
           least(
               picked_face.encoding <-> picked_face.centroid,
               (
                   SELECT min(picked_face.encoding <-> m.encoding)
                   FROM facerec.:"face" m
                   WHERE m.collection_id = :collection_id AND m.person_key = picked_face.person_key AND m.is_center
               )
           ) AS distance
    FROM picked_face
), chosen AS (
    SELECT with_distance.*,
           count(*) OVER (PARTITION BY with_distance.person_key) AS faces,
           row_number() OVER (
               PARTITION BY with_distance.person_key
               ORDER BY CASE WHEN :farthest::boolean THEN -with_distance.distance ELSE random() END
           ) AS ordinal
    FROM with_distance
)
SELECT chosen.person_key, chosen.encoding, chosen.is_center, chosen.centroid, chosen.faces
FROM chosen
WHERE chosen.ordinal = 1
ORDER BY CASE WHEN :farthest::boolean THEN -chosen.distance END
LIMIT CASE WHEN :farthest::boolean THEN (SELECT ceil(count(*) / 20.0) FROM picked)::bigint END;
