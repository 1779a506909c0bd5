"""A run folder: config.json, metrics.jsonl, model.safetensors (best), last.safetensors, loss.svg."""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..core import CheckpointError, DataError
from .checkpoint import FORMAT, PARTIAL, current_umask, write_atomically

if sys.platform != "win32":
    import fcntl


class RunFolder:
    """The files of one run; what they hold is described in docs/run-folder.md.

    Args:
        path: an existing run folder.

    Raises:
        CheckpointError: the folder is missing, is not a run, or was made by a newer version.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.best = self.path / "model.safetensors"
        self.last = self.path / "last.safetensors"
        self.metrics = self.path / "metrics.jsonl"
        self.plot = self.path / "loss.svg"
        self.config = self._read_config()

    @classmethod
    def create(cls, path: str | Path, config: dict[str, Any], files: dict[str, str] | None = None) -> "RunFolder":
        """Make a new run folder, with its config and these text files, in one move.

        Raises:
            DataError: the folder exists and is not empty, or cannot be written.
        """
        files = files or {}
        hashes = {"sha256_of_files": {name: sha256_of(text) for name, text in files.items()}} if files else {}
        cls.write_copy(path, {**files, "config.json": _config_text({"format": FORMAT, **hashes, **config})})
        return cls(path)

    @classmethod
    def write_copy(cls, path: str | Path, files: Mapping[str, str | bytes]) -> None:
        """Make a new run folder of the files of one, in one move.

        Raises:
            DataError: the folder exists and is not empty, or cannot be written.
        """
        path = Path(path)
        cls.check_free(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL))
        except OSError as error:
            raise DataError(f"{path}: cannot make this folder ({error.strerror}); choose another --output.") from error
        try:
            for name, content in files.items():
                write_atomically(made / name, content)
            made.chmod(0o777 & ~current_umask())
            os.replace(made, path)
        except OSError as error:
            raise DataError(f"{path}: cannot write this folder ({error.strerror}); choose another --output.") from error
        finally:
            shutil.rmtree(made, ignore_errors=True)

    @staticmethod
    def check_free(path: str | Path) -> None:
        """Raise DataError where there is something already, other than an empty folder."""
        path = Path(path)
        empty = path.is_dir() and not any(path.iterdir())
        if not empty and (path.exists() or path.is_symlink()):
            raise DataError(f"{path}: exists already; choose another --output, or go on with --resume {path}.")

    @property
    def training(self) -> dict[str, Any]:
        """The options of training in the config."""
        options = self.config.get("options")
        training = options.get("training") if isinstance(options, dict) else None
        return training if isinstance(training, dict) else {}

    def record_training(self, training: dict[str, Any]) -> None:
        """Replace the options of training in the config."""
        if training != self.training:
            self.config = {**self.config, "options": {**self.config["options"], "training": training}}
            write_atomically(self.path / "config.json", _config_text(self.config))

    def _read_config(self) -> dict[str, Any]:
        file = self.path / "config.json"
        if not self.path.is_dir():
            raise CheckpointError(f"{self.path}: expected a run folder, found no folder of this name.")
        try:
            config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CheckpointError(
                f"{self.path}: not a run folder, it holds no config.json; give the folder that `unrolled train` made."
            ) from None
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{file}: cannot be read ({error}); restore the file from a copy.") from error
        found = config.get("format") if isinstance(config, dict) else None
        if not isinstance(found, int):
            raise CheckpointError(f"{file}: not the config of a run, it states no format.")
        if found > FORMAT:
            raise CheckpointError(
                f"{self.path}: made by a newer version (format {found}, this one reads {FORMAT}); upgrade unrolled."
            )
        return config

    def read_text(self, name: str) -> str:
        """A text file of the run.

        Raises:
            CheckpointError: it is missing or unreadable; it is named.
        """
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{self.path / name}: cannot be read ({error}).") from error

    def read_checked(self, name: str) -> str:
        """A text file of the run that its config has the hash of.

        Raises:
            CheckpointError: it is missing, unreadable or damaged; it is named.
        """
        text = self.read_text(name)
        hashes = self.config.get("sha256_of_files")
        if not isinstance(hashes, dict) or hashes.get(name) != sha256_of(text):
            raise CheckpointError(
                f"{self.path / name}: damaged (its hash is not that in config.json); restore the file from a copy."
            )
        return text

    def read_metrics(self) -> list[dict[str, Any]]:
        """The records of metrics.jsonl; a last line that was cut off is left out."""
        records = []
        lines = self.metrics.read_bytes().splitlines() if self.metrics.exists() else []
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                int(record["step"])  # every record has one
                records.append(record)
            except (ValueError, TypeError, KeyError):
                if number < len(lines):
                    raise CheckpointError(
                        f"{self.metrics}: line {number} is not a record in JSON; restore the file from a copy."
                    ) from None
        return records

    def rewind_metrics(self, last_step: int) -> None:
        """Drop the records of steps that will be done again."""
        kept = [record for record in self.read_metrics() if record["step"] <= last_step]
        write_atomically(self.metrics, "".join(json.dumps(record) + "\n" for record in kept))

    def log(self, record: dict[str, Any]) -> None:
        """Append one record to metrics.jsonl."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training in this folder; the lock ends with the process, however it ends.

        Raises:
            CheckpointError: another process trains in it.
        """
        if sys.platform == "win32":  # no such lock
            yield
            return
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CheckpointError(
                    f"{self.path}: another process is training in this folder; wait for its end, or stop it."
                ) from None
            for left in self.path.glob(f".*{PARTIAL}"):
                left.unlink()  # by a process that was killed while it wrote
            yield


def sha256_of(text: str) -> str:
    """The hash of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def _config_text(config: dict[str, Any]) -> str:
    return json.dumps(config, indent=2) + "\n"
