-- The gallery: tenants, people, faces. Runs as facerec_owner.
--
-- Ids are COLLATE "C": in UTF-8 that orders by Unicode code points, the order paging promises, whatever
-- the database's own collation is, and no library upgrade can change it under an index.

CREATE TABLE facerec.collection (
    collection_id      text COLLATE "C" PRIMARY KEY CHECK (collection_id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    space              text NOT NULL,
    verify_threshold   float8 NOT NULL DEFAULT 0.6 CHECK (verify_threshold BETWEEN 0 AND 4),
    identify_threshold float8 NOT NULL DEFAULT 0.5 CHECK (identify_threshold BETWEEN 0 AND 4),
    create_time        timestamptz NOT NULL DEFAULT now()
);

INSERT INTO facerec.collection (collection_id, space) VALUES ('default', 'dlib-resnet-v1/small/150x0.25');

-- person_key stands for the person in every other table: 8 bytes a face, and nothing to scrub when the
-- caller's name for the person is erased.
CREATE TABLE facerec.person (
    collection_id text COLLATE "C" NOT NULL REFERENCES facerec.collection,
    person_id     text COLLATE "C" NOT NULL,
    person_key    bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    display_name  text NOT NULL DEFAULT '',
    create_time   timestamptz NOT NULL DEFAULT clock_timestamp(),
    update_time   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (collection_id, person_id)
);

-- What computed a vector: provenance, shown and never compared.
CREATE TABLE facerec.model (
    model_key   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    space       text NOT NULL,
    fingerprint text NOT NULL,
    UNIQUE (space, fingerprint)
);

-- No foreign key leaves this table: attaching a tenant's partition would lock the table it points to,
-- and with it every other tenant. A face's person is guaranteed by row locks instead: Enroll locks the
-- person before it adds faces, DeletePerson locks the person before it deletes them, and so for
-- DeleteFace. Models are never deleted.
--
-- content_id is the first 128 bits of a SHA-256 of the photo or encoding, so that one photo is stored
-- once a person. The unique index over it is also the way to one person's faces.
CREATE TABLE facerec.face (
    collection_id text COLLATE "C" NOT NULL,
    face_id       uuid NOT NULL DEFAULT gen_random_uuid(),
    person_key    bigint NOT NULL,
    encoding      vector(128) NOT NULL,
    model_key     integer NOT NULL,
    content_id    uuid NOT NULL,
    external_ref  text NOT NULL DEFAULT '',
    create_time   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (collection_id, face_id),
    UNIQUE (collection_id, person_key, content_id)
) PARTITION BY LIST (collection_id);

-- In line: a scan that followed every vector into the TOAST table would be many times slower.
ALTER TABLE facerec.face ALTER COLUMN encoding SET STORAGE PLAIN;

CREATE TABLE facerec.face_default PARTITION OF facerec.face FOR VALUES IN ('default');

-- A face near enough in a search. Named, because parallel workers cannot hand over rows of an unnamed type.
CREATE TYPE facerec.hit AS (person_key bigint, face_id uuid, distance float8);

-- What a request id was answered with. The row names nobody: person_key means nothing once the person is
-- erased, and stays so that a replay finds them gone instead of enrolling them again. The digest covers
-- the photos, so it cannot be guessed from a name.
CREATE TABLE facerec.enroll_request (
    collection_id    text COLLATE "C" NOT NULL REFERENCES facerec.collection,
    request_id       text COLLATE "C" NOT NULL,
    digest           bytea NOT NULL,
    person_key       bigint NOT NULL,
    person_created   boolean NOT NULL,
    face_ids         uuid[] NOT NULL,
    already_enrolled boolean[] NOT NULL,
    model_keys       integer[] NOT NULL,
    face_times       timestamptz[] NOT NULL,
    create_time      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (collection_id, request_id)
);

GRANT SELECT ON facerec.collection TO facerec_serve;
GRANT SELECT, INSERT, UPDATE, DELETE ON facerec.person, facerec.face TO facerec_serve;
GRANT SELECT, INSERT ON facerec.model, facerec.enroll_request TO facerec_serve;
