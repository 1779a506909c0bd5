"""The pictures of docs/shapes.md are what their program draws, and the page shows each of them."""

import importlib.util
from pathlib import Path
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).parent.parent / "docs"
FOLDER = DOCS / "pictures"
NAMES = ["ctc", "encoder-decoder", "sequence-to-sequence", "sequence-to-vector", "vector-to-sequence"]


def program():
    spec = importlib.util.spec_from_file_location("make_pictures", FOLDER / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_folder_has_these_and_no_others():
    assert sorted(program().PICTURES) == sorted(path.stem for path in FOLDER.glob("*.svg")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_what_the_program_draws(name):
    drawn = program().PICTURES[name]()
    assert (FOLDER / f"{name}.svg").read_text(encoding="utf-8") == drawn, "run: python docs/pictures/make.py"
    root = ElementTree.fromstring(drawn)
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    space = "{http://www.w3.org/2000/svg}"
    assert root.find(f"{space}title").text
    for text in root.iter(f"{space}text"):
        assert 0 < float(text.attrib["x"]) < width
        assert 12 < float(text.attrib["y"]) < height - 4
    sheet = root.find(f"{space}rect")  # what is drawn in dark ink is seen on a dark page too
    assert sheet.attrib["fill"] == "white"


@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_it_and_says_what_it_shows(name):
    line = next(line for line in (DOCS / "shapes.md").read_text(encoding="utf-8").splitlines() if name + ".svg" in line)
    assert line.startswith("![")
    assert len(line[2 : line.index("]")]) > 15


@pytest.mark.parametrize("page", ["index.md", "tasks.md", "equations.md", "models.md"])
def test_other_pages_lead_to_it(page):
    assert "(shapes.md)" in (DOCS / page).read_text(encoding="utf-8")
