"""Spans: by hand, in every scheme, and against a plain reading of conlleval's own rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.core import DataError
from unrolled.tasks.tag.figures import Counts, measure
from unrolled.tasks.tag.spans import find_scheme, may_follow, normal, spans, write_spans

KINDS = st.sampled_from(["a", "b-c"])
ANY_TAGS = st.lists(st.one_of(st.just("O"), st.builds("{}-{}".format, st.sampled_from("BIES"), KINDS)), max_size=12)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", []),
        ("O O", []),
        ("B-x I-x O B-y", [(0, 2, "x"), (3, 4, "y")]),
        ("I-x I-x O I-y", [(0, 2, "x"), (3, 4, "y")]),  # IOB1
        ("I-x B-x I-x", [(0, 1, "x"), (1, 3, "x")]),  # IOB1: B only between neighbours of one type
        ("B-x I-y", [(0, 1, "x"), (1, 2, "y")]),  # invalid: another type begins a span
        ("O I-x", [(1, 2, "x")]),
        ("S-x S-x B-y I-y E-y", [(0, 1, "x"), (1, 2, "x"), (2, 5, "y")]),  # IOBES
        ("U-x B-y L-y O", [(0, 1, "x"), (1, 3, "y")]),  # BILOU
        ("E-x E-x", [(0, 1, "x"), (1, 2, "x")]),
        ("E-x I-x", [(0, 1, "x"), (1, 2, "x")]),
        ("S-x I-x", [(0, 1, "x"), (1, 2, "x")]),
        ("B-x S-x", [(0, 1, "x"), (1, 2, "x")]),
        ("B I O B", [(0, 2, ""), (3, 4, "")]),  # one type without a name
        ("B-a-b I-a-b", [(0, 2, "a-b")]),
    ],
)
def test_by_hand(tags, expected):
    assert spans(tags.split()) == expected


def conlleval(tags):
    """The rule as the scripts of the shared tasks state it: two lists of conditions on neighbouring tags."""
    found, begin = [], None
    before, kind_before = "O", ""
    for place, tag in enumerate([*tags, "O"]):
        letter, _, kind = tag.partition("-")
        pair = before + letter
        other = kind != kind_before
        ends = pair in ("BB", "BS", "BO", "IB", "IS", "IO") or before in "ES" or (before != "O" and other)
        begins = letter in "BS" or pair in ("EE", "EI", "SE", "SI", "OE", "OI") or (letter != "O" and other)
        if ends and begin is not None:
            found.append((begin, place, kind_before))
            begin = None
        if begins:
            begin = place
        before, kind_before = letter, kind
    return found


@given(ANY_TAGS)
def test_as_conlleval_reads_them(tags):
    assert spans(tags) == conlleval(tags)


@given(ANY_TAGS, st.sampled_from(["iob2", "iobes"]))
def test_every_scheme_keeps_the_spans_and_is_valid(tags, scheme):
    written = normal(tags, scheme)
    assert spans(written) == spans(tags)
    assert normal(written, scheme) == written
    steps = zip([None, *written], [*written, None], strict=True)
    assert all(may_follow(before, tag, scheme) for before, tag in steps)
    if any(tag[0] in "ES" for tag in written):
        assert find_scheme(written) == scheme == "iobes"


def test_what_may_follow():
    follows = {
        scheme: {
            (before, tag)
            for before in (None, "O", "B-x", "I-x", "B-y")
            for tag in (None, "O", "B-x", "I-x", "I-y")
            if may_follow(before, tag, scheme)
        }
        for scheme in ("iob2", "none")
    }
    everything = 25
    assert len(follows["none"]) == everything
    not_allowed = {(None, "I-x"), ("O", "I-x"), ("B-y", "I-x"), (None, "I-y"), ("O", "I-y"), ("B-x", "I-y")}
    assert everything - len(follows["iob2"]) == len(not_allowed) + 1
    assert not not_allowed & follows["iob2"]
    assert ("I-x", "I-y") not in follows["iob2"]
    assert may_follow("B-x", "E-x", "iobes")
    assert not may_follow("B-x", "O", "iobes")
    assert not may_follow("B-x", None, "iobes")
    assert not may_follow("E-x", "I-x", "iobes")
    assert not may_follow("S-x", "E-x", "iobes")
    assert may_follow("S-x", "B-x", "iobes")


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("O B-x I-x", "iob2"),
        ("O I-x", "iob2"),
        ("O", "iob2"),
        ("B I O", "iob2"),
        ("O S-x B-x E-x", "iobes"),
        ("U-x O", "iobes"),
        ("NOUN X VERB", "none"),
        ("NN-TL JJ O", "none"),
    ],
)
def test_the_scheme_of_a_data_set(tags, scheme):
    assert find_scheme(tags.split()) == scheme


@pytest.mark.parametrize(("tags", "wrong"), [("O B-x X", "'X'"), ("B-x B-", "'B-'"), ("O B-", "'B-'")])
def test_tags_that_fit_no_scheme(tags, wrong):
    with pytest.raises(DataError, match=wrong):
        find_scheme(tags.split())


def test_figures_by_hand():
    true = ["B-x I-x O B-y", "B-x O", "O O"]
    guess = ["B-x I-x O O", "I-x I-x", "B-y O"]
    figures = measure(map(str.split, true), map(str.split, guess), "iob2", [("p", "p"), ("p", "q"), (None, "q")])
    # spans: true x(0,2) y(3,4) | x(0,1) | -; found x(0,2) | x(0,2) | y(0,1); right: one
    assert figures.spans == Counts(right=1, found=3, true=3)
    assert figures.types == {"x": Counts(1, 2, 2), "y": Counts(0, 1, 1)}
    assert figures.spans.precision == figures.spans.recall == figures.spans.f1 == pytest.approx(1 / 3)
    assert (figures.tokens, figures.right_tokens) == (8, 4)
    assert figures.labels == Counts(1, 2, 2)
    assert figures.as_dict()["intent_accuracy"] == 0.5


def test_figures_of_nothing():
    figures = measure([["O"]], [["O"]], "iob2")
    assert figures.spans == Counts(0, 0, 0)
    assert (figures.score, figures.token_accuracy, figures.labels) == (0.0, 1.0, None)
    assert measure([], [], "none").token_accuracy == 0.0


def test_labels_that_are_no_spans():
    figures = measure([["N", "V"]], [["N", "N"]], "none")
    assert figures.spans is None
    assert figures.score == 0.5
    assert figures.types == {"N": Counts(1, 2, 1), "V": Counts(0, 0, 1)}


def test_written_by_hand():
    assert write_spans([(0, 3, "x"), (3, 4, "y")], 5, "iob2") == ["B-x", "I-x", "I-x", "B-y", "O"]
    assert write_spans([(0, 3, "x"), (3, 4, "")], 5, "iobes") == ["B-x", "I-x", "E-x", "S", "O"]
