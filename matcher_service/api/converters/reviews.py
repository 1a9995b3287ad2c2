"""Build the messages of recall and of likely duplicate pairs."""

from facerec.matcher.v1 import review_pb2 as pb
from matcher_service.api.converters.answers import if_scores
from matcher_service.domain.proportion import Proportion
from matcher_service.duplicates.review import Page
from matcher_service.identification.recall import Recall


def recall_message(found: Recall) -> pb.MeasureRecallResponse:
    """Build the recall of an index."""
    if not found.samples:
        return pb.MeasureRecallResponse(indexed=found.indexed)
    return pb.MeasureRecallResponse(
        indexed=found.indexed,
        samples=found.samples,
        recall=_proportion(found.found, found.known) if found.known else None,
        far_recall=_proportion(found.far_found, found.far_known) if found.far_known else None,
        agreement=_proportion(found.agreed, found.samples),
        confirmed=_proportion(found.confirmed, found.samples),
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


def _proportion(count: int, of: int) -> pb.Proportion:
    share = Proportion(count, of)
    low, high = share.interval
    return pb.Proportion(count=count, value=share.value, low=low, high=high)
