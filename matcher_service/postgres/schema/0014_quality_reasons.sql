-- The encoder's further reasons, which a collection's policy may refuse: noise, lost shades, uneven light. Runs as
-- facerec_owner.
--
-- What a new collection refuses stays as it is: these begin where a face's vector has moved by 0.2 (docs/encoder.md,
-- Quality). A release before this one serves every collection whose policy names none of them; of one that does, its
-- calls fail, so such a policy is set when all matchers are of this release.
-- serves: 13
ALTER TABLE facerec.collection
    DROP CONSTRAINT collection_refused_qualities_check,
    ADD CONSTRAINT collection_refused_qualities_check CHECK (refused_qualities <@ ARRAY[
        'TOO_SMALL', 'BLURRED', 'TOO_DARK', 'TOO_BRIGHT', 'LOW_CONTRAST', 'TURNED', 'CUT_BY_BORDER', 'NOISY',
        'COMPRESSED', 'UNEVEN_LIGHT'
    ]);
