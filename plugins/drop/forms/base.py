"""What every form is made of: fields with the package's defaults, and what is wrong said at them.

Forms are drawn anew at each keystroke, so what a form checks is cheap: it reads the dataset's
record, and queries its samples every now and then only. So what it says is advice: whatever is
executed, the package checks anew. The messages are those of the package.
"""

from __future__ import annotations

import functools
import inspect
import json
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import fiftyone.operators.types as types

import fiftyone_drop as fod

from ..plain_text import as_it_is

Choices = Iterable[str] | Mapping[str, str]

RECENT_SECONDS = 20
_recent: dict[str, tuple[float, Any]] = {}


class Form:
    """A form over the parameters of one function of the package.

    Attributes:
        function: the public name of the function
        given: what is filled in, by name
        inputs: the fields drawn so far
    """

    function = ""

    def __init__(self, ctx: Any):
        self.ctx = ctx
        self.inputs = types.Object()
        self.given = {name: v for name, v in ctx.params.items() if v is not None and v != ""}

    def draw(self, title: str) -> types.Property:
        """The form as it looks with what is filled in."""
        if self.ctx.dataset is None:
            self.problem("Open a dataset first")
        else:
            self.fields()
        return types.Property(self.inputs, view=types.View(label=title))

    def fields(self) -> None:
        """Draw the fields."""
        raise NotImplementedError

    def arguments(self) -> dict[str, Any]:
        """What the function is called with. Blank fields are left to its defaults.

        Raises:
            fiftyone_drop.DropError: if something is missing
        """
        for name, parameter in self.parameters.items():
            if parameter.default is parameter.empty and name not in self.given:
                raise fod.DropError(f"{name}: must be given")
        return {name: value for name, value in self.given.items() if name in self.parameters}

    # -- the function --

    @functools.cached_property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The parameters that a form may give, by name."""
        _, *others = inspect.signature(getattr(fod, self.function)).parameters.values()
        given = [p for p in others if p.kind is not p.VAR_KEYWORD and p.name != "progress"]
        return {p.name: p for p in given}

    def default(self, name: str) -> Any:
        """What the function takes where nothing is given; None where it has no default."""
        parameter = self.parameters.get(name)
        if parameter is None or parameter.default is parameter.empty:
            return None
        return parameter.default

    def value(self, name: str) -> Any:
        """What is filled in, or the default."""
        return self.given.get(name, self.default(name))

    # -- what is wrong --

    def problem(self, words: str) -> None:
        """A message that keeps the form from being executed."""
        view = types.Error(label=as_it_is(words))
        self.inputs.view("problem", view, invalid=True, error_message=words)

    def notice(self, name: str, words: str) -> None:
        """A message that tells what will happen."""
        self.inputs.view(name, types.Notice(label=as_it_is(words)))

    def warning(self, name: str, words: str) -> None:
        """A message that something may not be meant."""
        self.inputs.view(name, types.Warning(label=as_it_is(words)))

    def mark(self, name: str, problem: object) -> None:
        """Show what is wrong at a field, and keep the form from being executed."""
        field = self.inputs.properties.get(name)
        if field is None:
            self.problem(str(problem))
        else:
            field.invalid = True
            field.error_message = str(problem)

    def show(self, error: fod.DropError, at: str | None = None) -> None:
        """Show an error of the package at the field ``at``, or at the one that it is about."""
        about, words = split_message(str(error))
        self.mark(at or about, words if about in self.inputs.properties else str(error))

    @contextmanager
    def checking(self, at: str | None = None) -> Iterator[None]:
        """Show an error of the package instead of raising it."""
        try:
            yield
        except fod.DropError as error:
            self.show(error, at)

    def may_replace(self, label: str, check: Callable[[bool], Any]) -> None:
        """Offer to replace what is there, where ``check(overwrite)`` says that this would do."""
        problems = {overwrite: _problem(check, overwrite) for overwrite in (False, True)}
        if problems[False] and not problems[True]:
            self.switch("overwrite", label)
        error = problems[bool(self.given.get("overwrite"))]
        if error:
            self.show(error)

    # -- fields --

    def choose(self, name: str, choices: Choices, **kwargs: Any) -> str | None:
        """A choice; returns what is chosen, or the default."""
        # A string and no enum: the package's message about a wrong value is the better one
        default = kwargs.setdefault("default", self.default(name))
        self.inputs.str(name, view=_choices(types.Dropdown(), choices), **kwargs)
        return self.given.get(name, default)

    def choose_needed(self, name: str, choices: Choices, missing: str, **kwargs: Any) -> str | None:
        """A choice that must be made; returns what is chosen. The only one is the default.

        Until it is made, ``missing`` is said at the field.
        """
        names = list(choices)
        only = names[0] if len(names) == 1 else None
        chosen = self.choose(name, choices, default=only, **kwargs)
        if chosen is None:
            self.mark(name, missing)
        return chosen

    def choose_many(self, name: str, choices: Mapping[str, str], **kwargs: Any) -> list[str]:
        """Any number of choices; returns those chosen, or the default."""
        default = list(self.default(name))
        view = _choices(types.Dropdown(), choices)
        self.inputs.list(name, types.String(), default=default, view=view, **kwargs)
        return list(self.given.get(name, default))

    def radio(self, name: str, choices: Mapping[str, str], **kwargs: Any) -> str | None:
        """A choice of few, all of them in sight; returns what is chosen, or the default."""
        view = _choices(types.RadioGroup(orientation="vertical"), choices)
        self.inputs.str(name, view=view, **kwargs)
        return self.given.get(name, kwargs.get("default"))

    def number(self, name: str, **kwargs: Any) -> None:
        """A number, whole or not as the function has it."""
        whole = "int" in str(self.parameters[name].annotation)
        define = self.inputs.int if whole else self.inputs.float
        define(name, **{"default": self.default(name)} | kwargs)

    def switch(self, name: str, label: str, **kwargs: Any) -> bool:
        """A switch; returns whether it is on."""
        default = bool(self.default(name))
        self.inputs.bool(name, default=default, label=label, view=types.SwitchView(), **kwargs)
        return bool(self.given.get(name, default))

    def text(self, name: str, **kwargs: Any) -> Any:
        """A line of text; returns what is filled in, or the default."""
        self.inputs.str(name, default=self.default(name), **kwargs)
        return self.value(name)

    def more(self) -> bool:
        """The switch that shows the rarer fields; whether it is on."""
        return self.switch("more", "More options")

    def density(self, default: float, exact: bool = False) -> float:
        """The density, by a slider or, in steps finer than its hundredths, as a number."""
        slider = {"min": 0.01, "max": 1, "step": 0.01}
        view = types.SliderView(
            label_position="top", value_precision=2, componentsProps={"slider": slider}
        )
        self.number(
            "density",
            min=0,
            max=1,
            default=default,
            label="Density",
            description="The fraction of the samples that is kept",
            view=None if exact else view,
        )
        return self.given.get("density", default)


def recently(what: object, read: Callable[[], Any]) -> Any:
    """What ``read()`` returned not long ago; for longer what took long, as it queries samples."""
    key, now = json.dumps(what, default=str, sort_keys=True), time.monotonic()
    until, value = _recent.get(key, (-math.inf, None))
    if now > until:
        value = read()
        done = time.monotonic()
        _recent[key] = done + max(RECENT_SECONDS, 20 * (done - now)), value
    # Several forms may be drawn at once, each in a thread of its own
    for old in [old for old, (end, _) in list(_recent.items()) if now > end]:
        _recent.pop(old, None)
    return value


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


def split_message(message: str) -> tuple[str, str]:
    """Which argument a message of the package is about, and the rest of it."""
    found = re.match(r"(\w+): (.*)", message, re.DOTALL)
    if found:
        return found[1], found[2]
    named = re.match(r"Expected argument `(\w+)` (.*)", message, re.DOTALL)
    return (named[1], f"expected {named[2]}") if named else ("", message)
