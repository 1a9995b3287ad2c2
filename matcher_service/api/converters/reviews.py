"""Build the messages of recall and of likely duplicate pairs."""

from facerec.matcher.v1 import review_pb2 as pb
from matcher_service.api.converters.answers import if_scores
from matcher_service.domain.proportion import Proportion
from matcher_service.duplicates.inconsistent import FacesPage, Suggestion
from matcher_service.duplicates.review import Page
from matcher_service.identification.recall import Recall

SUGGESTIONS = {
    Suggestion.MOVE_FACE: pb.CORRECTION_SUGGESTION_MOVE_FACE,
    Suggestion.MOVE_OTHER_FACE: pb.CORRECTION_SUGGESTION_MOVE_OTHER_FACE,
    Suggestion.MERGE_PERSONS: pb.CORRECTION_SUGGESTION_MERGE_PERSONS,
    Suggestion.REVIEW: pb.CORRECTION_SUGGESTION_REVIEW,
}


def recall_message(recall: Recall) -> pb.MeasureRecallResponse:
    """Build the recall of an index."""
    if not recall.samples:
        return pb.MeasureRecallResponse(indexed=recall.indexed)
    return pb.MeasureRecallResponse(
        indexed=recall.indexed,
        samples=recall.samples,
        recall=_proportion(recall.by_index, recall.by_scan) if recall.by_scan else None,
        far_recall=_proportion(recall.far_by_index, recall.far_by_scan) if recall.far_by_scan else None,
        agreement=_proportion(recall.agreed, recall.samples),
        confirmed=_proportion(recall.confirmed, recall.samples),
    )


def page_message(page: Page) -> pb.ListDuplicatesResponse:
    """Build a page of pairs."""
    return pb.ListDuplicatesResponse(
        pairs=[
            pb.DuplicatePair(
                person_id_a=pair.a,
                person_id_b=pair.b,
                face_id_a=if_scores(str(pair.face_a), ""),
                face_id_b=if_scores(str(pair.face_b), ""),
                distance=if_scores(pair.distance, None),
                dismissed=pair.dismissed,
            )
            for pair in page.pairs
        ],
        persons_examined=page.persons,
        exact=page.exact,
        next_page_token=page.token,
    )


def inconsistent_faces_message(page: FacesPage) -> pb.ListInconsistentFacesResponse:
    """Build a page of inconsistent faces, for a caller with scores."""
    return pb.ListInconsistentFacesResponse(
        faces=[
            pb.InconsistentFace(
                face_id=str(face.face_id),
                person_id=face.person_id,
                own_face_id=str(face.own_face_id),
                own_distance=face.own_distance,
                other_person_id=face.other_person_id,
                other_face_id=str(face.other_face_id),
                other_distance=face.other_distance,
                suggestion=SUGGESTIONS[face.suggestion],
            )
            for face in page.faces
        ],
        faces_examined=page.examined,
        exact=page.exact,
        next_page_token=page.token,
    )


def _proportion(count: int, of: int) -> pb.Proportion:
    share = Proportion(count, of)
    low, high = share.interval
    return pb.Proportion(count=count, value=share.value, low=low, high=high)
