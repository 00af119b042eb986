"""What a function is, in bytes: transforms that differ must not go on from each other's results.

Pickle knows what most objects consist of. Functions and classes it takes by name, under which
anything may be defined; here they count by their code and by what it refers to.
"""

from __future__ import annotations

import dis
import hashlib
import pickle
import sys
import sysconfig
from types import CodeType, FunctionType, ModuleType
from typing import Any

from torch import Tensor

_INSTALLED = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


def identity(value: object) -> bytes | None:
    """A hash of what a value does: of a function's code, defaults, closure and globals.

    Returns:
        None where that cannot be found out. Equal values may differ, but not the other way round
    """
    content = _Hash()
    try:
        _Parts(content).dump(value)
    except Exception:  # pickle raises whatever the objects do
        return None
    return content.digest.digest()


class _Hash:
    """A file that keeps nothing but the hash of what is written."""

    def __init__(self) -> None:
        self.digest = hashlib.blake2b(digest_size=16)

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return memoryview(data).nbytes


class _Parts(pickle.Pickler):
    """Writes what a value consists of. Nobody reads it back."""

    def __init__(self, file: _Hash) -> None:
        super().__init__(file, protocol=4)
        self.fast = True  # no references, which depend on what happens to be the same object
        self._seen: dict[int, object] = {}  # holds on to them, so that ids stay theirs

    def reducer_override(self, value: object) -> Any:
        """(function, what it is called with), as pickle wants it."""
        parts = self._parts(value)
        if parts is None:
            return NotImplemented
        if id(value) in self._seen:
            parts = (list(self._seen).index(id(value)),)
        self._seen[id(value)] = value
        return type, (type(value).__name__, *parts)

    def _parts(self, value: object) -> tuple[object, ...] | None:
        if isinstance(value, Tensor):
            array = value.detach().cpu().contiguous().reshape(-1)
            return str(value.dtype), tuple(value.shape), array.numpy().tobytes()
        if isinstance(value, ModuleType):
            return (value.__name__,)
        if isinstance(value, CodeType):
            return value.co_code, value.co_consts, value.co_names, value.co_varnames
        if isinstance(value, FunctionType):
            return _of_function(value)
        if isinstance(value, type) and not _installed(value):
            return value.__qualname__, value.__bases__, _functions(value)
        return None


def _of_function(function: FunctionType) -> tuple[object, ...]:
    code = function.__code__
    used: dict[str, object] = {}
    if not code.co_filename.startswith(_INSTALLED):
        known = function.__globals__
        used = {name: known[name] for name in _names(code) if name in known}
    closure = [cell.cell_contents for cell in function.__closure__ or ()]
    return code, function.__defaults__, function.__kwdefaults__, closure, used


def _names(code: CodeType) -> list[str]:
    """The globals that a function, and those defined inside it, look up."""
    inner = (name for part in code.co_consts if isinstance(part, CodeType) for name in _names(part))
    steps = dis.get_instructions(code)  # co_names would add attributes, whose names may be taken
    own = (step.argval for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    return sorted({*own, *inner})


def _installed(kind: type) -> bool:
    if kind.__module__ in ("builtins", "__main__"):  # a runner's file may stand for the latter
        return kind.__module__ == "builtins"
    path = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return bool(path and path.startswith(_INSTALLED))


def _functions(kind: type) -> dict[str, object]:
    """What a class defines, as far as it can be taken apart."""
    found: dict[str, object] = {}
    for name, value in sorted(vars(kind).items()):
        inner = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
        if isinstance(inner, (FunctionType, int, float, str, tuple)):
            found[name] = inner
    return found
