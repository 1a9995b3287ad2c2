-- Calibrations, the evidence of a collection's thresholds. Runs as facerec_owner. evidence is what was measured:
-- counts, rates and thresholds, and neither a person nor a vector. applied_time is when its thresholds were put
-- in force.
CREATE TABLE facerec.calibration (
    collection_id      text COLLATE "C" NOT NULL REFERENCES facerec.collection ON DELETE CASCADE,
    calibration_id     uuid NOT NULL DEFAULT gen_random_uuid(),
    create_time        timestamptz NOT NULL DEFAULT now(),
    verify_threshold   float8 NOT NULL,
    identify_threshold float8,
    evidence           jsonb NOT NULL,
    applied_time       timestamptz,
    PRIMARY KEY (collection_id, calibration_id)
);

GRANT SELECT, INSERT ON facerec.calibration TO facerec_serve;
GRANT UPDATE (applied_time) ON facerec.calibration TO facerec_serve;
