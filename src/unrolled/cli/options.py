"""From the options of a task, defined once as pydantic models, to those of a command, and back."""

import inspect
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import typer
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from ..training.options import first_problem, grouped, groups_of
from .errors import UsageProblem

Model = TypeVar("Model", bound=BaseModel)
Command = TypeVar("Command", bound=Callable[..., Any])


def with_options(*groups: tuple[str, type[BaseModel]]) -> Callable[[Command], Command]:
    """Give a command, in place of its ``**given``, one option for each field of these models.

    Each group is a title for the help text and a model. An option that is not used arrives as None.
    """

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        made = [_parameter(name, field, title) for title, model in groups for name, field in model.model_fields.items()]
        parameters = [*own, *made]
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return decorate


def _parameter(name: str, field: FieldInfo, title: str) -> inspect.Parameter:
    kinds = [kind for kind in _alternatives(field.annotation) if kind is not NoneType]
    choices = [str(choice) for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    text = field.description or ""
    if choices:
        text += f" One of {', '.join(choices)}."
    if field.default is not None and field.default is not False:
        text += (
            f" \\[default: {field.default:g}]" if isinstance(field.default, float) else f" \\[default: {field.default}]"
        )
    option = typer.Option(
        f"{flag(name)}/--no-{flag(name)[2:]}" if field.default is True else flag(name),
        help=text,
        show_default=False,
        rich_help_panel=title,
        autocompletion=(lambda: choices) if choices else None,
    )
    kind = str if choices else kinds[0]
    annotation = Annotated[kind | None, option]  # type: ignore[valid-type]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is UnionType or "Union" in repr(annotation) else (annotation,)


def flag(name: str) -> str:
    """``learning_rate`` as ``--learning-rate``."""
    return "--" + name.replace("_", "-")


def used(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that stood on the command line."""
    return {name: value for name, value in given.items() if value is not None}


def build(model: type[Model], given: Mapping[str, Any]) -> Model:
    """A model, or a model of groups, from the options that were used.

    Raises:
        UsageProblem: a value is out of range; the option is named.
    """
    values = used(given)
    try:
        return model.model_validate(grouped(model, values) if groups_of(model) else values)
    except ValidationError as error:
        name, problem = first_problem(error)
        raise UsageProblem(f"{flag(name)}: {problem}") from error


def build_from(recorded: Model, given: Mapping[str, Any]) -> Model:
    """The options of a run, in groups, with those that were used in place of its own.

    Raises:
        UsageProblem: a value is out of range; the option is named.
    """
    values = used(given)
    lengths = {"steps", "minutes", "epochs"} & set(values)
    known = {name: value for group in recorded.model_dump().values() for name, value in group.items()}
    if lengths:  # one of them replaces another
        known |= {"steps": None, "minutes": None, "epochs": None}
    # None stands for an option that was not used, and is what the rest of these are by default
    return build(type(recorded), {**known, **values})
