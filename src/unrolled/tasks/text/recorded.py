"""What the config of a run of text says, checked: its options, its corpus, its tokenizer, its cell."""

from pathlib import Path

from pydantic import ValidationError

from ...core import CheckpointError, InputError
from ...training.run_folder import RunFolder
from ..cells import is_own
from .corpus import sha256_of
from .options import TextOptions
from .tokenizers import Tokenizer, load_tokenizer


def open_run(run: str | Path) -> RunFolder:
    """The folder of a run of text.

    Raises:
        CheckpointError: it is not one; so do all functions here where the config is damaged.
    """
    folder = RunFolder(run)
    if folder.config.get("task") != "text":
        raise CheckpointError(f"{folder.path}: expected a run of text, got one of {folder.config.get('task')!r}.")
    return folder


def recorded_options(folder: RunFolder) -> TextOptions:
    """The options, with the number of steps settled."""
    try:
        options = TextOptions.model_validate(folder.config["options"])
    except KeyError as error:
        raise _damaged(folder, "it states no options") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise _damaged(folder, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if options.training.steps is None:
        raise _damaged(folder, "it states no number of steps")
    return options


def recorded_corpus(folder: RunFolder) -> tuple[list[str], str]:
    """The paths of the corpus, and its hash."""
    corpus = folder.config.get("corpus")
    if not isinstance(corpus, dict):
        raise _damaged(folder, "it states no corpus")
    paths, sha256 = corpus.get("paths"), corpus.get("sha256")
    if not (isinstance(sha256, str) and isinstance(paths, list) and all(isinstance(path, str) for path in paths)):
        raise _damaged(folder, "its corpus lacks the paths or the hash")
    return paths, sha256


def _damaged(folder: RunFolder, reason: object) -> CheckpointError:
    return CheckpointError(f"{folder.path / 'config.json'}: damaged ({reason}); restore the file from a copy.")


def recorded_tokenizer(folder: RunFolder) -> tuple[Tokenizer, str]:
    """The tokenizer, and the alphabet that the model has seen."""
    text, name = folder.read_text("tokenizer.json"), str(folder.path / "tokenizer.json")
    loaded = load_tokenizer(text, name)
    if sha256_of(text) != folder.config.get("tokenizer_sha256"):
        raise CheckpointError(f"{name}: damaged (its hash is not that in config.json); restore the file from a copy.")
    return loaded


def with_cell(options: TextOptions, cell: str | None, folder: RunFolder) -> TextOptions:
    """The options with the cell that the user names now: a path in a run folder is never run by itself."""
    recorded = options.model.cell
    if is_own(recorded) and cell is None:
        raise InputError(
            f"--cell: {folder.path} was made with a cell of your own; name it again to run it: --cell {recorded}"
        )
    if not is_own(recorded):
        if cell not in (None, recorded):
            raise InputError(f"--cell: expected {recorded}, with which {folder.path} was made, got {cell!r}.")
        return options
    return options.model_copy(update={"model": options.model.model_copy(update={"cell": cell})})
