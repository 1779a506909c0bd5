"""Public data sets, where they are there: what is read of them, and that a short training learns."""

import pytest

from unrolled.core import DataError
from unrolled.tasks import classify
from unrolled.tasks.classify.gather import gather
from unrolled.tasks.classify.options import ClassifyOptions, DataOptions


def test_the_files_are_read_whole(real_data):
    for name, count, features in (
        ("ucr_uea/JapaneseVowels/JapaneseVowels_TRAIN.ts", 270, 12),
        ("ucr_uea/JapaneseVowels/JapaneseVowels_TEST.ts", 370, 12),
        ("mnist1d/mnist1d.npz", 4000, 1),
    ):
        examples = gather([real_data(name)], DataOptions()).examples
        assert (len(examples), examples.features) == (count, features)
    lengths = {len(row) for row in gather([real_data("ucr_uea/JapaneseVowels/JapaneseVowels_TRAIN.ts")], DataOptions())
               .examples.rows}  # fmt: skip
    assert (min(lengths), max(lengths)) == (7, 26)
    lines = DataOptions(format="labelled-lines")
    assert len(gather([real_data("sentiment/stsa.binary.train")], lines).examples) == 6920
    with pytest.raises(DataError, match=r"TREC.train.all:\d+: expected UTF-8 text, .* iconv"):
        gather([real_data("sentiment/TREC.train.all")], lines)


@pytest.mark.slow
def test_speakers_are_told_apart_by_two_vowels(real_data, tmp_path):
    options = ClassifyOptions.model_validate(
        {
            "training": {"epochs": 25, "threads": 1, "learning_rate": 0.004},
            "data": {"batch_size": 16},
            "augment": {"noise": 0.3, "stretch": 0.2},
        }
    )
    run = classify.train([real_data("ucr_uea/JapaneseVowels/JapaneseVowels_TRAIN.ts")], tmp_path / "run", options)
    scores = classify.load(run.folder).evaluate([real_data("ucr_uea/JapaneseVowels/JapaneseVowels_TEST.ts")])
    assert scores.count == 370
    assert scores.model["accuracy"] > 0.9
    assert scores.figures["most frequent class"]["accuracy"] < 0.1
