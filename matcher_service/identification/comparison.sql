-- Statements of Compare and of persons as probes, run by the serving role; common conventions: postgres/statements.py.

-- name: compare_pairs
-- Several pairs of faces. :encodings_a and :encodings_b are their vectors, concatenated, :face_ids_a and :face_ids_b the id
-- of a stored face for each that is given by one, else null. Returns a row per pair, in order. Face (face_id).
SELECT c.space,
       c.verify_threshold,
       a.encoding IS NOT NULL AS a_found,
       b.encoding IS NOT NULL AS b_found,
       a.encoding <-> b.encoding AS distance
FROM facerec.collection c
CROSS JOIN unnest(:face_ids_a::uuid[], :face_ids_b::uuid[]) WITH ORDINALITY AS pair(face_id_a, face_id_b, number)
CROSS JOIN LATERAL (
    SELECT CASE
               WHEN pair.face_id_a IS NULL THEN subvector(:encodings_a::vector, (128 * (pair.number - 1) + 1)::integer, 128)
               ELSE (
                   SELECT f.encoding
                   FROM facerec.:"face" f
                   WHERE f.collection_id = :collection_id AND f.face_id = pair.face_id_a AND f.expire_time > now()
               )
           END AS encoding
    OFFSET 0
) a
CROSS JOIN LATERAL (
    SELECT CASE
               WHEN pair.face_id_b IS NULL THEN subvector(:encodings_b::vector, (128 * (pair.number - 1) + 1)::integer, 128)
               ELSE (
                   SELECT f.encoding
                   FROM facerec.:"face" f
                   WHERE f.collection_id = :collection_id AND f.face_id = pair.face_id_b AND f.expire_time > now()
               )
           END AS encoding
    OFFSET 0
) b
WHERE c.collection_id = :collection_id
ORDER BY pair.number;

-- name: read_probe_person
-- The key of a person, null for nobody, and the ids of :max_faces of their faces at most. Primary keys of collection and
-- person, face (person_key, content_id).
SELECT p.person_key,
       ARRAY(
           SELECT f.face_id
           FROM facerec.:"face" f
           WHERE f.collection_id = :collection_id AND f.person_key = p.person_key AND f.expire_time > now()
           LIMIT :max_faces
       ) AS face_ids
FROM facerec.collection c
LEFT JOIN facerec.:"person" p ON p.collection_id = :collection_id AND p.person_id = :person_id
WHERE c.collection_id = :collection_id;

-- name: compare_persons
-- The nearest faces of two sides, each given by a :person_id, of whom :max_faces faces at most are read, by the :face_id of
-- a stored face, or by an :encoding; the other two are null. Primary keys of collection and person, face (person_key,
-- content_id) and (face_id).
WITH person AS MATERIALIZED (
    SELECT i.side, p.person_key
    FROM unnest(ARRAY['a', 'b'], ARRAY[:person_id_a::text, :person_id_b::text]) AS i(side, person_id)
    CROSS JOIN LATERAL (
        SELECT p.person_key FROM facerec.:"person" p WHERE p.collection_id = :collection_id AND p.person_id = i.person_id OFFSET 0
    ) p
), held AS MATERIALIZED (
    SELECT person.side, f.face_id, f.encoding
    FROM person
    CROSS JOIN LATERAL (
        SELECT f.face_id, f.encoding
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.person_key = person.person_key AND f.expire_time > now()
        LIMIT :max_faces
    ) f
    UNION ALL
    SELECT i.side, f.face_id, f.encoding
    FROM unnest(ARRAY['a', 'b'], ARRAY[:face_id_a::uuid, :face_id_b::uuid]) AS i(side, face_id)
    CROSS JOIN LATERAL (
        SELECT f.face_id, f.encoding
        FROM facerec.:"face" f
        WHERE f.collection_id = :collection_id AND f.face_id = i.face_id AND f.expire_time > now()
        OFFSET 0
    ) f
    UNION ALL
    SELECT i.side, NULL, i.encoding
    FROM unnest(ARRAY['a', 'b'], ARRAY[:encoding_a::vector, :encoding_b::vector]) AS i(side, encoding)
    WHERE i.encoding IS NOT NULL
)
SELECT c.space,
       c.verify_threshold,
       EXISTS (SELECT FROM person WHERE side = 'a') AS person_found_a,
       EXISTS (SELECT FROM person WHERE side = 'b') AS person_found_b,
       (SELECT count(*) FROM held WHERE side = 'a') AS faces_a,
       (SELECT count(*) FROM held WHERE side = 'b') AS faces_b,
       nearest.distance,
       nearest.face_id_a,
       nearest.face_id_b
FROM facerec.collection c
LEFT JOIN LATERAL (
    SELECT a.face_id AS face_id_a, b.face_id AS face_id_b, a.encoding <-> b.encoding AS distance
    FROM held a CROSS JOIN held b
    WHERE a.side = 'a' AND b.side = 'b'
    ORDER BY distance, a.face_id, b.face_id
    LIMIT 1
) nearest ON true
WHERE c.collection_id = :collection_id;
