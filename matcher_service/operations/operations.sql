-- Statements of operations, run by the serving role; common conventions: postgres/statements.py.
--
-- Only a run whose :run_id is in the row may write it. Leases are compared by the database's clock alone.

-- name: get_operation
-- Primary key of operation.
SELECT o.digest = :digest::bytea AS same_content, o.answer, o.lease_end_time < clock_timestamp() AS is_abandoned
FROM facerec.operation o
WHERE o.collection_id = :collection_id AND o.request_tag = facerec.request_tag(:request_id);

-- name: claim_operation
-- One row if the request id is new, or the run before has abandoned it. Primary key of operation.
INSERT INTO facerec.operation AS o (collection_id, request_tag, method, digest, run_id, lease_end_time)
VALUES (:collection_id, facerec.request_tag(:request_id), :method, :digest, :run_id, clock_timestamp() + :lease::interval)
ON CONFLICT (collection_id, request_tag) DO UPDATE
SET run_id = excluded.run_id, lease_end_time = excluded.lease_end_time
WHERE o.answer IS NULL AND o.digest = excluded.digest AND o.lease_end_time < clock_timestamp()
RETURNING true AS claimed;

-- name: renew_operation
-- One row if it is still this run's. Primary key of operation.
UPDATE facerec.operation o
SET lease_end_time = clock_timestamp() + :lease::interval
WHERE o.collection_id = :collection_id AND o.request_tag = facerec.request_tag(:request_id) AND o.run_id = :run_id
RETURNING true AS renewed;

-- name: finish_operation
-- True if it is still this run's. Primary key of operation.
UPDATE facerec.operation o
SET answer = :answer, answer_time = clock_timestamp()
WHERE o.collection_id = :collection_id AND o.request_tag = facerec.request_tag(:request_id) AND o.run_id = :run_id
  AND o.answer IS NULL
RETURNING true AS finished;

-- name: forget_operation
-- Without an answer, so that the request id may be used again. Primary key of operation.
DELETE FROM facerec.operation o
WHERE o.collection_id = :collection_id AND o.request_tag = facerec.request_tag(:request_id) AND o.run_id = :run_id
  AND o.answer IS NULL;

-- name: delete_operations
-- All of a collection that is deleted, but the receipts of deletions. Primary key of operation.
DELETE FROM facerec.operation o WHERE o.collection_id = :collection_id AND o.method <> 'DeleteCollection';
