"""What a person would read off forms and outputs."""

import re


def seen(markdown):
    """Markdown without formatting, as it is seen."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown or "")


def message(field):
    """What a notice or a warning says."""
    return seen(field.view.label)


def problems(properties):
    """What is wrong, by field."""
    return {name: field.error_message for name, field in properties.items() if field.invalid}


def choices(field):
    """The values that a field offers."""
    return [choice.value for choice in field.view.choices]


def names(invocations):
    """What the App is asked to do, in order."""
    return [name for name, _ in invocations]


def texts(schema):
    """All labels and descriptions of a schema that the App is asked to show."""
    views = [field["view"] for field in schema["type"]["properties"].values()]
    return " ".join(seen(view.get(k)) for view in views for k in ("label", "description"))


def output(invocations):
    """What the App is asked to show at the end: a schema and data."""
    (shown,) = [params for name, params in invocations if name == "show_output"]
    return shown["outputs"], shown.get("results")
