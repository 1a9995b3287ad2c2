"""Prints a collection's settings and the state of its index."""

from typing import TYPE_CHECKING

from facerec.cli.terminal import output, times

if TYPE_CHECKING:
    from facerec.client import Collection, SearchIndex


def show_collection(collection: "Collection", title: str, json: bool) -> None:
    """Print a collection's settings under a title, or the whole collection as JSON."""
    if json:
        output.as_json({"collection": collection})
        return
    settings, index = collection.settings, collection.index
    name = f" ({settings.display_name})" if settings.display_name else ""
    faces = output.counted(collection.estimated_faces, "face")
    people = output.counted(collection.estimated_persons, "person", "people")
    about = ("" if collection.persons_exact else "about ", "" if collection.faces_exact else "about ")
    output.line(f"{title}{name}: {about[0]}{people}, {about[1]}{faces}")
    rows: list[tuple[str, str]] = [
        ("space", collection.space),
        ("verify threshold", f"{settings.verify_threshold:.3f}"),
        ("score rule", (settings.score_rule or "").replace("_", " ")),
        ("identify threshold", f"{settings.identify_threshold:.3f}"),
        ("duplicates", f"{settings.duplicate_policy} within {settings.duplicate_threshold:.3f}"),
        ("inconsistent faces", str(settings.consistency_policy)),
        ("smallest face", f"{settings.min_face_pixels} pixels" if settings.min_face_pixels else "any"),
        ("refused qualities", ", ".join(settings.refused_qualities or ()).lower() or "none"),
        ("search", "exact only" if settings.exact_only else "by index, if there is one"),
        ("index above", f"{settings.index_above_faces} faces"),
        ("acceptance threshold", f"{settings.acceptance_threshold:.3f}"),
        ("target recall", f"{settings.target_recall:.3f}"),
        ("retention", times.format_duration(settings.retention) if settings.retention else "for ever"),
        ("index", index_state(index)),
    ]
    output.table(("setting", "value"), rows)


def index_state(index: "SearchIndex") -> str:
    """The state of an index in a few words."""
    building = f"{index.build_phase}, {index.build_done:.0%}" if index.build_phase else ""
    if not index.ready:
        if index.build_time is not None and not building:
            return "not used: its recall is below the target, so every search is exact"
        return f"building: {building}" if building else "none"
    recall = "" if index.recall is None else f", recall {index.recall:.3f}"
    if index.far_recall is not None:
        recall += f", far recall {index.far_recall:.3f}"
    over = f"over {output.counted(index.persons, 'person', 'people')}{recall}"
    return f"{over}; rebuilding: {building}" if building else over
