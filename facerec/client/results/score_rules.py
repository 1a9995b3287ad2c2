"""How a claim is scored against a person's faces."""

from facerec.errors import FacerecError, Reason
from facerec.matcher import v1

SCORE_RULES = ("nearest", "root_mean_square")
"""`nearest`: the nearest of the faces decides; `root_mean_square`: the root mean square of all distances."""


def score_rule_name(number: v1.ScoreRule.ValueType) -> str:
    """The short name of a rule, one of SCORE_RULES; "" if it is unspecified."""
    if number == v1.SCORE_RULE_UNSPECIFIED:
        return ""
    return v1.ScoreRule.Name(number).removeprefix("SCORE_RULE_").lower()


def score_rule_number(name: str | None, field: str) -> v1.ScoreRule.ValueType:
    """A rule by its name; None is unspecified. Raises FacerecError OPTION_INVALID."""
    if name is None:
        return v1.SCORE_RULE_UNSPECIFIED
    if name not in SCORE_RULES:
        raise FacerecError(
            f"score_rule is one of {', '.join(SCORE_RULES)}", reason=Reason.OPTION_INVALID, field=field
        )
    return v1.ScoreRule.Value(f"SCORE_RULE_{name.upper()}")
