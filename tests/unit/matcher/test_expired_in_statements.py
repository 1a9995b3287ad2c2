"""Every statement that reads faces leaves out expired ones at each read, or has a reason not to."""

import re

from matcher_service.postgres.statements import load

READ = re.compile(r'\b(?:FROM|JOIN|USING)\s+facerec\.:"face"')
CURRENT = "expire_time > now()"

ERASES = "it erases, locks or moves faces, expired ones too"
PROPOSES = "its proposals are read again without expired faces, or are compared with the index's own"
MARKS = "it keeps marks and means, which cover what is stored until it is erased"
BOUNDS = "it bounds the work of a page, whose faces are read without expired ones"
REPLAYS = "it answers a request id as before, or copies a face that the transaction has locked"
SKETCHES = "each stored face has a sketch; a scan reads the faces that sketches leave without expired ones"
COUNTS = "it is subtracted from an estimate that has them too"
DRAWN = "its faces were drawn without expired ones in the same measurement"

REASONS = {
    "delete_expired": ERASES,
    "delete_persons": ERASES,
    "lock_person_of_face": ERASES,
    "delete_face": ERASES,
    "merge_persons": ERASES,
    "move_faces": ERASES,
    "delete_excess": ERASES,
    "lock_expired_persons": ERASES,
    "lock_persons_past_retention": ERASES,
    "erase_expired": ERASES,
    "clear_recent_enrollments": ERASES,
    "identify": PROPOSES,
    "begin_scan": COUNTS,
    "review_by_index": PROPOSES,
    "count_proposed": PROPOSES,
    "draw_recall_samples": MARKS,
    "update_centers": MARKS,
    "count_centers": MARKS,
    "list_persons_to_mark": MARKS,
    "check_by_index": PROPOSES,
    "pick_faces": BOUNDS,
    "find_recent_inconsistency": REPLAYS,
    "pick_reviewed": BOUNDS,
    "bound_reviewed": BOUNDS,
    "preview_enroll": REPLAYS,
    "add_faces": REPLAYS,
    "find_recent_duplicate": REPLAYS,
    "last_key_to_sketch": SKETCHES,
    "fill_sketches": SKETCHES,
    "count_wrong_sketches": SKETCHES,
    "read_drawn": DRAWN,
    "measure_own_faces": DRAWN,
    "name_persons_of_faces": DRAWN,
}


def test_no_statement_reads_expired_faces_without_a_reason() -> None:
    sources = {
        name: statement.source
        for role in ("serving", "maintenance")
        for name, statement in load(role).items()
    }
    reading = {name for name, source in sources.items() if len(READ.findall(source)) > source.count(CURRENT)}
    assert reading == set(REASONS)
