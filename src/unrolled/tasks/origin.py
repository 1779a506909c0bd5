"""Where the data of a run are from: what its config says of them, and whether they are still the same."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import DataError
from ..training.run_folder import RunFolder
from .reading import hash_of
from .running import changed_since, damaged

BUILT_IN = "the built-in example"


@dataclass(frozen=True)
class Origin:
    """Where data are from.

    Args:
        paths: files and folders; none: the built-in example, or data in memory.
        sha256: of what is learnt from; empty where nobody can go on with it.
        validation: the file or folder for validation, where there is one.
        validation_sha256: its hash.
        in_memory: whether the data were given from Python.
    """

    paths: tuple[Path, ...] = ()
    sha256: str = ""
    validation: Path | None = None
    validation_sha256: str | None = None
    in_memory: bool = False

    @classmethod
    def of_files(
        cls, paths: Iterable[Path], validation: str | Path | None = None, others: Iterable[Path] = ()
    ) -> "Origin":
        """Of files and folders, and of other files that these name."""
        found = tuple(paths)
        digest = hash_of([*found, *others]) if found else ""
        absolute = tuple(path.resolve() for path in found)
        if validation is None:
            return cls(absolute, digest)
        return cls(absolute, digest, Path(validation).resolve(), hash_of([Path(validation)]))

    @classmethod
    def recorded(cls, folder: RunFolder) -> "Origin":
        """What the config of a run says.

        Raises:
            CheckpointError: it is damaged.
        """
        found = recorded_data(folder)
        paths = found.get("paths")
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise damaged(folder, "it does not say where the data are from")
        validation = found.get("validation")
        return cls(
            tuple(map(Path, paths)),
            str(found.get("sha256")),
            None if validation is None else Path(str(validation)),
            found.get("validation_sha256"),
            found.get("in_memory") is True,
        )

    def record(self, **more: Any) -> dict[str, Any]:
        """What the config says of the data, with more that is the task's own."""
        known = {
            "paths": [str(path) for path in self.paths],
            "sha256": self.sha256,
            "validation": None if self.validation is None else str(self.validation),
            "validation_sha256": self.validation_sha256,
            "in_memory": self.in_memory,
        }
        return {"data": {**known, **more}}

    @property
    def name(self) -> str:
        """For a message."""
        return ", ".join(map(str, self.paths)) or ("data in memory" if self.in_memory else BUILT_IN)

    def check_unchanged(self, folder: RunFolder) -> None:
        """Compare with what a run that is to go on began with.

        Raises:
            DataError: the data are others now.
            CheckpointError: the config is damaged.
        """
        before = Origin.recorded(folder)
        if self.sha256 != before.sha256:
            raise changed_since(folder, f"{self.name} has")
        if self.validation_sha256 != before.validation_sha256:
            raise changed_since(folder, f"the validation data {self.validation or before.validation} have")


def recorded_data(folder: RunFolder) -> dict[str, Any]:
    """All that the config of a run says of its data.

    Raises:
        CheckpointError: it says nothing.
    """
    found = folder.config.get("data")
    if not isinstance(found, dict):
        raise damaged(folder, "it does not say where the data are from")
    return found


def paths_to_go_on_with(folder: RunFolder) -> tuple[Path, ...]:
    """The files of a run that is to go on.

    Raises:
        DataError: it was made from data in memory.
        CheckpointError: the config is damaged.
    """
    origin = Origin.recorded(folder)
    if origin.in_memory:
        raise DataError(
            f"{folder.path}: was made from data in memory, which it does not hold; call fit again, or begin a run "
            "from its weights with --from."
        )
    return origin.paths
