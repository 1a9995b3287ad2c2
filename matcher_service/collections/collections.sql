-- Statements of collections and their settings, run by the serving role; what they have in common is in postgres/statements.py.

-- name: begin_refusing
-- Makes the row that enrolments of a collection that refuses duplicates lock. Primary key.
INSERT INTO facerec.recent_enrollment (collection_id)
SELECT c.collection_id FROM facerec.collection c WHERE c.collection_id = $1
ON CONFLICT DO NOTHING;

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
