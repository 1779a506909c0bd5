"""The display of a notebook: in a real kernel, and what it draws step by step."""

import re
import sys
from types import SimpleNamespace

import pytest

from unrolled.training import notebook
from unrolled.training.notebook import NotebookDisplay, in_notebook
from unrolled.training.progress import PlainDisplay, make_display, observers_here

CODE = """
from unrolled.tasks import Tagger
X, y = [["fly", "to", "Oslo"], ["to", "<b>Rome</b>"]] * 8, [["O", "O", "B-city"], ["O", "B-city"]] * 8
tagger = Tagger(steps=12, hidden_size=4, embedding_size=4, subwords=10, threads=1).fit(X, y)
print("score", tagger.score(X, y) >= 0)
"""


@pytest.mark.slow
def test_in_a_kernel(tmp_path):
    """One output, that ends with the last step; nothing on standard error."""
    pytest.importorskip("ipykernel")
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
    nbclient.NotebookClient(book, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown, printed = book.cells[0].outputs
    assert printed["text"] == "score True\n"
    html, plain = shown["data"]["text/html"], shown["data"]["text/plain"]
    assert "done 12/12" in html
    assert "width:100.0%" in html
    assert plain.startswith("done: step 12/12  loss ")
    assert len(re.findall("<tr>", html)) == 1 + 6  # a row for each evaluation: every second step, and a head
    assert "span f1" in html
    assert "<b>" not in html


class Shown:
    """Stands for IPython: remembers what was displayed, and how it changed."""

    def __init__(self):
        self.pictures = []

    def display(self, picture, *, raw, display_id):
        assert raw
        assert display_id
        self.pictures.append(picture)
        return self

    def update(self, picture, *, raw):
        assert raw
        self.pictures.append(picture)


@pytest.fixture
def shown(monkeypatch):
    shown = Shown()
    shell = SimpleNamespace(kernel=object())
    display = SimpleNamespace(display=shown.display)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell, display=display))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def record(step):
    return {"step": step, "loss": 2.0, "gradient_norm": 0.5, "tokens_per_second": 123.0}


def test_what_is_drawn(shown, tmp_path, monkeypatch):
    monkeypatch.setattr(notebook, "EVERY", 0.0)
    display = make_display("words")
    assert isinstance(display, NotebookDisplay)
    display.measuring(2.5)
    assert "measuring how many steps fit into 2.5 min" in shown.pictures[-1]["text/html"]
    display.started(0, 8, tmp_path)
    assert "training 0/8, -:-- left" in shown.pictures[-1]["text/html"]
    display.stepped(record(1))
    assert "width:12.5%" in shown.pictures[-1]["text/html"]
    assert "123 words/s" in shown.pictures[-1]["text/html"]
    display.evaluating(1)
    assert "evaluating 1/8" in shown.pictures[-1]["text/html"]
    figures = {"step": 1, "validation_loss": 1.5, "accuracy": 0.25, "criterion": 0.75, "tokens_per_second": 9.0}
    display.evaluated(figures, "<script>\x1b[31m")
    html = shown.pictures[-1]["text/html"]
    assert "<th>step</th><th>validation loss</th><th>accuracy</th></tr>" in html
    assert "<td>1</td><td>1.5</td><td>0.25</td></tr>" in html
    assert "&lt;script&gt;\N{REPLACEMENT CHARACTER}[31m" in html
    assert "<script>" not in html
    display.stopped()
    assert shown.pictures[-1]["text/plain"].startswith("stopped: step 1/8  loss 2.000")


def test_only_some_pictures_a_second(shown, tmp_path):
    display = NotebookDisplay()
    display.started(0, 1000, tmp_path)
    for step in range(1, 500):
        display.stepped(record(step))
    assert 1 <= len(shown.pictures) < 20


def test_elsewhere_there_is_none(shown, monkeypatch):
    assert len(observers_here(None)) == 1
    assert observers_here(False) == []
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace()))
    assert not in_notebook()  # IPython on a terminal
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not in_notebook()  # a program that imports IPython
    monkeypatch.delitem(sys.modules, "IPython")
    assert not in_notebook()
    assert isinstance(make_display(), PlainDisplay)
    assert observers_here(None) == []
