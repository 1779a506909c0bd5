"""The recogniser: units, times, figures, masks, a stream that equals the whole, a run that is opened again."""

import numpy as np
import pytest
import torch

from unrolled.core import DataError, InputError, InputTypeError
from unrolled.tasks import Transcriber
from unrolled.tasks.transcribe import load, resume, train
from unrolled.tasks.transcribe.example import CODE, RATE, messages, morse
from unrolled.tasks.transcribe.figures import measure, scores
from unrolled.tasks.transcribe.options import DecodingOptions, LearningOptions, TranscribeOptions
from unrolled.tasks.transcribe.problem import masked, warped
from unrolled.tasks.transcribe.stream import complete
from unrolled.tasks.transcribe.transcripts import words_of
from unrolled.tasks.transcribe.units import Listed, learn_units, load_units, text_of
from unrolled.tasks.transcribe.utterances import Columns, Samples, Utterance, read_utterances

TEXTS = ["ab", "ba", "aab b", "b", "a b a", "bb"]


def options(**given):
    groups = {"data": {}, "model": {"hidden_size": 12, "layers": 1}, "training": {"threads": 1, "steps": 3}}
    for name, value in given.items():
        group = next(g for g, kind in TranscribeOptions.model_fields.items() if name in kind.annotation.model_fields)
        groups[group][name] = value
    return TranscribeOptions.model_validate(groups)


def signs(text, draw, size=3):
    """Features of a text: each letter three frames of its own, a pause after it."""
    rows = [[c == "a", c == "b", c == " "][:size] for letter in text for c in (letter, "_")]
    return (np.repeat(np.array(rows, dtype=float), 3, 0) + draw.normal(0, 0.05, (6 * len(text), size))).astype("f4")


def utterances(count=24, seed=0):
    draw = np.random.default_rng(seed)
    texts = [TEXTS[place % len(TEXTS)] for place in range(count)]
    return [Utterance(signs(text, draw), f"X[{place}]", text) for place, text in enumerate(texts)]


@pytest.fixture(scope="module")
def streaming(tmp_path_factory):
    folder = tmp_path_factory.mktemp("transcribe") / "run"
    wanted = options(streaming=True, subsampling=2, deltas=1, steps=150, learning_rate=0.03, stretch=0.0)
    train((utterances(), None), folder, wanted)
    return load(folder)


def test_a_stream_equals_the_whole_whatever_the_blocks(streaming):
    found = list(streaming.transcribe(utterances(6, seed=5)))
    assert any(len(transcript.words) > 1 for transcript in found)
    assert sum(transcript.text == text for transcript, text in zip(found, TEXTS, strict=True)) >= 5
    for transcript, utterance in zip(found, utterances(6, seed=5), strict=True):
        for size in (1, 3, 100):
            words = list(streaming.words(torch.from_numpy(utterance.source).split(size)))
            assert " ".join(word.text for word in words) == transcript.text
            assert words == transcript.words
    assert list(streaming.words([])) == []


def test_recordings_stream_too(tmp_path):
    train((list(messages(30)), None), tmp_path / "run", options(streaming=True, deltas=2, hidden_size=8))
    run = load(tmp_path / "run")
    with torch.no_grad():  # an untrained model says much, which shows more
        run.model.output.bias[0] = -0.5
    for message in messages(3, seed=1):
        [whole] = run.transcribe([message])
        assert list(run.words(run.blocks(message, 0.03))) == whole.words
        assert whole.text


@pytest.mark.parametrize("kind", ["words", "bpe"])
def test_a_stream_gives_the_times_of_the_whole_for_all_units(tmp_path, kind):
    heard = list(messages(30))
    train((heard, None), tmp_path / "run", options(streaming=True, units=kind, units_size=300, hidden_size=8))
    run = load(tmp_path / "run")
    with torch.no_grad():  # units that last, up to the end
        run.model.output.bias[0] = -1.0
    for message in heard[:3]:
        [whole] = run.transcribe([message])
        assert whole.words
        assert list(run.words(run.blocks(message, 0.03))) == whole.words


def test_only_a_model_for_streams_streams(tmp_path):
    train((utterances(), None), tmp_path / "run", options())
    with pytest.raises(InputError, match="train with --streaming"):
        load(tmp_path / "run").stream()


def test_normalisation_of_an_utterance_cannot_stream(tmp_path):
    with pytest.raises(InputError, match="--normalisation utterance: expected global"):
        train((utterances(), None), tmp_path / "run", options(streaming=True, normalisation="utterance"))


def test_a_run_goes_on_as_if_it_had_not_stopped(tmp_path):
    draw = np.random.default_rng(3)
    said = [TEXTS[place % 6] for place in range(24)]
    made = [signs(text, draw) for text in said]
    np.savez(
        tmp_path / "data.npz",
        features=np.concatenate(made),
        lengths=np.array([len(rows) for rows in made]),
        texts=np.array(said),
    )
    wanted = {"deltas": 1, "mask_time": 0.1, "noise": 0.1, "schedule": "constant", "warmup_steps": 0}
    train([tmp_path / "data.npz"], tmp_path / "whole", options(steps=6, **wanted))
    train([tmp_path / "data.npz"], tmp_path / "parts", options(steps=3, **wanted))
    resume(tmp_path / "parts", steps=6)
    whole, parts = (load(tmp_path / name, weights="last").model.state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    (tmp_path / "data.npz").write_bytes((tmp_path / "data.npz").read_bytes() + b" ")
    with pytest.raises(DataError, match="changed since"):
        resume(tmp_path / "parts", steps=8)


@pytest.mark.parametrize(
    "decoding",
    [{}, {"decoding": "beam"}, {"decoding": "beam", "ngram_weight": 0.0}, {"decoding": "beam", "lexicon": True}],
)
def test_every_decoding_reads_what_is_clear(streaming, tmp_path, decoding):
    draw = np.random.default_rng(0)
    texts = ["ab", "ba", "aab", "b"] * 10
    model = Transcriber(hidden_size=16, layers=1, subsampling=1, steps=120, learning_rate=0.03, threads=1)
    model.fit([signs(text, draw) for text in texts], texts).save(tmp_path / "run")
    run = load(tmp_path / "run", decoding=DecodingOptions(**decoding))
    heard = [Utterance(signs(text, draw), "x", text) for text in texts[:4]]
    assert [transcript.text for transcript in run.transcribe(heard)] == texts[:4]
    figures, unseen = run.measure(heard)
    assert (figures.model["wer"], figures.model["texts_right"], unseen) == (0, 1, [])


def test_a_lexicon_needs_a_beam_and_characters(streaming, tmp_path):
    train((utterances(), None), tmp_path / "run", options(units="words"))
    with pytest.raises(InputError, match="expected --decoding beam"):
        load(tmp_path / "run", decoding=DecodingOptions(lexicon=True))
    with pytest.raises(InputError, match="expected a model that writes characters, got one of words"):
        load(tmp_path / "run", decoding=DecodingOptions(lexicon=True, decoding="beam"))


@pytest.mark.parametrize("kind", ["characters", "words", "bpe"])
def test_units_write_what_they_read(kind):
    texts = ["one two", "två  three", "z"]
    units = learn_units(kind, texts, 300)
    again = load_units(units.kind, units.save())
    for text in texts:
        numbers = units.encode(text)
        assert min(numbers) > 0
        assert max(numbers) < units.size
        assert text_of(again.pieces(numbers)) == " ".join(text.split())


def test_what_no_unit_can_write_is_left_out():
    assert Listed("characters", ["a", "b"]).encode("abc") == [1, 2]
    with pytest.raises(ValueError, match="that differ"):
        Listed("characters", ["a", "a"])
    with pytest.raises(ValueError, match="expected a list"):
        load_units("words", "a")


def test_words_begin_with_their_first_unit_and_end_with_their_last():
    pieces, frames = [" fi", "ve", " six"], [(1, 2), (4, 6), (8, 9)]
    found = words_of(pieces, frames, 0.02, 0.17)
    assert [(word.text, word.start, word.end) for word in found] == [("five", 0.02, 0.12), ("six", 0.16, 0.17)]
    assert words_of([], [], 0.02) == []
    assert complete([" fi", "ve"]) == 0


def test_figures_count_words_and_characters():
    said, written = ["a b c", "d"], ["a x c e", "d"]
    found = measure(said, written)
    assert found.wer == 2 / 4
    assert (found.words, found.substitutions, found.insertions, found.deletions) == (4, 1, 1, 0)
    assert found.cer == 3 / 6
    assert dict(found.confused) == {("b", "x"): 1, ("", "e"): 1}
    made = scores(said, written, "d")
    assert made.figures["nothing at all"]["wer"] == 1
    assert made.figures["most frequent text"]["wer"] == 3 / 4
    assert made.model["texts_right"] == 0.5


def test_a_band_is_hidden_with_its_changes_and_padding_stays_zero():
    torch.manual_seed(0)
    features, lengths = torch.ones(40, 8, 12), torch.tensor([40, 30, 20, 10, 40, 40, 40, 40])
    found = masked(features, lengths, 3, LearningOptions(mask_features=0.9, mask_time=0.0))
    first, second, third = found[0].split(4, dim=1)
    assert torch.equal(first, second)
    assert torch.equal(first, third)
    assert 0 < float(first.mean()) < 1
    noisy = masked(features, lengths, 3, LearningOptions(noise=1.0, mask_time=0.5))
    assert float(noisy[30:, 1].abs().max()) == 0
    assert float(noisy[:30, 1].std()) > 0.5


def test_whole_groups_are_held_out(tmp_path):
    rows = ["audio,text,speaker"]
    draw = np.random.default_rng(0)
    for place in range(20):
        np.save(tmp_path / f"{place}.npy", signs("ab", draw))
        rows.append(f"{place}.npy,ab,{'xyz'[place % 3]}")
    (tmp_path / "m.csv").write_text("\n".join(rows) + "\n")
    done = train([tmp_path / "m.csv"], tmp_path / "run", options(group_column="speaker"))
    sides = [{"xyz"[row % 3] for row in part.rows} for part in (done.data.training, done.data.validation)]
    assert len(sides[1]) == 1
    assert not sides[0] & sides[1]
    assert len(done.data.training) + len(done.data.validation) == 20


def test_scale_units_and_ngrams_are_of_the_training_part_alone(tmp_path):
    made = utterances()
    odd = Utterance(made[0].source * 100, "odd", "ab")
    np.savez(
        tmp_path / "v.npz",
        features=odd.source,
        lengths=np.array([len(odd.source)]),
        texts=np.array(["abc"]),
    )
    wanted = options(streaming=True, validation=str(tmp_path / "v.npz"))
    done = train((made, None), tmp_path / "run", wanted)
    assert float(done.data.speech.front.scaler.deviation.max()) < 1
    assert done.data.speech.units.names == [" ", "a", "b"]
    assert load(tmp_path / "run").unseen(["abc"]) == ["c"]


def test_the_estimator_takes_samples_and_keeps_its_rate(tmp_path):
    made = list(messages(12))
    sounds, texts = [m.source.values for m in made], [m.text for m in made]
    model = Transcriber(hidden_size=8, layers=1, steps=2, threads=1).fit(sounds, texts, sample_rate=RATE)
    first = model.transcribe(sounds)
    assert [transcript.text for transcript in first] == model.predict(sounds)
    assert first[0].seconds == pytest.approx(len(sounds[0]) / RATE, abs=0.03)
    model.save(tmp_path / "run")
    assert Transcriber.load(tmp_path / "run").predict(sounds) == model.predict(sounds)
    assert model.score(sounds, texts) <= 1


@pytest.mark.parametrize(
    ("X", "y", "rate", "message"),
    [
        ([np.zeros(5)], ["a"], None, "give sample_rate"),
        ([np.zeros((5, 2))], ["a"], 8000, r"expected samples \(N,\)"),
        ([np.zeros(5, dtype=int)], ["a"], 8000, "floating-point"),
        ([np.zeros(500)], ["a"], 8000, "not all equal"),
        ([np.ones((5, 2))], [" "], None, "got an empty text"),
        ([np.ones((5, 2))], ["a", "b"], None, "as many arrays as texts"),
        ([np.full((5, 2), np.nan)], ["a"], None, "expected finite features, got nan at frame 0, feature 0"),
        ([np.ones((5, 2)), np.ones((5, 3))], ["a", "a"], None, "expected 2 features a frame"),
    ],
)
def test_the_estimator_says_what_is_wrong(X, y, rate, message):  # noqa: N803
    with pytest.raises((InputError, DataError), match=message):
        Transcriber(steps=1, hidden_size=4, threads=1).fit(X, y, sample_rate=rate)


def test_the_estimator_refuses_what_is_no_recording():
    model = Transcriber(hidden_size=4, layers=1, steps=1, threads=1)
    sounds, texts = [message.source.values for message in messages(12)], [message.text for message in messages(12)]
    model.fit(sounds, texts, sample_rate=RATE)
    with pytest.raises(DataError, match=r"X\[0\]: expected samples, got none"):
        model.predict([sounds[0][:0]])
    with pytest.raises(InputError, match="sample_rate: expected samples a second, got 0"):
        model.predict(sounds, sample_rate=0)
    with pytest.raises(InputTypeError, match="sample_rate: expected a whole number, got str"):
        model.predict(sounds, sample_rate="8000")
    with pytest.raises(InputError, match=r"X\[0\]: expected an array"):
        model.predict([[[1.0, 2.0], [1.0]]])


def test_morse_code_is_that_of_the_alphabet():
    assert len(CODE) == 26
    assert len(set(CODE.values())) == 26
    sound = morse("SOS", np.random.default_rng(0))
    assert sound.dtype == np.float32
    assert float(np.abs(sound).max()) <= 1
    assert [m.text for m in messages(3)] == [m.text for m in messages(3)]


def test_a_folder_has_a_text_beside_each_recording(tmp_path):
    import soundfile

    (tmp_path / "deep").mkdir()
    for place, message in enumerate(messages(3)):
        soundfile.write(tmp_path / "deep" / f"{place}.wav", message.source.values, RATE)
        (tmp_path / "deep" / f"{place}.txt").write_text(f" {message.text}\n")
    found = list(read_utterances(tmp_path, Columns()))
    assert [utterance.text for utterance in found] == [message.text for message in messages(3)]
    (tmp_path / "deep" / "1.txt").unlink()
    with pytest.raises(DataError, match=r"1.wav: expected a file 1.txt beside it"):
        list(read_utterances(tmp_path, Columns()))
    assert len(list(read_utterances(tmp_path, Columns(), texts=False))) == 3


def test_another_rate_is_brought_to_the_model_s(tmp_path):
    train((list(messages(20)), None), tmp_path / "run", options(hidden_size=4))
    run = load(tmp_path / "run")
    sound = next(messages(1)).source.values
    twice = Samples(np.repeat(sound, 2), 2 * RATE)
    heard = [run.speech.front(Utterance(source, "x")) for source in (Samples(sound, RATE), twice)]
    assert abs(len(heard[0]) - len(heard[1])) <= 1
    assert np.corrcoef(heard[0].ravel(), heard[1][: len(heard[0])].ravel())[0, 1] > 0.95


def test_a_band_is_moved_with_its_changes():
    torch.manual_seed(0)
    bands = torch.randn(20, 5, 6)
    found = warped(torch.cat([bands, 2 * bands, -bands], 2), 3, 0.5)
    first, second, third = found.split(6, dim=2)
    assert not torch.allclose(first, bands, atol=0.1)
    torch.testing.assert_close(second, 2 * first)
    torch.testing.assert_close(third, -first)
