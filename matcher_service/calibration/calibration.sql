-- Statements of calibrations, run by the serving role; common conventions: postgres/statements.py.

-- name: measure_genuine
-- The number of pairs of a person's own faces in each bin, for random people with two faces or more who are not suspended:
-- of those whose label :group_label is :group_value, null for people without it, or of everybody. Sequential scan of person,
-- face (person_key, content_id).
WITH picked AS MATERIALIZED (
    SELECT p.person_key
    FROM facerec.:"person" p
    WHERE p.centroid IS NOT NULL AND NOT p.suspended
      AND p.labels ->> :group_label::text IS NOT DISTINCT FROM :group_value::text
    ORDER BY random()
    LIMIT 4 * :max_persons::bigint
), face AS MATERIALIZED (
    SELECT f.person_key, f.encoding, f.ordinal
    FROM picked
    CROSS JOIN LATERAL (
        SELECT f.person_key, f.encoding, row_number() OVER (ORDER BY random()) AS ordinal
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.person_key = picked.person_key AND f.expire_time > now()
        LIMIT 10
    ) f
), pair AS MATERIALIZED (
    SELECT a.person_key,
           a.encoding <-> b.encoding AS distance,
           row_number() OVER (PARTITION BY a.person_key ORDER BY random()) AS ordinal
    FROM face a JOIN face b ON b.person_key = a.person_key AND b.ordinal > a.ordinal
), chosen_person AS MATERIALIZED (
    SELECT DISTINCT pair.person_key FROM pair LIMIT :max_persons::bigint
)
SELECT pair.person_key, least(floor(pair.distance / :bin_width::float8)::integer, :bins::integer - 1) AS bin, count(*) AS pairs
FROM pair JOIN chosen_person USING (person_key)
WHERE pair.ordinal <= :max_pairs::bigint
GROUP BY 1, 2;

-- name: draw_impostors
-- One face of each of some random people who are not suspended, of a group or of everybody as in measure_genuine. Sequential
-- scan of person, face (person_key, content_id).
SELECT picked.person_key, f.face_id
FROM (
    SELECT p.person_key
    FROM facerec.:"person" p
    WHERE p.centroid IS NOT NULL AND NOT p.suspended
      AND p.labels ->> :group_label::text IS NOT DISTINCT FROM :group_value::text
    ORDER BY random()
    LIMIT :max_persons::bigint
) picked
CROSS JOIN LATERAL (
    SELECT f.face_id
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key = picked.person_key AND f.expire_time > now()
    ORDER BY random()
    LIMIT 1
) f;

-- name: count_groups
-- The values of a label, null for people without it, and how many people who are not suspended have each; the :max_groups
-- most frequent.
-- Sequential scan of person.
SELECT p.labels ->> :group_label::text AS value, count(*) AS persons
FROM facerec.:"person" p
WHERE p.centroid IS NOT NULL AND NOT p.suspended
GROUP BY 1
ORDER BY 2 DESC, 1
LIMIT :max_groups::bigint;

-- name: read_drawn
-- The vectors of those that still exist. Face (face_id), looked up one by one: without statistics of the column, a join
-- would read all faces.
SELECT f.face_id, f.person_key, f.encoding
FROM unnest(:face_ids::uuid[]) AS i(face_id)
CROSS JOIN LATERAL (
    SELECT f.face_id, f.person_key, f.encoding FROM facerec.:"face" f WHERE f.collection_id = :collection_id AND f.face_id = i.face_id OFFSET 0
) f;

-- name: read_faces_in_order
-- The next :max_faces faces of people who are not suspended, after that of person :after_key and content :after_content.
-- Face (person_key, content_id), in its order; person (person_key) WHERE suspended.
SELECT f.person_key, f.content_id, f.encoding
FROM facerec.:"face" f
WHERE f.collection_id = :collection_id
  AND (f.person_key, f.content_id) > (:after_key::bigint, :after_content::uuid)
  AND f.expire_time > now()
  AND NOT EXISTS (SELECT FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_key = f.person_key AND p.suspended)
ORDER BY f.person_key, f.content_id
LIMIT :max_faces::bigint;

-- name: measure_own_faces
-- The distance of each face that still exists from the nearest other face of its person, if there is one. Face (face_id),
-- one by one as in read_drawn, and face (person_key, content_id).
SELECT probe.face_id, own.distance
FROM unnest(:face_ids::uuid[]) AS i(face_id)
CROSS JOIN LATERAL (
    SELECT f.face_id, f.person_key, f.encoding FROM facerec.:"face" f WHERE f.collection_id = :collection_id AND f.face_id = i.face_id OFFSET 0
) probe
CROSS JOIN LATERAL (
    SELECT min(f.encoding <-> probe.encoding) AS distance
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key = probe.person_key AND f.face_id <> probe.face_id AND f.expire_time > now()
) own
WHERE own.distance IS NOT NULL;

-- name: name_persons_of_faces
-- The persons of the faces that still exist. Face (face_id) and person (person_key), one by one as in read_drawn.
SELECT f.face_id, p.person_id
FROM unnest(:face_ids::uuid[]) AS i(face_id)
CROSS JOIN LATERAL (
    SELECT f.face_id, f.person_key FROM facerec.:"face" f WHERE f.collection_id = :collection_id AND f.face_id = i.face_id OFFSET 0
) f
CROSS JOIN LATERAL (
    SELECT p.person_id FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_key = f.person_key OFFSET 0
) p;

-- name: draw_claimants
-- Random people with more than :photos faces who are not suspended: :max_persons at most, of four times as many. Primary key
-- of person, face (person_key, content_id).
SELECT picked.person_key
FROM (
    SELECT p.person_key
    FROM facerec.:"person" p
    WHERE p.centroid IS NOT NULL AND NOT p.suspended
    ORDER BY random()
    LIMIT 4 * :max_persons::bigint
) picked
CROSS JOIN LATERAL (
    SELECT FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key = picked.person_key AND f.expire_time > now()
    OFFSET :photos::integer
    LIMIT 1
) enough
LIMIT :max_persons::bigint;

-- name: read_claim_faces
-- Up to :max_faces random faces of each of the people :person_keys, those of a person one after another. Face (person_key,
-- content_id).
SELECT chosen.person_key, f.encoding
FROM unnest(:person_keys::bigint[]) WITH ORDINALITY AS chosen(person_key, number)
CROSS JOIN LATERAL (
    SELECT f.encoding
    FROM facerec.:"face" f
    WHERE f.collection_id = :collection_id AND f.person_key = chosen.person_key AND f.expire_time > now()
    ORDER BY random()
    LIMIT :max_faces::integer
) f
ORDER BY chosen.number;

-- name: add_calibration
-- :identify_threshold and :score_rule may be null. Primary key of collection.
INSERT INTO facerec.calibration (collection_id, verify_threshold, identify_threshold, score_rule, evidence)
SELECT c.collection_id, :verify_threshold, :identify_threshold, :score_rule, :evidence::jsonb FROM facerec.collection c WHERE c.collection_id = :collection_id
RETURNING calibration_id, create_time;

-- name: apply_calibration
-- One row if the collection exists, with null thresholds if the calibration does not. The old thresholds are read under
-- the lock of the update. Primary keys.
WITH old AS MATERIALIZED (
    SELECT c.collection_id, c.verify_threshold, c.identify_threshold, c.score_rule
    FROM facerec.collection c
    WHERE c.collection_id = :collection_id
    FOR UPDATE
), applied AS (
    UPDATE facerec.calibration k
    SET applied_time = clock_timestamp()
    FROM old
    WHERE k.collection_id = old.collection_id AND k.calibration_id = :calibration_id
    RETURNING k.verify_threshold, k.identify_threshold, k.score_rule
), changed AS (
    UPDATE facerec.collection c
    SET verify_threshold = applied.verify_threshold,
        identify_threshold = coalesce(applied.identify_threshold, c.identify_threshold),
        score_rule = coalesce(applied.score_rule, c.score_rule),
        calibration_id = :calibration_id,
        update_time = clock_timestamp()
    FROM applied
    WHERE c.collection_id = :collection_id
    RETURNING c.verify_threshold, c.identify_threshold, c.score_rule
)
SELECT old.verify_threshold AS old_verify, old.identify_threshold AS old_identify,
       changed.verify_threshold AS new_verify, changed.identify_threshold AS new_identify,
       old.score_rule AS old_rule, changed.score_rule AS new_rule
FROM old LEFT JOIN changed ON true;

-- name: get_evidence
-- Primary key.
SELECT k.evidence::text AS evidence FROM facerec.calibration k WHERE k.collection_id = :collection_id AND k.calibration_id = :calibration_id;
