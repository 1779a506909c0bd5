"""What a run of text says of its corpus and its tokenizer, checked."""

from ...training.run_folder import RunFolder
from ..running import damaged
from .tokenizers import Tokenizer, load_tokenizer


def recorded_corpus(folder: RunFolder) -> tuple[list[str], str]:
    """The paths of the corpus, and its hash.

    Raises:
        CheckpointError: the config is damaged.
    """
    corpus = folder.config.get("corpus")
    if not isinstance(corpus, dict):
        raise damaged(folder, "it states no corpus")
    paths, sha256 = corpus.get("paths"), corpus.get("sha256")
    if not (isinstance(sha256, str) and isinstance(paths, list) and all(isinstance(path, str) for path in paths)):
        raise damaged(folder, "its corpus lacks the paths or the hash")
    return paths, sha256


def recorded_tokenizer(folder: RunFolder) -> tuple[Tokenizer, str]:
    """The tokenizer, and the alphabet that the model has seen."""
    return load_tokenizer(folder.read_checked("tokenizer.json"), str(folder.path / "tokenizer.json"))
