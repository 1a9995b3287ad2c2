-- How far each import came. Runs as facerec_owner. The row is written in the transaction of each chunk, so what it
-- says is stored, and an import that was cut short goes on from there. It goes with its collection.
CREATE TABLE facerec.face_import (
    collection_id       text COLLATE "C" NOT NULL REFERENCES facerec.collection ON DELETE CASCADE,
    import_id           text COLLATE "C" NOT NULL,
    next_row            bigint NOT NULL DEFAULT 0,
    faces_added         bigint NOT NULL DEFAULT 0,
    faces_already_there bigint NOT NULL DEFAULT 0,
    rows_refused        bigint NOT NULL DEFAULT 0,
    persons_added       bigint NOT NULL DEFAULT 0,
    update_time         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (collection_id, import_id)
);

GRANT SELECT, INSERT, UPDATE ON facerec.face_import TO facerec_serve;
