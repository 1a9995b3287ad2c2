-- Statements of imports and exports, run by the serving role; what they have in common is in postgres/statements.py.

-- name: lock_import
-- $2 import. Its row, made when new and held until the transaction's end: of two calls of one import the second
-- waits for the first's chunk. Primary key. For import_faces, next in the transaction, whose arrays the planner
-- takes for a few rows: nested loops over them took twice the time at 2,000 rows and ten times at 10,000.
-- First comes the lock that a change of the policy waits for.
WITH entered AS MATERIALIZED (
    SELECT facerec.enter_enrollment($1)
)
INSERT INTO facerec.face_import (collection_id, import_id)
SELECT c.collection_id, $2 FROM entered, facerec.collection c WHERE c.collection_id = $1
ON CONFLICT (collection_id, import_id) DO UPDATE SET update_time = now()
RETURNING next_row,
          (SELECT c.space FROM facerec.collection c WHERE c.collection_id = $1) AS space,
          set_config('enable_nestloop', 'off', true) AS planned;

-- name: add_models
-- $1 space, $2 fingerprints. Makes what is missing: import_faces, the next statement, sees it and what others made
-- meanwhile. Before any person is locked, and in order, as lock_enrolled_person does. Model (space, fingerprint).
INSERT INTO facerec.model (space, fingerprint)
SELECT DISTINCT $1::text, given.fingerprint
FROM unnest($2::text[]) AS given(fingerprint)
WHERE NOT EXISTS (SELECT FROM facerec.model m WHERE m.space = $1::text AND m.fingerprint = given.fingerprint)
ORDER BY 2
ON CONFLICT DO NOTHING;

-- name: lock_imported_persons
-- $2 person ids. Locks those who are there, in the order that merges lock them in, until the transaction's end, so that
-- import_faces, the next statement, sees their faces as they stay. Their keys. Primary key of person.
SELECT p.person_key
FROM facerec.:"person" p
WHERE p.collection_id = $1 AND p.person_id = ANY ($2::text[])
ORDER BY p.person_id
FOR UPDATE;

-- name: import_faces
-- A column a face, no (person, content) twice: $2 person ids, $3 display names, $4 external refs, $5 content ids, $6
-- encodings, $7 fingerprints, $8 expire times; $9 space; $10 keys of the persons who are locked. Counts of what is new
-- and of the faces past their time it took the place of, and the keys of people whose centers are still to be worked out.
-- Who is locked and has all of it is left as they are. Others are made, or locked by the update as they are then: what
-- the statement's snapshot says of them decides nothing, so that the chunk is of one moment. In the order of locking,
-- so that no two calls wait for each other. Primary keys of person and collection, person (person_key), face (person_key,
-- content_id), model. What there is is looked up in subqueries, one by one: as joins they would read all of it for
-- each chunk.
-- A new person's centroid is the mean of what is added; another's, and who has a face far from it, is worked out
-- afterwards.
WITH item AS MATERIALIZED (
    SELECT i.*
    FROM unnest($2::text[], $3::text[], $4::text[], $5::uuid[], $6::vector[], $7::text[], $8::timestamptz[])
        WITH ORDINALITY
        AS i(person_id, display_name, external_ref, content_id, encoding, fingerprint, expire_time, place)
), named AS MATERIALIZED (
    SELECT item.person_id,
           max(item.display_name) AS display_name,
           avg(item.encoding) AS centroid,
           (
               SELECT p.person_key FROM facerec.:"person" p WHERE p.collection_id = $1 AND p.person_id = item.person_id
           ) AS person_key
    FROM item
    GROUP BY item.person_id
), apart AS (
    SELECT DISTINCT named.person_id
    FROM named JOIN item USING (person_id)
    WHERE item.encoding <-> named.centroid > facerec.center_radius()
), grown AS (
    SELECT named.person_id
    FROM named JOIN item USING (person_id)
    WHERE (
        SELECT f.face_id
        FROM facerec.:"face" f
        WHERE f.collection_id = $1 AND f.person_key = named.person_key AND f.content_id = item.content_id
          AND f.expire_time > now()
          AND (f.create_time <= now() - (SELECT c.retention FROM facerec.collection c WHERE c.collection_id = $1))
              IS NOT TRUE
    ) IS NULL
), owner AS (
    INSERT INTO facerec.:"person" AS p (collection_id, person_id, display_name, centroid)
    SELECT $1, named.person_id, named.display_name, named.centroid
    FROM named
    WHERE named.person_key IS NULL
       OR named.person_key NOT IN (SELECT unnest($10::bigint[]))
       OR named.person_id IN (SELECT grown.person_id FROM grown)
       OR (
           named.display_name <> ''
           AND named.display_name <> (
               SELECT p.display_name FROM facerec.:"person" p WHERE p.collection_id = $1 AND p.person_key = named.person_key
           )
       )
    ORDER BY named.person_id COLLATE "C"
    ON CONFLICT (collection_id, person_id) DO UPDATE
        SET update_time = clock_timestamp(),
            display_name = CASE WHEN excluded.display_name = '' THEN p.display_name ELSE excluded.display_name END
    RETURNING p.person_key, p.person_id, p.xmax = 0 AS is_new
), added AS (
    INSERT INTO facerec.:"face" AS f (
        collection_id, person_key, encoding, model_key, content_id, external_ref, expire_time
    )
    SELECT $1, owner.person_key, item.encoding, m.model_key, item.content_id, item.external_ref,
           coalesce(item.expire_time, 'infinity')
    FROM item
    JOIN owner USING (person_id)
    JOIN facerec.model m ON m.space = $9::text AND m.fingerprint = item.fingerprint
    ORDER BY item.place
    -- One past its time, or the retention, is taken anew: it is there no more, or would not be for long.
    ON CONFLICT (collection_id, person_key, content_id) DO UPDATE
        SET face_id = gen_random_uuid(),
            encoding = excluded.encoding,
            model_key = excluded.model_key,
            external_ref = excluded.external_ref,
            expire_time = excluded.expire_time,
            create_time = clock_timestamp()
        WHERE f.expire_time <= now()
           OR f.create_time <= now() - (SELECT c.retention FROM facerec.collection c WHERE c.collection_id = $1)
    RETURNING f.person_key, f.xmax <> 0 AS replaced
), receipt AS (
    INSERT INTO facerec.erasure (collection_id, persons, faces)
    SELECT $1, 0, (SELECT count(*) FROM added WHERE added.replaced)
    WHERE EXISTS (SELECT FROM added WHERE added.replaced)
)
SELECT (SELECT count(*) FROM added) AS faces,
       (SELECT count(*) FROM added WHERE added.replaced) AS expired,
       (SELECT count(*) FROM owner WHERE owner.is_new) AS persons,
       ARRAY(
           SELECT DISTINCT added.person_key
           FROM added JOIN owner USING (person_key)
           WHERE NOT owner.is_new OR owner.person_id IN (SELECT apart.person_id FROM apart)
       ) AS grown;

-- name: work_out_centers
-- $2 keys of locked people. Person (person_key), face (person_key, content_id).
WITH kept AS MATERIALIZED (
    SELECT f.person_key,
           avg(f.encoding) AS centroid,
           facerec.pick_centers(array_agg(f.content_id), array_agg(f.encoding)) AS centers
    FROM facerec.:"face" f
    WHERE f.collection_id = $1 AND f.person_key = ANY ($2::bigint[])
    GROUP BY f.person_key
), marked AS (
    UPDATE facerec.:"face" f
    SET is_center = NOT f.is_center
    FROM kept
    WHERE f.collection_id = $1 AND f.person_key = ANY ($2::bigint[])
      AND f.person_key = kept.person_key AND f.is_center <> (f.content_id = ANY (kept.centers))
)
UPDATE facerec.:"person" p
SET centroid = kept.centroid
FROM unnest($2::bigint[]) AS k(person_key) LEFT JOIN kept USING (person_key)
WHERE p.collection_id = $1 AND p.person_key = ANY ($2::bigint[]) AND p.person_key = k.person_key;

-- name: find_full
-- $2 keys of locked people, $3 the most faces that a person may have. The ids of those who have more. Person
-- (person_key), face (person_key, content_id), no more of each person's than tell.
SELECT p.person_id
FROM facerec.:"person" p
WHERE p.collection_id = $1 AND p.person_key = ANY ($2::bigint[])
  AND (
      SELECT count(*)
      FROM (
          SELECT
          FROM facerec.:"face" f
          WHERE f.collection_id = $1 AND f.person_key = p.person_key AND f.expire_time > now()
          LIMIT $3::bigint + 1
      ) few
  ) > $3::bigint;

-- name: find_beyond
-- A column a face: $2 person ids, $3 content ids; $4 the most faces that a person may have. The places, from 1, of the
-- faces that this transaction added, or that are to be added, beyond that many, with the person's key and the face's id
-- or null. Those of a person count in the order of their places. A face is this transaction's by its xmin. Person
-- (person_id), face (person_key, content_id), each looked up: there are no statistics of either.
SELECT n.place, n.person_key, n.face_id
FROM (
    SELECT i.place,
           p.person_key,
           f.face_id,
           row_number() OVER (PARTITION BY i.person_id ORDER BY i.place) AS number,
           (
               SELECT count(*)
               FROM facerec.:"face" f
               WHERE f.collection_id = $1 AND f.person_key = p.person_key AND f.expire_time > now()
                 AND f.xmin IS DISTINCT FROM pg_current_xact_id_if_assigned()::xid
           ) AS others
    FROM unnest($2::text[], $3::uuid[]) WITH ORDINALITY AS i(person_id, content_id, place)
    LEFT JOIN LATERAL (
        SELECT p.person_key FROM facerec.:"person" p WHERE p.collection_id = $1 AND p.person_id = i.person_id OFFSET 0
    ) p ON true
    LEFT JOIN LATERAL (
        SELECT f.face_id,
               f.xmin IS DISTINCT FROM pg_current_xact_id_if_assigned()::xid
               AND f.expire_time > now()
               AND (f.create_time <= now() - (SELECT c.retention FROM facerec.collection c WHERE c.collection_id = $1))
                   IS NOT TRUE AS was_there
        FROM facerec.:"face" f
        WHERE f.collection_id = $1 AND f.person_key = p.person_key AND f.content_id = i.content_id
        OFFSET 0
    ) f ON true
    WHERE f.was_there IS NOT TRUE
) n
WHERE n.number > $4::bigint - n.others
ORDER BY n.place;

-- name: drop_beyond
-- $2 ids of faces that this transaction added. Face (face_id).
DELETE FROM facerec.:"face" f WHERE f.collection_id = $1 AND f.face_id = ANY ($2::uuid[]);

-- name: count_known
-- A column a face: $2 person ids, $3 content ids. How many of them are there, and not to be taken anew. Primary keys
-- of collection and person, face (person_key, content_id). OFFSET 0 has each looked up: there are no statistics of
-- either, and a join could read all faces.
SELECT count(*) AS known
FROM unnest($2::text[], $3::uuid[]) AS i(person_id, content_id)
CROSS JOIN LATERAL (
    SELECT p.person_key FROM facerec.:"person" p WHERE p.collection_id = $1 AND p.person_id = i.person_id OFFSET 0
) p
CROSS JOIN LATERAL (
    SELECT f.expire_time, f.create_time
    FROM facerec.:"face" f
    WHERE f.collection_id = $1 AND f.person_key = p.person_key AND f.content_id = i.content_id
    OFFSET 0
) f
WHERE f.expire_time > now()
  AND (f.create_time <= now() - (SELECT c.retention FROM facerec.collection c WHERE c.collection_id = $1)) IS NOT TRUE;

-- name: find_same_encodings
-- A column a face: $2 person ids, $3 content ids, $4 encodings. The places, from 1, of the faces whose person has that
-- very encoding under another content, as that of a photo, and that content. Person (person_id), face (person_key,
-- content_id): all faces of those people are read.
SELECT i.place, f.content_id
FROM unnest($2::text[], $3::uuid[], $4::vector[]) WITH ORDINALITY AS i(person_id, content_id, encoding, place)
CROSS JOIN LATERAL (
    SELECT p.person_key FROM facerec.:"person" p WHERE p.collection_id = $1 AND p.person_id = i.person_id OFFSET 0
) p
CROSS JOIN LATERAL (
    SELECT f.content_id
    FROM facerec.:"face" f
    WHERE f.collection_id = $1 AND f.person_key = p.person_key AND f.encoding = i.encoding
      AND f.content_id <> i.content_id AND f.expire_time > now()
      AND (f.create_time <= now() - (SELECT c.retention FROM facerec.collection c WHERE c.collection_id = $1))
          IS NOT TRUE
    ORDER BY f.content_id
    LIMIT 1
) f;

-- name: count_strangers
-- $2 person ids. How many of them are nobody yet. Primary key of person.
SELECT count(DISTINCT i.person_id) AS strangers
FROM unnest($2::text[]) AS i(person_id)
WHERE NOT EXISTS (SELECT FROM facerec.:"person" p WHERE p.collection_id = $1 AND p.person_id = i.person_id);

-- name: note_import
-- $2 import, locked; $3 next row; then what the chunk added: $4 faces, $5 faces there, $6 refused, $7 persons.
-- Answers the policy in force. Primary keys.
UPDATE facerec.face_import i
SET next_row = $3,
    faces_added = i.faces_added + $4,
    faces_already_there = i.faces_already_there + $5,
    rows_refused = i.rows_refused + $6,
    persons_added = i.persons_added + $7
WHERE i.collection_id = $1 AND i.import_id = $2
RETURNING (SELECT c.duplicate_policy FROM facerec.collection c WHERE c.collection_id = $1) AS duplicate_policy;

-- name: get_import
-- $2 import. A row where there is the collection. Primary keys.
SELECT coalesce(i.next_row, 0) AS next_row,
       coalesce(i.faces_added, 0) AS faces_added,
       coalesce(i.faces_already_there, 0) AS faces_already_there,
       coalesce(i.rows_refused, 0) AS rows_refused,
       coalesce(i.persons_added, 0) AS persons_added,
       c.space,
       c.duplicate_policy
FROM facerec.collection c
LEFT JOIN facerec.face_import i ON i.collection_id = c.collection_id AND i.import_id = $2
WHERE c.collection_id = $1;

-- name: export_faces
-- $2 the last row's person or '', $3 and $4 its face's time and id or null, $5 most rows. Faces by person and age; a
-- row without a face for a person who has none, or none left. Primary key of person in its order, face (person_key,
-- content_id), each person's faces sorted by themselves; model. OFFSET 0 keeps the planner from reading all faces for
-- each page, which took 30 times as long at a million.
SELECT p.person_id, p.display_name, f.face_id, f.create_time, f.encoding, f.external_ref, f.expire_time, m.fingerprint
FROM (
    SELECT p.person_id, p.person_key, p.display_name
    FROM facerec.:"person" p
    WHERE p.collection_id = $1 AND p.person_id >= $2 AND (p.person_id > $2 OR $3::timestamptz IS NOT NULL)
    ORDER BY p.person_id
    LIMIT $5
) p
LEFT JOIN LATERAL (
    SELECT f.face_id, f.create_time, f.encoding, f.external_ref, f.expire_time, f.model_key
    FROM facerec.:"face" f
    WHERE f.collection_id = $1 AND f.person_key = p.person_key AND f.expire_time > now()
      AND (p.person_id > $2 OR (f.create_time, f.face_id) > ($3::timestamptz, $4::uuid))
    OFFSET 0
) f ON true
LEFT JOIN facerec.model m ON m.model_key = f.model_key
ORDER BY p.person_id, f.create_time, f.face_id
LIMIT $5;
