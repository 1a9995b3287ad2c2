-- Which faces are too poor to enroll, by the encoder's reasons. Runs as facerec_owner.
--
-- Those that refuse from the start are the ones whose thresholds were set where a face's vector has moved by 0.3
-- and more: half the distance of strangers (docs/encoder.md, Quality).
ALTER TABLE facerec.collection
    ADD refused_qualities text[] NOT NULL DEFAULT '{BLURRED,TOO_DARK,TOO_BRIGHT,LOW_CONTRAST}'
        CHECK (refused_qualities <@ ARRAY[
            'TOO_SMALL', 'BLURRED', 'TOO_DARK', 'TOO_BRIGHT', 'LOW_CONTRAST', 'TURNED', 'CUT_BY_BORDER'
        ]);

GRANT UPDATE (refused_qualities) ON facerec.collection TO facerec_serve;
