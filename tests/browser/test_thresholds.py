"""Thresholds: what cannot be measured is said in the words of the page."""

from tests.browser.conftest import OpenConsole

WORDS = "async (text) => (await import('/console/pages/thresholds/words.js')).{}(text)"
NEEDS = "a rate of 0.01 requires 1000 persons as probes; 20 were drawn: enroll more people"


def test_advice_of_the_service_names_the_fields_as_the_page_does(open_console: OpenConsole) -> None:
    console = open_console("thresholds")
    console.has("Measure the error rates")
    labels = {
        "ask for target_false_positives of 0.3 or more": "enter 0.3 or more as “{}”",
        "ask for a target_fmr of 0.01 or more": "enter 0.01 or more as “{}”",
        "set max_persons to 447, if there are as many": "enter 447 as “{}”, if there are as many",
    }
    fields = (
        "Largest expected number of false positives of Identify",
        "Largest false match rate of Verify",
        "People to compare, at most",
    )
    for (text, expected), field in zip(labels.items(), fields, strict=True):
        assert console.main.get_by_label(field).count() == 1
        assert console.page.evaluate(WORDS.format("inPageWords"), text) == expected.format(field)
    short = "too few people: 1,000 are needed, 20 were compared"
    assert console.page.evaluate(WORDS.format("searchNeeds"), NEEDS) == short
