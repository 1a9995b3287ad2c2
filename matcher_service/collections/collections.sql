-- Statements of collections and their settings, run by the serving role; common conventions: postgres/statements.py.

-- name: add_recent_enrollment
-- Inserts the row that enrollments lock if the collection refuses duplicates. Primary key.
INSERT INTO facerec.recent_enrollment (collection_id)
SELECT c.collection_id FROM facerec.collection c WHERE c.collection_id = :collection_id
ON CONFLICT DO NOTHING;

-- name: create_collection
-- True if it is new. A function of the owner: the serving role may not create tables.
SELECT facerec.create_collection(:collection_id, :space) AS created;

-- name: delete_collection
-- Counts of the erased rows. A function of the owner.
SELECT d.collections, d.persons, d.faces, clock_timestamp() AS delete_time
FROM facerec.delete_collection(:collection_id) d;

-- name: has_persons
-- Whether anybody is in the collection. Any page of the partition.
SELECT EXISTS (SELECT FROM facerec.:"person" p WHERE p.collection_id = :collection_id) AS has_persons;

-- name: get_collection
-- lists_read is how many lists of its index a query reads, null without one in use. Primary keys of collection and
-- index_build; the table's size and pg_class.reltuples for the estimate.
SELECT c.*, c.index_effort AS lists_read, b.phase AS build_phase, b.done AS build_done, facerec.estimated_rows('face', :collection_id) AS estimated_faces,
       facerec.estimated_rows('person', :collection_id) AS estimated_persons
FROM facerec.collection c
LEFT JOIN facerec.index_build b ON b.collection_id = c.collection_id
WHERE c.collection_id = :collection_id;

-- name: count_some_faces
-- The number of faces that have not expired, at most :max_faces. Any index of the partition.
SELECT count(*) AS faces
FROM (SELECT FROM facerec.:"face" f WHERE f.collection_id = :collection_id AND f.expire_time > now() LIMIT :max_faces) few;

-- name: count_some_persons
-- The number of people, at most :max_persons. Any index of the partition.
SELECT count(*) AS persons
FROM (SELECT FROM facerec.:"person" p WHERE p.collection_id = :collection_id LIMIT :max_persons) few;

-- name: list_collections
-- Columns as in get_collection. :after_collection_id is the last collection of the previous page, or ''. Primary key of
-- collection, in its order.
SELECT c.*, c.index_effort AS lists_read, b.phase AS build_phase, b.done AS build_done,
       facerec.estimated_rows('face', c.collection_id) AS estimated_faces,
       facerec.estimated_rows('person', c.collection_id) AS estimated_persons
FROM facerec.collection c
LEFT JOIN facerec.index_build b ON b.collection_id = c.collection_id
WHERE c.collection_id > :after_collection_id
ORDER BY c.collection_id
LIMIT :max_rows;

-- name: stop_enrollment
-- Waits until no enrollment is in progress and blocks new ones until the transaction ends. Run before lock_collection.
SELECT facerec.stop_enrollment(:collection_id);

-- name: lock_collection
-- Locks the settings until the transaction ends, so that the audit event has the right old values. Primary key.
SELECT true FROM facerec.collection c WHERE c.collection_id = :collection_id FOR NO KEY UPDATE;

-- name: update_collection
-- A parameter for each setting, null to keep it; a :retention of 0 removes it. One row if the collection exists.
-- Primary key of collection.
UPDATE facerec.collection
SET display_name = coalesce(:display_name::text, display_name),
    verify_threshold = coalesce(:verify_threshold::float8, verify_threshold),
    identify_threshold = coalesce(:identify_threshold::float8, identify_threshold),
    duplicate_policy = coalesce(:duplicate_policy::text, duplicate_policy),
    duplicate_threshold = coalesce(:duplicate_threshold::float8, duplicate_threshold),
    consistency_policy = coalesce(:consistency_policy::text, consistency_policy),
    min_face_pixels = coalesce(:min_face_pixels::integer, min_face_pixels),
    exact_only = coalesce(:exact_only::boolean, exact_only),
    index_above_faces = coalesce(:index_above_faces::bigint, index_above_faces),
    acceptance_threshold = coalesce(:acceptance_threshold::float8, acceptance_threshold),
    target_recall = coalesce(:target_recall::float8, target_recall),
    retention = CASE WHEN :retention::interval IS NULL THEN retention ELSE nullif(:retention::interval, interval '0') END,
    refused_qualities = coalesce(:refused_qualities::text[], refused_qualities),
    score_rule = coalesce(:score_rule::text, score_rule),
    update_time = clock_timestamp()
WHERE collection_id = :collection_id
RETURNING true;
