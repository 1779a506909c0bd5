"""The estimator after scikit-learn's conventions."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score

from unrolled.core import DataError, InputError
from unrolled.tasks import Classifier

SMALL = {"hidden_size": 8, "steps": 60, "learning_rate": 0.01, "threads": 1, "cell": "gru", "dropout": 0.0}


@pytest.fixture
def waves():
    """Two classes of curves that differ in how fast they go: (60, 20, 2) and (60,)."""
    draw = np.random.default_rng(0)
    y = np.arange(60) % 2
    at = np.arange(20) / 20 * 2 * np.pi
    phase = draw.uniform(0, 2 * np.pi, 60)
    one = np.sin(at * (1 + 2 * y)[:, None] + phase[:, None])
    return np.stack([one, draw.normal(size=one.shape)], 2).astype(np.float32), y


def test_it_learns_numbers_and_keeps_the_type_of_labels(waves):
    X, y = waves
    model = Classifier(**{**SMALL, "steps": 150}).fit(X, y)
    assert model.score(X, y) > 0.9
    assert model.classes_.tolist() == [0, 1]
    assert model.predict(X[:3]).dtype == y.dtype
    chances = model.predict_proba(X)
    np.testing.assert_allclose(chances.sum(1), 1.0, atol=1e-9)
    assert (chances.argmax(1) == model.predict(X)).all()


def test_sequences_of_any_length_and_texts(waves):
    X, y = waves
    ragged = [one[: 8 + row % 12] for row, one in enumerate(X)]
    assert Classifier(**SMALL).fit(ragged, y).predict(ragged).shape == (60,)
    texts = ["so very good", "oh how bad"] * 20
    model = Classifier(**SMALL, embedding_size=8, subwords=50).fit(texts, ["+", "-"] * 20)
    assert model.predict(["very good!", "bad"]).tolist() == ["+", "-"]
    assert model.classes_.tolist() == ["+", "-"]


def test_the_same_seed_gives_the_same_model_and_another_another(waves):
    X, y = waves
    first, same, other = (Classifier(**SMALL, seed=seed).fit(X, y).predict_proba(X) for seed in (0, 0, 1))
    assert (first == same).all()
    assert not (first == other).all()


def test_scikit_learns_tools_take_it(waves):
    X, y = waves
    model = clone(Classifier(**SMALL))
    assert model.get_params()["hidden_size"] == 8
    assert cross_val_score(model, X, y, cv=3).shape == (3,)
    search = GridSearchCV(model, {"hidden_size": [4, 6]}, cv=2).fit(X, y)
    assert search.best_params_["hidden_size"] in (4, 6)


def test_save_and_load_predict_alike(waves, tmp_path):
    X, y = waves
    model = Classifier(**SMALL).fit(X, y)
    model.save(tmp_path / "run")
    loaded = Classifier.load(tmp_path / "run")
    assert (loaded.predict_proba(X) == model.predict_proba(X)).all()
    assert loaded.get_params()["cell"] == "gru"
    assert loaded.predict(X).dtype == y.dtype
    assert loaded.score(X, y) == model.score(X, y)


@pytest.mark.parametrize("labels", [["b", "a"], [True, False], [10.0, 9.0], [-1, -10]])
def test_labels_come_back_as_they_were(labels, waves):
    X, y = waves
    names = np.array(labels)[y]
    model = Classifier(**{**SMALL, "steps": 2}).fit(X, names)
    assert model.classes_.tolist() == sorted(labels)
    assert model.classes_.dtype.kind == names.dtype.kind
    assert set(model.predict(X).tolist()) <= set(labels)


def test_what_cannot_be_learnt_is_told(waves):
    X, y = waves
    with pytest.raises(NotFittedError):
        Classifier().predict(X)
    with pytest.raises(InputError, match="y: expected a label for each example, got None"):
        Classifier().fit(X)
    with pytest.raises(InputError, match="y: expected a label for each of the 60 examples, got 59"):
        Classifier().fit(X, y[1:])
    with pytest.raises(InputError, match="whole numbers or names, got float64"):
        Classifier().fit(X, y + 0.5)
    with pytest.raises(InputError, match="hidden_size: expected a value greater than or equal to 1, got 0"):
        Classifier(hidden_size=0).fit(X, y)
    with pytest.raises(DataError, match="at least two classes, got only '1'"):
        Classifier(**SMALL).fit(X, np.ones(60, dtype=int))
    with pytest.raises(InputError, match="X: expected a list of texts"):
        Classifier(**SMALL).fit("a text", [1])
    X[7, 3, 1] = np.nan
    with pytest.raises(DataError, match=r"X\[7\]: expected finite numbers, got nan at step 3, feature 1"):
        Classifier(**SMALL).fit(X, y)


def test_prediction_on_other_features_is_told(waves):
    X, y = waves
    model = Classifier(**SMALL).fit(X, y)
    with pytest.raises(DataError, match="expected 2 features at each step, as in the training data, got 1"):
        model.predict(X[:, :, :1])
    with pytest.raises(DataError, match="expected series, of which the run was trained, got text"):
        model.predict(["a text"])
