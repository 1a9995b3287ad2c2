-- Every statement the serving role runs. `-- name:` begins one; store.py has a method for each.
--
-- $1 is the collection in all that take one, and :"person", :"face" and :"enroll_request" stand for its own
-- partitions (psql reads them so too, after \set). So no statement can see another tenant's rows, and none
-- takes a lock that another tenant's calls could wait for. All but the writers begin at facerec.collection:
-- no row means that there is no such collection.
--
-- `<->` is pgvector's Euclidean distance, float8; a match is `distance <= threshold`, both float8.
-- A face past its expire_time is not there. One past the collection's retention is there until `maintain` erases
-- it, or a change of its person's faces does. Faces have two indexes, here called by their columns: (face_id),
-- the primary key, and (person_key, content_id); people have (person_id), the primary key, and (person_key).
-- All are led by collection_id.

-- name: schema_version
-- The last migration applied, and the least version that a release must know to be served by the schema. A ledger
-- from before migrations said so has no column for it: each then serves who knows it. A table of a few rows.
SELECT coalesce(max(m.version), 0) AS version,
       coalesce(max(coalesce((to_jsonb(m) ->> 'serves_from')::int, m.version)), 0) AS serves_from
FROM facerec.schema_migration m;

-- name: schema_identity
-- What a connection's prepared statements and codecs hold on to: other numbers mean that pgvector or our schema was
-- dropped and made anew, or pgvector moved. Null where something is not there. Catalogs alone.
SELECT e.oid::bigint AS extension, e.extnamespace::bigint AS namespace, t.oid::bigint AS type,
       to_regclass('facerec.collection')::oid::bigint AS collections,
       to_regclass('facerec.schema_migration')::oid::bigint AS ledger
FROM (SELECT) AS one
LEFT JOIN pg_catalog.pg_extension e ON e.extname = 'vector'
LEFT JOIN pg_catalog.pg_type t ON t.typname = 'vector' AND t.typnamespace = e.extnamespace;

-- name: tables_state
-- Of a collection's tables that a statement names, whether one is not there, and whether the collection is. Catalogs
-- and the primary key of collections.
SELECT (SELECT bool_or(to_regclass('facerec.' || quote_ident(name)) IS NULL) FROM unnest($1::text[]) AS name) AS gone,
       EXISTS (SELECT FROM facerec.collection c WHERE c.collection_id = $2) AS collection;

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

-- name: preview_enroll
-- $2 person, $3 request id, $4 content ids, $5 the request's digest: what is known before anything is encoded or
-- locked. An earlier request's content can be compared only while its person is there, whose key its digest has.
-- Primary keys of collection, recent_enrollment, person, enroll_request and model, person (person_key), face (person_key, content_id) and
-- (face_id).
SELECT c.space,
       c.duplicate_policy,
       c.duplicate_threshold,
       c.min_face_pixels,
       c.refused_qualities,
       recent.enrolled,
       r.request_tag IS NOT NULL AS replayed,
       requested.person_key IS NOT NULL AS person_stands,
       r.digest = facerec.request_digest(requested.audit_key, $5) AS same_content,
       r.person_created,
       r.face_ids,
       r.already_enrolled,
       r.face_times,
       ARRAY(
           SELECT m.fingerprint
           FROM unnest(r.model_keys) WITH ORDINALITY AS k(model_key, place)
           JOIN facerec.model m USING (model_key)
           ORDER BY k.place
       ) AS fingerprints,
       ARRAY(
           SELECT f.external_ref
           FROM unnest(r.face_ids) WITH ORDINALITY AS k(face_id, place)
           LEFT JOIN facerec.:"face" f ON f.collection_id = $1 AND f.face_id = k.face_id
           ORDER BY k.place
       ) AS external_refs,
       ARRAY(
           SELECT f.expire_time
           FROM unnest(r.face_ids) WITH ORDINALITY AS k(face_id, place)
           LEFT JOIN facerec.:"face" f ON f.collection_id = $1 AND f.face_id = k.face_id
           ORDER BY k.place
       ) AS expire_times,
       ARRAY(
           SELECT f.content_id
           FROM facerec.:"face" f
           WHERE f.collection_id = $1 AND f.person_key = p.person_key AND f.content_id = ANY ($4::uuid[])
             AND f.expire_time > now() AND (f.create_time <= now() - c.retention) IS NOT TRUE
       ) AS known_content_ids
FROM facerec.collection c
LEFT JOIN facerec.recent_enrollment recent ON recent.collection_id = c.collection_id
LEFT JOIN facerec.:"person" p ON p.collection_id = $1 AND p.person_id = $2
LEFT JOIN facerec.:"enroll_request" r ON r.collection_id = $1 AND r.request_tag = facerec.request_tag($3)
LEFT JOIN facerec.:"person" requested ON requested.collection_id = $1 AND requested.person_key = r.person_key
WHERE c.collection_id = $1;

-- name: lock_enrolled_person
-- $2 person, $3 space, $4 fingerprints. Creates the person, or locks the one there is until the
-- transaction's end (DO UPDATE locks the row even where its condition is false), so that the next
-- statement sees whatever the lock was waited for. A row when the person is new.
-- Primary key of person, model (space, fingerprint). Models are looked up first: a conflict would use up
-- a number of the key's sequence at every enrolment. They are made before the person is locked, since the
-- condition counts them: as imports do, so that neither waits for the other. Before both comes the lock that a
-- change of the policy waits for: what reads the policy next reads the one in force.
WITH entered AS MATERIALIZED (
    SELECT facerec.enter_enrollment($1)
), new_model AS (
    INSERT INTO facerec.model (space, fingerprint)
    SELECT DISTINCT $3::text, u.fingerprint
    FROM unnest($4::text[]) AS u(fingerprint)
    WHERE (SELECT count(*) FROM entered) = 1
      AND u.fingerprint IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM facerec.model m WHERE m.space = $3::text AND m.fingerprint = u.fingerprint
      )
    ORDER BY 2
    ON CONFLICT DO NOTHING
    RETURNING model_key
)
INSERT INTO facerec.:"person" (collection_id, person_id)
SELECT $1, $2
WHERE (SELECT count(*) FROM entered) = 1 AND (SELECT count(*) FROM new_model) >= 0
ON CONFLICT (collection_id, person_id) DO UPDATE SET person_id = excluded.person_id WHERE false
RETURNING person_key;

-- name: drop_expired
-- $2 ids of locked persons. Erases what of theirs has expired or is past the retention, as `maintain` would, so
-- that the same photo can come again and a merge neither counts it nor takes it for a copy of what is still there.
-- A row for each who had some. Primary keys of collection and person, face (person_key, content_id), person
-- (person_key). Keys as arrays: there are no statistics of person_id, and a join by it could read all faces.
WITH gone AS (
    DELETE FROM facerec.:"face" f
    WHERE f.collection_id = $1
      AND f.person_key = ANY (ARRAY(
          SELECT (SELECT p.person_key FROM facerec.:"person" p WHERE p.collection_id = $1 AND p.person_id = i.person_id)
          FROM unnest($2::text[]) AS i(person_id)
      ))
      AND (f.expire_time <= now()
           OR f.create_time <= now() - (SELECT c.retention FROM facerec.collection c WHERE c.collection_id = $1))
    RETURNING f.person_key, f.face_id
), kept AS MATERIALIZED (
    SELECT f.person_key,
           avg(f.encoding) AS centroid,
           facerec.pick_centers(array_agg(f.content_id), array_agg(f.encoding)) AS centers
    FROM facerec.:"face" f
    WHERE f.collection_id = $1 AND f.person_key = ANY (ARRAY(SELECT gone.person_key FROM gone))
      AND f.face_id NOT IN (SELECT gone.face_id FROM gone)
    GROUP BY f.person_key
), marked AS (
    UPDATE facerec.:"face" f
    SET is_center = NOT f.is_center
    FROM kept
    WHERE f.collection_id = $1 AND f.person_key = ANY (ARRAY(SELECT gone.person_key FROM gone))
      AND f.person_key = kept.person_key AND f.is_center <> (f.content_id = ANY (kept.centers))
      AND f.face_id NOT IN (SELECT gone.face_id FROM gone)
), changed AS (
    UPDATE facerec.:"person" p
    SET update_time = clock_timestamp(),
        centroid = (SELECT kept.centroid FROM kept WHERE kept.person_key = p.person_key)
    WHERE p.collection_id = $1 AND p.person_key = ANY (ARRAY(SELECT gone.person_key FROM gone))
    RETURNING p.person_key, facerec.audit_tag(p.audit_key, p.person_id) AS person_tag
), receipt AS (
    INSERT INTO facerec.erasure (collection_id, persons, faces)
    SELECT $1, 0, (SELECT count(*) FROM gone)
    WHERE EXISTS (SELECT FROM gone)
)
SELECT changed.person_tag, (SELECT count(*) FROM gone WHERE gone.person_key = changed.person_key) AS faces
FROM changed;

-- name: any_lasts
-- $2 keys of locked persons. Whether they have a face that drop_expired leaves. Primary key of collection, face
-- (person_key, content_id).
SELECT EXISTS (
    SELECT FROM facerec.:"face" f
    WHERE f.collection_id = $1 AND f.person_key = ANY ($2::bigint[])
      AND f.expire_time > now()
      AND (f.create_time <= now() - (SELECT c.retention FROM facerec.collection c WHERE c.collection_id = $1)) IS NOT TRUE
) AS lasts;

-- name: count_merged
-- $2 keys of locked persons. How many faces one person of them would have. Face (person_key, content_id).
SELECT count(DISTINCT f.content_id) AS faces
FROM facerec.:"face" f
WHERE f.collection_id = $1 AND f.person_key = ANY ($2::bigint[]) AND f.expire_time > now();

-- name: add_faces
-- $2 person, locked; $3 display name or null; then a column an item: $4 content ids, $5 encodings,
-- $6 fingerprints, $7 ids of stored faces to copy, $8 external refs; $9 space, $10 expire time or null. A
-- row an item, in order.
-- content_id is null where the face to copy is gone, face_id where the photo was known and is no longer. The policy
-- is the one in force.
-- Face (person_key, content_id) and (face_id), model (space, fingerprint), primary keys of person and collection.
WITH owner AS MATERIALIZED (
    SELECT p.person_key, p.create_time
    FROM facerec.:"person" p
    WHERE p.collection_id = $1 AND p.person_id = $2
), item AS MATERIALIZED (
    SELECT i.place,
           coalesce(i.content_id, source.content_id) AS content_id,
           coalesce(i.encoding, source.encoding) AS encoding,
           coalesce(m.model_key, source.model_key) AS model_key,
           i.external_ref,
           row_number() OVER (
               PARTITION BY coalesce(i.content_id, source.content_id)
               ORDER BY i.encoding IS NULL AND source.encoding IS NULL, i.place
           ) AS copy
    FROM unnest($4::uuid[], $5::vector[], $6::text[], $7::uuid[], $8::text[]) WITH ORDINALITY
        AS i(content_id, encoding, fingerprint, source_id, external_ref, place)
    LEFT JOIN facerec.:"face" source
        ON source.collection_id = $1 AND source.face_id = i.source_id AND source.expire_time > now()
    LEFT JOIN facerec.model m ON m.space = $9::text AND m.fingerprint = i.fingerprint
), existing AS MATERIALIZED (
    SELECT f.face_id, f.content_id, f.model_key, f.external_ref, f.create_time, f.expire_time
    FROM owner JOIN facerec.:"face" f ON f.collection_id = $1 AND f.person_key = owner.person_key
    WHERE f.content_id IN (SELECT item.content_id FROM item)
), fresh AS MATERIALIZED (
    SELECT item.*
    FROM item
    WHERE item.copy = 1
      AND item.encoding IS NOT NULL
      AND NOT EXISTS (SELECT FROM existing WHERE existing.content_id = item.content_id)
), grown AS MATERIALIZED (
    SELECT avg(every.encoding) AS centroid,
           facerec.pick_centers(array_agg(every.content_id), array_agg(every.encoding)) AS centers
    FROM (
        SELECT f.content_id, f.encoding
        FROM owner JOIN facerec.:"face" f ON f.collection_id = $1 AND f.person_key = owner.person_key
        UNION ALL
        SELECT fresh.content_id, fresh.encoding FROM fresh
    ) every
    WHERE EXISTS (SELECT FROM fresh)
), marked AS (
    UPDATE facerec.:"face" f
    SET is_center = NOT f.is_center
    FROM owner, grown
    WHERE f.collection_id = $1 AND f.person_key = owner.person_key
      AND f.is_center <> (f.content_id = ANY (grown.centers))
), added AS (
    INSERT INTO facerec.:"face" (
        collection_id, person_key, encoding, model_key, content_id, external_ref, expire_time, is_center
    )
    SELECT $1, owner.person_key, fresh.encoding, fresh.model_key, fresh.content_id, fresh.external_ref,
           coalesce($10::timestamptz, 'infinity'), fresh.content_id = ANY (grown.centers)
    FROM owner, fresh, grown
    ORDER BY fresh.place
    RETURNING face_id, content_id, model_key, external_ref, create_time, expire_time
), changed AS (
    UPDATE facerec.:"person" p
    SET display_name = coalesce($3::text, p.display_name),
        update_time = clock_timestamp(),
        centroid = coalesce(grown.centroid, p.centroid)
    FROM owner, grown
    WHERE p.collection_id = $1
      AND p.person_key = owner.person_key
      AND (p.display_name <> $3::text OR EXISTS (SELECT FROM added))
    RETURNING p.display_name, p.update_time
), stored AS (
    SELECT face_id, content_id, model_key, external_ref, create_time, expire_time, true AS existed
    FROM existing
    UNION ALL
    SELECT face_id, content_id, model_key, external_ref, create_time, expire_time, false FROM added
)
SELECT item.content_id,
       stored.face_id,
       stored.existed OR item.copy > 1 AS already_enrolled,
       stored.model_key,
       m.fingerprint,
       stored.external_ref,
       stored.create_time AS face_time,
       stored.expire_time,
       p.person_key,
       facerec.audit_tag(p.audit_key, p.person_id) AS person_tag,
       coalesce((SELECT display_name FROM changed), p.display_name) AS display_name,
       p.display_name <> $3::text AS renamed,
       p.create_time,
       coalesce((SELECT update_time FROM changed), p.update_time) AS update_time,
       (SELECT count(*) FROM facerec.:"face" f WHERE f.collection_id = $1 AND f.person_key = p.person_key)
           + (SELECT count(*) FROM added) AS faces,
       c.duplicate_policy,
       c.duplicate_threshold
FROM facerec.:"person" p
JOIN facerec.collection c ON c.collection_id = $1
CROSS JOIN item
LEFT JOIN stored USING (content_id)
LEFT JOIN facerec.model m ON m.model_key = stored.model_key
WHERE p.collection_id = $1 AND p.person_id = $2
ORDER BY item.place;

-- name: begin_refusing
-- Makes the row that enrolments of a collection that refuses duplicates lock. Primary key.
INSERT INTO facerec.recent_enrollment (collection_id)
SELECT c.collection_id FROM facerec.collection c WHERE c.collection_id = $1
ON CONFLICT DO NOTHING;

-- name: note_recent_enrollment
-- $2 ids of the faces added, $3 how many to keep. Lets one enrolment at a time commit, until the transaction's end: the
-- last thing an enrolment, a merge or an import locks, so that none waits for another. A row with what was counted
-- before, and how many faces are kept now. Primary key.
UPDATE facerec.recent_enrollment r
SET enrolled = r.enrolled + cardinality($2::uuid[]),
    face_ids = (r.face_ids || $2::uuid[])[
        greatest(1, cardinality(r.face_ids) + cardinality($2::uuid[]) - $3::integer + 1) :
    ]
WHERE r.collection_id = $1
RETURNING r.enrolled - cardinality($2::uuid[]) AS enrolled, cardinality(r.face_ids) AS kept;

-- name: find_recent_duplicate
-- $2 person, $3 ids of the faces added, $4 how many of the last faces to compare with, $5 largest distance. The first
-- of the faces added that is so near to another person's, and who that is; no row for none. Primary key of
-- recent_enrollment, face (face_id), person (person_key).
SELECT added.face_id, p.person_id
FROM facerec.recent_enrollment r
CROSS JOIN LATERAL unnest(r.face_ids[cardinality(r.face_ids) - $4::integer + 1 :]) AS recent(face_id)
JOIN facerec.:"face" f ON f.collection_id = $1 AND f.face_id = recent.face_id AND f.expire_time > now()
JOIN facerec.:"person" p ON p.collection_id = $1 AND p.person_key = f.person_key AND p.person_id <> $2
JOIN facerec.:"face" added ON added.collection_id = $1 AND added.face_id = ANY ($3::uuid[])
WHERE r.collection_id = $1 AND added.encoding <-> f.encoding <= $5::float8
ORDER BY array_position($3::uuid[], added.face_id), p.person_id
LIMIT 1;

-- name: outdate_searches
-- Has every enrolment under way search anew, where the collection has ever refused duplicates: for faces in bulk, and
-- for faces that are another person's now. Primary key.
UPDATE facerec.recent_enrollment r SET enrolled = r.enrolled + 1, face_ids = '{}' WHERE r.collection_id = $1;

-- name: add_enroll_request
-- $2 request id, $3 its content's digest, $4 the key of a locked person. Keeps what a request id was answered with. A
-- row unless the id is taken; its primary key. Person (person_key).
INSERT INTO facerec.:"enroll_request" (
    collection_id, request_tag, digest, person_key, person_created,
    face_ids, already_enrolled, model_keys, face_times
)
SELECT $1, facerec.request_tag($2), facerec.request_digest(p.audit_key, $3), $4, $5, $6, $7, $8, $9
FROM facerec.:"person" p
WHERE p.collection_id = $1 AND p.person_key = $4
ON CONFLICT DO NOTHING
RETURNING true;

-- name: get_person
-- $2 person. Primary keys of collection and person, face (person_key, content_id).
SELECT p.person_id, p.display_name, p.create_time, p.update_time,
       (SELECT count(*) FROM facerec.:"face" f WHERE f.collection_id = $1 AND f.person_key = p.person_key
          AND f.expire_time > now()) AS faces
FROM facerec.collection c
LEFT JOIN facerec.:"person" p ON p.collection_id = $1 AND p.person_id = $2
WHERE c.collection_id = $1;

-- name: list_persons
-- $2 the last page's last person or '', $3 most rows, $4 what the ids begin with or ''. Primary key of person, in
-- its order and from the first such id to the last there can be, which has 128 times the largest character behind
-- $4; each person's faces by (person_key, content_id).
SELECT p.*,
       (SELECT count(*) FROM facerec.:"face" f WHERE f.collection_id = $1 AND f.person_key = p.person_key
          AND f.expire_time > now()) AS faces
FROM facerec.collection c
LEFT JOIN LATERAL (
    SELECT person_id, display_name, create_time, update_time, person_key
    FROM facerec.:"person"
    WHERE collection_id = $1 AND person_id > $2 AND person_id >= $4
      AND person_id <= $4 || repeat(chr(1114111), 128)
    ORDER BY person_id
    LIMIT $3
) p ON true
WHERE c.collection_id = $1
ORDER BY p.person_id;

-- name: begin_person_export
-- $2 person. As get_person, with the key and the tag of the person. Primary keys of collection and person, face
-- (person_key, content_id).
SELECT p.person_id, p.display_name, p.create_time, p.update_time, p.person_key, c.space,
       facerec.audit_tag(p.audit_key, p.person_id) AS person_tag,
       (SELECT count(*) FROM facerec.:"face" f WHERE f.collection_id = $1 AND f.person_key = p.person_key
          AND f.expire_time > now()) AS faces
FROM facerec.collection c
LEFT JOIN facerec.:"person" p ON p.collection_id = $1 AND p.person_id = $2
WHERE c.collection_id = $1;

-- name: export_person_faces
-- $2 the person's key, $3 and $4 the last page's last time and id or null, $5 most rows, $6 true for vectors too. Face
-- (person_key, content_id), sorted: it is one person's; model.
SELECT f.face_id, f.external_ref, f.create_time, f.expire_time, m.space, m.fingerprint,
       CASE WHEN $6::boolean THEN f.encoding END AS encoding
FROM facerec.:"face" f
JOIN facerec.model m ON m.model_key = f.model_key
WHERE f.collection_id = $1 AND f.person_key = $2 AND f.expire_time > now()
  AND ($3::timestamptz IS NULL OR (f.create_time, f.face_id) > ($3::timestamptz, $4::uuid))
ORDER BY f.create_time, f.face_id
LIMIT $5;

-- name: update_person
-- $2 person, $3 display name. Primary key of person; face (person_key, content_id).
WITH changed AS (
    UPDATE facerec.:"person" p
    SET display_name = $3,
        update_time = CASE WHEN p.display_name = $3 THEN p.update_time ELSE clock_timestamp() END
    WHERE p.collection_id = $1 AND p.person_id = $2
    RETURNING p.person_id, p.display_name, p.create_time, p.update_time, p.person_key,
              facerec.audit_tag(p.audit_key, p.person_id) AS person_tag
)
SELECT changed.*,
       (SELECT count(*) FROM facerec.:"face" f
        WHERE f.collection_id = $1 AND f.person_key = changed.person_key
          AND f.expire_time > now()) AS faces
FROM facerec.collection c
LEFT JOIN changed ON true
WHERE c.collection_id = $1;

-- name: lock_person
-- $2 person. Locks the person, if any, until the transaction's end. Primary keys.
WITH held AS MATERIALIZED (
    SELECT p.person_key, facerec.audit_tag(p.audit_key, p.person_id) AS person_tag
    FROM facerec.:"person" p
    WHERE p.collection_id = $1 AND p.person_id = $2
    FOR UPDATE
)
SELECT held.person_key, held.person_tag
FROM facerec.collection c
LEFT JOIN held ON true
WHERE c.collection_id = $1;

-- name: delete_person
-- $2 the key of a locked person. Person (person_key), face (person_key, content_id).
WITH person AS (
    DELETE FROM facerec.:"person" WHERE collection_id = $1 AND person_key = $2 RETURNING 1
), face AS (
    DELETE FROM facerec.:"face" WHERE collection_id = $1 AND person_key = $2 RETURNING 1
), tries AS (
    DELETE FROM facerec.failed_try WHERE collection_id = $1 AND person_key = $2
), receipt AS (
    INSERT INTO facerec.erasure (collection_id, persons, faces)
    SELECT $1, (SELECT count(*) FROM person), (SELECT count(*) FROM face)
    WHERE EXISTS (SELECT FROM person)
    RETURNING erasure_id, delete_time
)
SELECT (SELECT count(*) FROM person) AS persons, (SELECT count(*) FROM face) AS faces,
       coalesce((SELECT delete_time FROM receipt), clock_timestamp()) AS delete_time,
       (SELECT erasure_id FROM receipt) AS erasure_id;

-- name: list_faces
-- $2 person, $3 and $4 the last page's last time and id or null, $5 most rows.
-- Primary keys of collection and person, face (person_key, content_id), sorted: it is one person's.
SELECT c.space, p.person_key IS NOT NULL AS person_found,
       f.face_id, f.external_ref, f.create_time, f.expire_time, m.fingerprint
FROM facerec.collection c
LEFT JOIN facerec.:"person" p ON p.collection_id = $1 AND p.person_id = $2
LEFT JOIN LATERAL (
    SELECT face_id, external_ref, create_time, expire_time, model_key
    FROM facerec.:"face"
    WHERE collection_id = $1 AND person_key = p.person_key AND expire_time > now()
      AND ($3::timestamptz IS NULL OR (create_time, face_id) > ($3::timestamptz, $4::uuid))
    ORDER BY create_time, face_id
    LIMIT $5
) f ON true
LEFT JOIN facerec.model m ON m.model_key = f.model_key
WHERE c.collection_id = $1
ORDER BY f.create_time, f.face_id;

-- name: get_face
-- $2 face. Primary key of collection, face (face_id), person (person_key), model.
SELECT c.space, p.person_id, f.face_id, f.external_ref, f.create_time, f.expire_time, m.fingerprint
FROM facerec.collection c
LEFT JOIN facerec.:"face" f ON f.collection_id = $1 AND f.face_id = $2 AND f.expire_time > now()
LEFT JOIN facerec.:"person" p ON p.collection_id = $1 AND p.person_key = f.person_key
LEFT JOIN facerec.model m ON m.model_key = f.model_key
WHERE c.collection_id = $1;

-- name: update_face
-- $2 face, $3 the key of the locked person it is of, $4 its reference or null to leave it, $5 true to change its end,
-- $6 to this. A row where there is the face. Face (face_id), person (person_key).
WITH face AS (
    UPDATE facerec.:"face"
    SET external_ref = coalesce($4, external_ref),
        expire_time = CASE WHEN $5::boolean THEN $6::timestamptz ELSE expire_time END
    WHERE collection_id = $1 AND face_id = $2 AND person_key = $3 AND expire_time > now()
    RETURNING 1
)
UPDATE facerec.:"person"
SET update_time = clock_timestamp()
WHERE collection_id = $1 AND person_key = $3 AND EXISTS (SELECT FROM face)
RETURNING person_id;

-- name: lock_person_of_face
-- $2 face. Locks whose it is, as every change of a person's faces does first. Where a merge moved the face
-- while the lock was waited for, face_found is true and person_key null: asked again, it is the new one's.
-- Face (face_id), person (person_key).
WITH held AS MATERIALIZED (
    SELECT p.person_key, facerec.audit_tag(p.audit_key, p.person_id) AS person_tag
    FROM facerec.:"face" f JOIN facerec.:"person" p ON p.person_key = f.person_key
    WHERE f.collection_id = $1 AND f.face_id = $2 AND p.collection_id = $1
    FOR UPDATE OF p
)
SELECT EXISTS (
           SELECT FROM facerec.:"face" f WHERE f.collection_id = $1 AND f.face_id = $2
       ) AS face_found,
       held.person_key,
       held.person_tag
FROM facerec.collection c
LEFT JOIN held ON true
WHERE c.collection_id = $1;

-- name: delete_face
-- $2 face, $3 the key of the locked person it is of. Face (face_id), person (person_key).
WITH face AS (
    DELETE FROM facerec.:"face"
    WHERE collection_id = $1 AND face_id = $2 AND person_key = $3
    RETURNING 1
), kept AS MATERIALIZED (
    SELECT avg(f.encoding) AS centroid,
           facerec.pick_centers(array_agg(f.content_id), array_agg(f.encoding)) AS centers
    FROM facerec.:"face" f
    WHERE f.collection_id = $1 AND f.person_key = $3 AND f.face_id <> $2 AND EXISTS (SELECT FROM face)
), marked AS (
    UPDATE facerec.:"face" f
    SET is_center = NOT f.is_center
    FROM kept
    WHERE f.collection_id = $1 AND f.person_key = $3 AND f.face_id <> $2
      AND f.is_center <> (f.content_id = ANY (kept.centers))
), person AS (
    UPDATE facerec.:"person"
    SET update_time = clock_timestamp(), centroid = (SELECT kept.centroid FROM kept)
    WHERE collection_id = $1 AND person_key = $3 AND EXISTS (SELECT FROM face)
), receipt AS (
    INSERT INTO facerec.erasure (collection_id, persons, faces)
    SELECT $1, 0, 1 WHERE EXISTS (SELECT FROM face)
    RETURNING erasure_id, delete_time
)
SELECT (SELECT count(*) FROM face) AS faces,
       coalesce((SELECT delete_time FROM receipt), clock_timestamp()) AS delete_time,
       (SELECT erasure_id FROM receipt) AS erasure_id;

-- name: get_erasure
-- $2 erasure. A row where there is the collection, without a time where there is no such erasure. Primary keys.
SELECT e.persons, e.faces, e.delete_time, e.vacuum_time, e.scrub_time
FROM facerec.collection c
LEFT JOIN facerec.erasure e ON e.collection_id = c.collection_id AND e.erasure_id = $2
WHERE c.collection_id = $1;

-- name: lock_merged_persons
-- $2 source, $3 target. Locks both, always in the order of their ids by code points, until the transaction's end. A row
-- whatever is there. Primary keys of collection and person.
WITH held AS MATERIALIZED (
    SELECT p.person_id, p.person_key, facerec.audit_tag(p.audit_key, p.person_id) AS person_tag
    FROM facerec.:"person" p
    WHERE p.collection_id = $1 AND p.person_id IN ($2, $3)
    ORDER BY p.person_id
    FOR UPDATE
)
SELECT source.person_key AS source_key,
       source.person_tag AS source_tag,
       target.person_key AS target_key,
       target.person_tag AS target_tag
FROM facerec.collection c
LEFT JOIN held source ON source.person_id = $2
LEFT JOIN held target ON target.person_id = $3
WHERE c.collection_id = $1;

-- name: merge_persons
-- $2 source's key, $3 target's key, both locked. What both have stays once. Face (person_key, content_id),
-- person (person_key).
WITH doubled AS MATERIALIZED (
    SELECT f.face_id
    FROM facerec.:"face" f
    JOIN facerec.:"face" t ON t.collection_id = $1 AND t.person_key = $3 AND t.content_id = f.content_id
    WHERE f.collection_id = $1 AND f.person_key = $2
), kept AS MATERIALIZED (
    SELECT avg(f.encoding) AS centroid,
           facerec.pick_centers(array_agg(f.content_id), array_agg(f.encoding)) AS centers
    FROM facerec.:"face" f
    WHERE f.collection_id = $1 AND f.person_key IN ($2, $3) AND f.face_id NOT IN (SELECT face_id FROM doubled)
), moved AS (
    UPDATE facerec.:"face" f
    SET person_key = $3, is_center = f.content_id = ANY (kept.centers)
    FROM kept
    WHERE f.collection_id = $1 AND f.person_key = $2 AND f.face_id NOT IN (SELECT face_id FROM doubled)
    RETURNING 1
), marked AS (
    UPDATE facerec.:"face" f
    SET is_center = NOT f.is_center
    FROM kept
    WHERE f.collection_id = $1 AND f.person_key = $3 AND f.is_center <> (f.content_id = ANY (kept.centers))
), dropped AS (
    DELETE FROM facerec.:"face" f
    WHERE f.collection_id = $1 AND f.person_key = $2 AND f.face_id IN (SELECT face_id FROM doubled)
), gone AS (
    DELETE FROM facerec.:"person" p WHERE p.collection_id = $1 AND p.person_key = $2
), tries AS (
    DELETE FROM facerec.failed_try t WHERE t.collection_id = $1 AND t.person_key = $2 RETURNING t.caller, t.full_time
), kept_tries AS (
    INSERT INTO facerec.failed_try AS t (collection_id, person_key, caller, full_time)
    SELECT $1, $3, tries.caller, tries.full_time FROM tries
    ON CONFLICT (collection_id, person_key, caller) DO UPDATE
    SET full_time = greatest(t.full_time, excluded.full_time)
), receipt AS (
    INSERT INTO facerec.erasure (collection_id, persons, faces)
    SELECT $1, 1, (SELECT count(*) FROM doubled)
), changed AS (
    UPDATE facerec.:"person" p
    SET update_time = clock_timestamp(), centroid = (SELECT kept.centroid FROM kept)
    WHERE p.collection_id = $1 AND p.person_key = $3
    RETURNING p.person_id, p.display_name, p.create_time, p.update_time
)
SELECT changed.*,
       (SELECT count(*) FROM moved) AS moved,
       (SELECT count(*) FROM moved) + (
           SELECT count(*) FROM facerec.:"face" f
           WHERE f.collection_id = $1 AND f.person_key = $3 AND f.expire_time > now()
       ) AS faces
FROM changed;

-- name: create_collection
-- $2 space. Whether it is new. A function of the owner's: the serving role makes no tables.
SELECT facerec.create_collection($1, $2) AS created;

-- name: delete_collection
-- Counts of what went. A function of the owner's.
SELECT d.collections, d.persons, d.faces, clock_timestamp() AS delete_time
FROM facerec.delete_collection($1) d;

-- name: get_collection
-- Primary keys of collection and index_build; the file's size and the catalog's count for the faces.
SELECT c.*, b.phase AS build_phase, b.done AS build_done, facerec.estimated_rows('face', $1) AS estimated_faces
FROM facerec.collection c
LEFT JOIN facerec.index_build b ON b.collection_id = c.collection_id
WHERE c.collection_id = $1;

-- name: count_some_faces
-- $2 the most that are counted. How many faces there are, but for those past their time. Any index of the partition.
SELECT count(*) AS faces
FROM (SELECT FROM facerec.:"face" f WHERE f.collection_id = $1 AND f.expire_time > now() LIMIT $2) few;

-- name: list_collections
-- $1 the last page's last collection or '', $2 most rows. Primary key of collection, in its order.
SELECT c.*, b.phase AS build_phase, b.done AS build_done,
       facerec.estimated_rows('face', c.collection_id) AS estimated_faces
FROM facerec.collection c
LEFT JOIN facerec.index_build b ON b.collection_id = c.collection_id
WHERE c.collection_id > $1
ORDER BY c.collection_id
LIMIT $2;

-- name: maintenance_left
-- Indexes, the least recall measured of one, how many have less than their collection asks for, and since when
-- an erasure waits for its vacuum (seconds since 1970). A scan of a row a collection; erasure_unvacuumed.
SELECT count(c.index_effort) AS indexes,
       min(least(c.index_recall, c.index_far_recall)) AS least_recall,
       count(*) FILTER (WHERE least(c.index_recall, c.index_far_recall) < c.target_recall) AS below_target,
       (SELECT extract(epoch FROM min(e.delete_time))::float8 FROM facerec.erasure e WHERE e.vacuum_time IS NULL)
           AS pending_since
FROM facerec.collection c;

-- name: maintenance_steps
-- A row a step of maintenance that was ever taken. A scan of a table of three.
SELECT m.step, extract(epoch FROM m.success_time)::float8 AS success_time, m.failures, m.waiting
FROM facerec.maintenance m;

-- name: stop_enrollment
-- Waits until no enrolment is under way and lets none begin until the transaction's end. Before lock_collection.
SELECT facerec.stop_enrollment($1);

-- name: lock_collection
-- Holds the settings until the transaction's end, so that what is noted as changed is. Primary key.
SELECT true FROM facerec.collection c WHERE c.collection_id = $1 FOR NO KEY UPDATE;

-- name: update_collection
-- A column a setting, null where it stays; $12 retention, of 0 for none. A row unless there is no such
-- collection. Primary key of collection.
UPDATE facerec.collection
SET display_name = coalesce($2::text, display_name),
    verify_threshold = coalesce($3::float8, verify_threshold),
    identify_threshold = coalesce($4::float8, identify_threshold),
    duplicate_policy = coalesce($5::text, duplicate_policy),
    duplicate_threshold = coalesce($6::float8, duplicate_threshold),
    min_face_pixels = coalesce($7::integer, min_face_pixels),
    exact_only = coalesce($8::boolean, exact_only),
    index_above_faces = coalesce($9::bigint, index_above_faces),
    trust_distance = coalesce($10::float8, trust_distance),
    target_recall = coalesce($11::float8, target_recall),
    retention = CASE WHEN $12::interval IS NULL THEN retention ELSE nullif($12::interval, interval '0') END,
    refused_qualities = coalesce($13::text[], refused_qualities),
    update_time = clock_timestamp()
WHERE collection_id = $1
RETURNING true;

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

-- name: measure_genuine
-- $2 most persons, $3 most pairs of each, $4 a bin's width, $5 bins. How many pairs of a person's own faces lie in
-- each bin, for people drawn at random with two faces or more. Primary key of person, face (person_key,
-- content_id).
WITH picked AS MATERIALIZED (
    SELECT p.person_key
    FROM facerec.:"person" p
    WHERE p.centroid IS NOT NULL
    ORDER BY random()
    LIMIT 4 * $2::bigint
), face AS MATERIALIZED (
    SELECT f.person_key, f.encoding, f.place
    FROM picked
    CROSS JOIN LATERAL (
        SELECT f.person_key, f.encoding, row_number() OVER (ORDER BY random()) AS place
        FROM facerec.:"face" f
        WHERE f.collection_id = $1 AND f.person_key = picked.person_key AND f.expire_time > now()
        LIMIT 10
    ) f
), pair AS MATERIALIZED (
    SELECT a.person_key,
           a.encoding <-> b.encoding AS distance,
           row_number() OVER (PARTITION BY a.person_key ORDER BY random()) AS place
    FROM face a JOIN face b ON b.person_key = a.person_key AND b.place > a.place
), kept AS MATERIALIZED (
    SELECT DISTINCT pair.person_key FROM pair LIMIT $2::bigint
)
SELECT pair.person_key, least(floor(pair.distance / $4::float8)::integer, $5::integer - 1) AS bin, count(*) AS pairs
FROM pair JOIN kept USING (person_key)
WHERE pair.place <= $3::bigint
GROUP BY 1, 2;

-- name: draw_impostors
-- $2 most persons. A face of each of some people drawn at random. Primary key of person, face (person_key,
-- content_id).
SELECT picked.person_key, f.face_id
FROM (
    SELECT p.person_key FROM facerec.:"person" p WHERE p.centroid IS NOT NULL ORDER BY random() LIMIT $2::bigint
) picked
CROSS JOIN LATERAL (
    SELECT f.face_id
    FROM facerec.:"face" f
    WHERE f.collection_id = $1 AND f.person_key = picked.person_key AND f.expire_time > now()
    ORDER BY random()
    LIMIT 1
) f;

-- name: read_drawn
-- $2 ids of faces. Their vectors, of those that are still there. Face (face_id), one by one: there are no statistics of
-- it, and more would read all faces.
SELECT f.face_id, f.encoding
FROM unnest($2::uuid[]) AS i(face_id)
CROSS JOIN LATERAL (
    SELECT f.face_id, f.encoding FROM facerec.:"face" f WHERE f.collection_id = $1 AND f.face_id = i.face_id OFFSET 0
) f;

-- name: name_suspects
-- $2 ids of faces. Whose they are, of those that are still there. Face (face_id) and person (person_key), one by one as
-- in read_drawn.
SELECT f.face_id, p.person_id
FROM unnest($2::uuid[]) AS i(face_id)
CROSS JOIN LATERAL (
    SELECT f.face_id, f.person_key FROM facerec.:"face" f WHERE f.collection_id = $1 AND f.face_id = i.face_id OFFSET 0
) f
CROSS JOIN LATERAL (
    SELECT p.person_id FROM facerec.:"person" p WHERE p.collection_id = $1 AND p.person_key = f.person_key OFFSET 0
) p;

-- name: add_calibration
-- $2 verify threshold, $3 identify threshold or null, $4 evidence. Primary key of collection.
INSERT INTO facerec.calibration (collection_id, verify_threshold, identify_threshold, evidence)
SELECT c.collection_id, $2, $3, $4::jsonb FROM facerec.collection c WHERE c.collection_id = $1
RETURNING calibration_id, create_time;

-- name: apply_calibration
-- $2 calibration. A row where there is the collection, without thresholds where there is no such calibration. The
-- old thresholds are read under the lock that the update takes. Primary keys.
WITH old AS MATERIALIZED (
    SELECT c.collection_id, c.verify_threshold, c.identify_threshold
    FROM facerec.collection c
    WHERE c.collection_id = $1
    FOR UPDATE
), applied AS (
    UPDATE facerec.calibration k
    SET applied_time = clock_timestamp()
    FROM old
    WHERE k.collection_id = old.collection_id AND k.calibration_id = $2
    RETURNING k.verify_threshold, k.identify_threshold
), changed AS (
    UPDATE facerec.collection c
    SET verify_threshold = applied.verify_threshold,
        identify_threshold = coalesce(applied.identify_threshold, c.identify_threshold),
        calibration_id = $2,
        update_time = clock_timestamp()
    FROM applied
    WHERE c.collection_id = $1
    RETURNING c.verify_threshold, c.identify_threshold
)
SELECT old.verify_threshold AS old_verify, old.identify_threshold AS old_identify,
       changed.verify_threshold AS new_verify, changed.identify_threshold AS new_identify
FROM old LEFT JOIN changed ON true;

-- name: get_evidence
-- $2 calibration. Primary key.
SELECT k.evidence::text AS evidence FROM facerec.calibration k WHERE k.collection_id = $1 AND k.calibration_id = $2;

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

-- name: note_change
-- $2 action, $3 caller, $4 person's tag or null, $5 persons, $6 faces, $7 detail as JSON. In the change's own
-- transaction.
INSERT INTO facerec.audit (collection_id, action, caller, person_tag, persons, faces, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb);

-- name: add_decisions
-- A column a decision: $2 times, $3 actions, $4 callers, $5 person ids or null, $6 outcomes. Whoever is erased by
-- now gets no tag. Primary key of person.
INSERT INTO facerec.audit (collection_id, event_time, action, caller, person_tag, persons, faces, outcome)
SELECT $1, i.event_time, i.action, i.caller, facerec.audit_tag(p.audit_key, p.person_id),
       CASE WHEN i.person_id IS NULL THEN 0 ELSE 1 END, 1, i.outcome
FROM unnest($2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY
    AS i(event_time, action, caller, person_id, outcome, place)
LEFT JOIN facerec.:"person" p ON p.collection_id = $1 AND p.person_id = i.person_id
ORDER BY i.place;

-- name: get_person_tag
-- $2 person. Primary key of person.
SELECT facerec.audit_tag(p.audit_key, p.person_id) AS person_tag
FROM facerec.:"person" p
WHERE p.collection_id = $1 AND p.person_id = $2;

-- name: list_audit_events
-- $2 the last page's last event or null, $3 a person's tag or null, $4 true for decisions, false for changes, null
-- for both, $5 from, $6 until, either null, $7 most rows. Newest first. Audit (collection_id, event_id) or
-- (collection_id, person_tag, event_id).
SELECT a.event_id, a.event_time, a.action, a.caller, a.person_tag, a.persons, a.faces, a.outcome,
       a.detail::text AS detail
FROM facerec.audit a
WHERE a.collection_id = $1
  AND ($2::bigint IS NULL OR a.event_id < $2::bigint)
  AND ($3::bytea IS NULL OR a.person_tag = $3::bytea)
  AND ($4::boolean IS NULL OR (a.outcome IS NOT NULL) = $4::boolean)
  AND ($5::timestamptz IS NULL OR a.event_time >= $5::timestamptz)
  AND ($6::timestamptz IS NULL OR a.event_time < $6::timestamptz)
ORDER BY a.event_id DESC
LIMIT $7;
