-- More than one center for a person whose photos differ much. Runs as facerec_owner.
--
-- An index proposes people by their centers: the mean of their faces, and each of their faces that is marked here. Every
-- face is within facerec.center_radius() of one of its person's centers, so that a single photo with glasses, a beard
-- or of long ago is proposed by as well as any. Marks are kept by whatever changes a person's faces, in the statement
-- that writes the mean; `maintain` marks what was enrolled before.
ALTER TABLE facerec.face ADD COLUMN is_center boolean NOT NULL DEFAULT false;
ALTER TABLE facerec.face ALTER COLUMN is_center SET STATISTICS 0;

-- How far from the nearest center a face may be. Two photos of one look are 0.35 apart on median, and the mean of
-- ten 0.24 from each: hardly any ordinary face is marked, and none is farther from a center than one photo is from another.
CREATE FUNCTION facerec.center_radius() RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 0.35;

-- Which of a person's faces, as columns, are centers beside their mean: of those beyond the radius the farthest one
-- first, then the farthest that is beyond the radius of it too, and so on. Their content ids.
CREATE FUNCTION facerec.pick_centers(content_ids uuid[], encodings vector[]) RETURNS uuid[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    centers uuid[] := '{}';
BEGIN
    IF cardinality(encodings) = 1 THEN
        RETURN centers;
    END IF;
    SELECT array_agg(apart.content_id ORDER BY apart.distance DESC, apart.content_id),
           array_agg(apart.encoding ORDER BY apart.distance DESC, apart.content_id)
    INTO content_ids, encodings
    FROM (
        SELECT f.content_id, f.encoding, f.encoding <-> (SELECT avg(e) FROM unnest(encodings) AS e) AS distance
        FROM unnest(content_ids, encodings) AS f(content_id, encoding)
    ) apart
    WHERE apart.distance > facerec.center_radius();
    WHILE content_ids IS NOT NULL LOOP
        centers := centers || content_ids[1];
        SELECT array_agg(f.content_id ORDER BY f.place), array_agg(f.encoding ORDER BY f.place)
        INTO content_ids, encodings
        FROM unnest(content_ids, encodings) WITH ORDINALITY AS f(content_id, encoding, place)
        WHERE f.encoding <-> encodings[1] > facerec.center_radius();
    END LOOP;
    RETURN centers;
END
$$;

-- Over how many centers an index was built, what was measured of it on faces far from those, and on how many probes of
-- either kind.
ALTER TABLE facerec.collection
    ADD index_centers    bigint,
    ADD index_far_recall float8,
    ADD recall_samples   integer,
    ADD far_samples      integer;

-- Indexes over means alone missed such faces: they are asked no more until `maintain` has built a pair of indexes in
-- their place. Searches are exact meanwhile.
UPDATE facerec.collection SET index_effort = NULL WHERE index_name IS NOT NULL;
