-- What people look over: how well an index does, who may be enrolled twice, which calibration is in force. Runs as
-- facerec_owner.

-- When index_recall was last measured, over how many persons.
ALTER TABLE facerec.collection
    ADD recall_time    timestamptz,
    ADD recall_persons bigint,
    ADD calibration_id uuid;
UPDATE facerec.collection SET recall_time = index_time, recall_persons = index_persons;
UPDATE facerec.collection c
SET calibration_id = (
    SELECT k.calibration_id
    FROM facerec.calibration k
    WHERE k.collection_id = c.collection_id AND k.applied_time IS NOT NULL
    ORDER BY k.applied_time DESC
    LIMIT 1
);
GRANT UPDATE (calibration_id) ON facerec.collection TO facerec_serve;

-- Pairs of persons that somebody has looked at and found to be two. Keys and not ids: a row names nobody, and
-- nothing once one of them is erased; `maintain` then drops it.
CREATE TABLE facerec.dismissed_duplicate (
    collection_id text COLLATE "C" NOT NULL REFERENCES facerec.collection ON DELETE CASCADE,
    low_key       bigint NOT NULL,
    high_key      bigint NOT NULL CHECK (high_key > low_key),
    dismiss_time  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (collection_id, low_key, high_key)
);
GRANT SELECT, INSERT, DELETE ON facerec.dismissed_duplicate TO facerec_serve;
