"""The base of all forms: fields with the package's defaults, and problems shown at their fields.

The App draws a form at each keystroke, so its checks are cheap: they read the dataset's record, and
query samples only now and then. They are advice. When the operator is executed, the package checks
everything again. The messages are those of the package. Every kind of field is drawn here, so the
module is longer than others.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import fiftyone.operators.types as types

import fiftyone_drop as fod

from .. import door
from ..plain_text import as_it_is
from ..words import in_app_words

Choices = Iterable[str] | Mapping[str, str]
Kinds = Mapping[str, door.Kind]

# The arguments that say how much is kept, one of which is passed
AMOUNTS = {"density": "A fraction", "size": "Samples", "max_bytes": "Bytes of image files"}
START_DENSITY = 0.5  # where a slider starts: apply_drop has no default for it
# What FiftyOne adds where a panel has opened the form; nothing reads it
FROM_PANELS = ("panel_id", "panel_state")


class Form:
    """A form over the parameters of one function of the package.

    Attributes:
        function: the public name of the function; empty where the App alone has the operator
        kinds: the kind of value of each field that the form can have
        ignored: what FiftyOne sends besides
        entries: the values that are filled in, by name, but for those of another kind
        emptied: the names of the fields whose text somebody has taken out
        inputs: the fields drawn so far
        written: what the operator has written so far, in words; from then on it is not to be
            stopped
    """

    function = ""
    kinds: ClassVar[Kinds] = {}
    ignored: ClassVar[tuple[str, ...]] = FROM_PANELS

    def __init__(self, ctx: Any):
        self.ctx = ctx
        self.inputs = types.Object()
        self.written: list[str] = []
        self.entries: dict[str, Any] = {}
        self._refused: list[fod.DropError] = []
        self._problems: list[tuple[str, str, str]] = []
        self.emptied = {name for name, value in ctx.params.items() if value == ""}
        for name, value in ctx.params.items():
            if value is None or name in self.emptied or name in self.ignored:
                continue
            try:
                self.entries[name] = self.parse(name, value)
            except fod.DropError as error:
                self._refused.append(error)

    @property
    def from_app(self) -> bool:
        """Whether a browser sends the values, or has queued them; only then the request says so."""
        return "operator_uri" in self.ctx.request_params

    @property
    def dataset_name(self) -> str:
        """The name of the dataset that is open; the empty string where none is."""
        try:
            return str(door.open_dataset(self.ctx).name)
        except fod.DropError:
            return ""

    def parse(self, name: str, value: object) -> Any:
        """A value that is filled in.

        Raises:
            fiftyone_drop.DropError: if the form has no such field, or one of another kind
        """
        kind = self.kinds.get(name)
        if kind is not None:
            return kind(name, value)
        if name in self.parameters and not self.from_app:
            return value  # a script may pass every argument; the package checks it
        raise fod.DropError(str(name)[:100], "is no field of this form; leave it out")

    def draw(self, title: str) -> types.Property:
        """The form as it looks with the values that are filled in."""
        for error in self._refused:
            self.show(error)
        try:
            door.open_dataset(self.ctx)
        except fod.DropError as error:
            self.problem(error.message)
        else:
            with self.checking():
                self.fields()
        self._show_problems()
        return types.Property(self.inputs, view=types.View(label=title))

    def accept_values(self) -> None:
        """Check that every value is of the kind of its field, and a dataset is open.

        Raises:
            fiftyone_drop.DropError: if not
        """
        for error in self._refused:
            raise error
        door.open_dataset(self.ctx)

    def accept(self) -> None:
        """Check the values before they are used.

        From a browser, only fields count that the form shows for the choices made: the App keeps
        the values of fields that are hidden again.

        Raises:
            fiftyone_drop.DropError: if the form has no such field, one of another kind, or cannot
                be filled in
        """
        self.accept_values()
        if self.from_app:
            drawn = type(self)(self.ctx)
            shown = drawn.draw("").type.properties
            hidden = {name for name in self.entries if name not in shown}
            if not set(shown) & set(self.kinds):
                raise fod.DropError("dataset", shown["problem"].error_message)
            lacking = any(self.is_needed(one) for one in hidden)  # hidden because of a problem
            for name, message, _ in drawn._problems:
                if lacking or name in self.emptied:
                    raise fod.DropError(name, message)
            self.entries = {name: v for name, v in self.entries.items() if name not in hidden}

    def fields(self) -> None:
        """Draw the fields."""
        raise NotImplementedError

    def arguments(self) -> dict[str, Any]:
        """The arguments of the function. Blank fields are left to its defaults.

        Raises:
            fiftyone_drop.DropError: if an argument is missing
        """
        for name in self.parameters:
            if self.is_needed(name) and name not in self.entries:
                raise fod.DropError(name, "must be given")
        return {name: value for name, value in self.entries.items() if name in self.parameters}

    # -- the function --

    @functools.cached_property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The parameters that a form may pass, by name."""
        if not self.function:
            return {}
        _, *others = inspect.signature(getattr(fod, self.function)).parameters.values()
        named = [p for p in others if p.kind is not p.VAR_KEYWORD and p.name != "progress"]
        return {p.name: p for p in named}

    def is_needed(self, name: str) -> bool:
        """Whether the function has a parameter of that name, without a default."""
        parameter = self.parameters.get(name)
        return parameter is not None and parameter.default is parameter.empty

    def default(self, name: str) -> Any:
        """The default of a parameter; None where it has no default."""
        parameter = self.parameters.get(name)
        return None if parameter is None or self.is_needed(name) else parameter.default

    def value(self, name: str) -> Any:
        """The value that is filled in, or the default."""
        return self.entries.get(name, self.default(name))

    # -- messages --

    def problem(self, words: str) -> None:
        """A message that keeps the form from being executed."""
        words = in_app_words(words)
        view = types.Error(label=as_it_is(words))
        self.inputs.view("problem", view, invalid=True, error_message=words)

    def notice(self, name: str, words: str) -> None:
        """A message about the effect of the operator."""
        self.inputs.view(name, types.Notice(label=as_it_is(words)))

    def warning(self, name: str, words: str) -> None:
        """A message about something that may be a mistake."""
        self.inputs.view(name, types.Warning(label=as_it_is(words)))

    def mark(self, name: str, message: str) -> None:
        """Show a problem at a field, and keep the form from being executed."""
        self._problems.append((name, message, message))

    def show(self, error: fod.DropError, at: str | None = None) -> None:
        """Show an error of the package at the field ``at``, or at the field of its argument."""
        message = str(error) if at not in (None, error.argument) else error.message
        words, alone = in_app_words(message), in_app_words(str(error))
        self._problems.append((at or error.argument, words, alone))

    @contextmanager
    def checking(self, at: str | None = None) -> Iterator[None]:
        """Show an error of the package instead of raising it."""
        try:
            yield
        except fod.DropError as error:
            self.show(error, at)

    def _show_problems(self) -> None:
        """Put each problem at its field, once all fields are drawn, and all of them at the top.

        A long form ends below the screen, and its button does nothing as long as a field is wrong.
        """
        words = []
        for name, message, alone in self._problems:
            field = self.inputs.properties.get(name)
            if field is None:
                self.problem(alone)
            else:
                field.invalid, field.error_message = True, message
                words.append(f"{field.view.label or name}: {message}")
        if words:
            below = self.inputs.properties
            self.inputs.properties = {}
            self.warning("to_settle", f"To be settled first. {'. '.join(words)}")
            self.inputs.properties |= below

    def may_replace(self, label: str, check: Callable[[bool], Any]) -> None:
        """Offer to overwrite, if ``check(overwrite)`` fails without it and passes with it."""
        problems = {overwrite: _problem(check, overwrite) for overwrite in (False, True)}
        if problems[False] and not problems[True]:
            self.switch("overwrite", label)
        error = problems[bool(self.entries.get("overwrite"))]
        if error:
            self.show(error)

    # -- fields --

    def choose(self, name: str, choices: Choices, **kwargs: Any) -> str | None:
        """A choice; returns the chosen value, or the default."""
        # A string, not an enum: the package has the better message about a wrong value
        default = kwargs.setdefault("default", self.default(name))
        self.inputs.str(name, view=_choices(types.Dropdown(), choices), **kwargs)
        return self.entries.get(name, default)

    def choose_needed(
        self, name: str, choices: Choices, missing: str, likely: str | None = None, **kwargs: Any
    ) -> str | None:
        """A choice without a default, unless one is likely or the only one; returns the value.

        Until a value is chosen, ``missing`` is shown at the field.
        """
        names = list(choices)
        only = names[0] if len(names) == 1 else likely
        value = self.choose(name, choices, default=only, **kwargs)
        if value is None:
            self.mark(name, missing)
        return value

    def choose_many(self, name: str, choices: Mapping[str, str], **kwargs: Any) -> list[str]:
        """Any number of choices; returns the chosen values, or the default."""
        default = self.default(name)
        default = None if default is None else list(default)
        view = _choices(types.Dropdown(), choices)
        self.inputs.list(name, types.String(), default=default, view=view, **kwargs)
        return list(self.entries.get(name, default) or ())

    def radio(self, name: str, choices: Mapping[str, str], **kwargs: Any) -> str | None:
        """A choice of few, all of them in sight; returns the chosen value, or the default."""
        view = _choices(types.RadioGroup(orientation="vertical"), choices)
        self.inputs.str(name, view=view, **kwargs)
        return self.entries.get(name, kwargs.get("default"))

    def number(self, name: str, **kwargs: Any) -> None:
        """A number, whole if the function takes a whole number."""
        whole = "int" in str(self.parameters[name].annotation)
        define = self.inputs.int if whole else self.inputs.float
        define(name, **{"default": self.default(name)} | kwargs)

    def switch(self, name: str, label: str, **kwargs: Any) -> bool:
        """A switch; returns whether it is on."""
        default = bool(self.default(name))
        self.inputs.bool(name, default=default, label=label, view=types.SwitchView(), **kwargs)
        return bool(self.entries.get(name, default))

    def text(self, name: str, **kwargs: Any) -> Any:
        """A line of text; returns the text, or the default."""
        default = kwargs.setdefault("default", self.default(name))
        self.inputs.str(name, **kwargs)
        if default and name in self.emptied:
            self.mark(name, f"must not be empty, such as '{default}'")
        return self.entries.get(name, default)

    def seed(self) -> None:
        """The seed: a whole number, as good as any other that is not negative."""
        self.number("seed", min=0, label="Seed")

    def more(self) -> bool:
        """The switch that shows the rarer fields; returns whether it is on."""
        return self.switch("more", "More options")

    def amount(self, density: float, exact: bool = False) -> dict[str, Any]:
        """How much is kept: a density, a number of samples, or a number of bytes.

        Args:
            density: where the slider of hundredths starts
            exact (False): whether the density is a number instead

        Returns:
            the argument of the function, empty until there is one
        """
        given = [name for name in AMOUNTS if name in self.entries]
        by = self.radio(
            "amount", AMOUNTS, default=given[0] if given else "density", label="How much is kept"
        )
        if by == "size":
            self.number("size", min=1, label="Samples")
        elif by == "max_bytes":
            self.number(
                "max_bytes",
                min=1,
                label="Bytes, at most",
                description="Of the kept image files: 1,000,000,000 are a gigabyte",
            )
        else:
            slider = {"min": 0.01, "max": 1, "step": 0.01}
            view = types.SliderView(
                label_position="top", value_precision=2, componentsProps={"slider": slider}
            )
            self.number(
                "density",
                min=0,
                max=1,
                default=density,
                label="Density",
                description="The fraction of the samples that is kept",
                view=None if exact else view,
            )
            self.entries.setdefault("density", density)
        if by not in self.entries:
            self.mark(str(by), f"say how many {AMOUNTS[str(by)].lower()}")
            return {}
        return {str(by): self.entries[str(by)]}


def _problem(check: Callable[[bool], Any], overwrite: bool) -> fod.DropError | None:
    try:
        check(overwrite)
    except fod.DropError as error:
        return error
    return None


def _choices(view: Any, choices: Choices) -> Any:
    labels = choices if isinstance(choices, Mapping) else {choice: choice for choice in choices}
    for value, label in labels.items():
        view.add_choice(value, label=label)
    return view
