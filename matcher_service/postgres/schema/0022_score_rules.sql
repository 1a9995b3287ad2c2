-- How Verify scores a claim against a person's faces, and for which rule a calibration measured its threshold. Runs as
-- facerec_owner.
--
-- A release before this one decides every claim by the nearest face: set another rule when all matchers are of this
-- release.
-- serves: 18
ALTER TABLE facerec.collection
    ADD score_rule text COLLATE "C" NOT NULL DEFAULT 'nearest'
        CONSTRAINT collection_score_rule_check CHECK (score_rule IN ('nearest', 'root_mean_square'));
ALTER TABLE facerec.calibration
    ADD score_rule text COLLATE "C"
        CONSTRAINT calibration_score_rule_check CHECK (score_rule IN ('nearest', 'root_mean_square'));
GRANT UPDATE (score_rule) ON facerec.collection TO facerec_serve;
