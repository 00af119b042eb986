"""The code of functions that users write, for fingerprints: equal code computes the same.

Code is read as Python has compiled it, so that no source is needed, as of a notebook's cell that
was changed since. Functions name each other, classes and values: those are followed, up to
installed libraries, which count by their names.
"""

from __future__ import annotations

import dis
import functools
import inspect
import os
import re
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fiftyone_drop import checks
from fiftyone_drop._torch import torch
from fiftyone_drop.engine.fingerprints import PASSING, PLAIN, fingerprint
from fiftyone_drop.engine.wrappers import unwrapped

if TYPE_CHECKING:
    from torch.nn import Module

INSTALLED = {"site-packages", "dist-packages"}  # folders of libraries
LIBRARIES = (Path(os.__file__).parent, Path(__file__).parents[1])  # Python's, and this package
WRAPPERS = (
    functools.partial,
    functools.partialmethod,
    functools.cached_property,
    functools._lru_cache_wrapper,
    types.MethodType,
    classmethod,
    staticmethod,
    property,
)
WRAPPED = ("func", "args", "keywords", "__func__", "__self__", "__wrapped__", "fget")
MANGLED = re.compile(r"\b___torch_mangle_\d+\.")  # part of a name, another at each compilation
FUNCTIONS = (
    functools.partial,
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
)


def code_of(function: object) -> object:
    """What a function computes by, as :func:`fingerprint` takes it: the same in every process.

    It is made of bytecode, constants, defaults, the variables that the function closes over, and
    the functions, classes and values of modules that it names, of which it is made in turn. Where
    it stands in a file, and what the file is called, is no part of it. Another version of Python
    may compile it otherwise.

    Args:
        function: a function, a class, or an object that can be called
    """
    return _Reader()(function)


def code_in(module: Module) -> list[object]:
    """What a module computes by that its structure does not tell: see :func:`code_of`.

    Returns:
        the classes of layers that somebody wrote, what PyTorch has compiled, and the functions that
        layers hold; nothing for a module of libraries' layers alone
    """
    return _Reader().layers(module)


class _Reader:
    """Reads each value once, since functions may name each other in a circle."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, object]] = {}  # by id, which lasts as long as the object

    def __call__(self, value: Any) -> object:
        if isinstance(value, np.ndarray) and value.dtype == object:  # its bytes are addresses
            value = value.tolist()
        if _is_final(value):
            return value
        if isinstance(value, types.CodeType):
            return self._code(value)
        if isinstance(value, tuple):
            return ["tuple", *map(self, value)]
        if isinstance(value, set | frozenset):  # in an order that changes with the process
            return ["set", *sorted(fingerprint(self(item)) for item in value)]
        if id(value) in self._seen:
            return ["again", self._seen[id(value)][0]]
        self._seen[id(value)] = len(self._seen), value
        if isinstance(value, list):
            return ["list", *map(self, value)]
        if isinstance(value, dict):
            return ["dict", *([self(key), self(held)] for key, held in value.items())]
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value)
        return self._object(value)

    def layers(self, module: Module) -> list[object]:
        """See :func:`code_in`."""
        found: list[object] = []
        for name, layer in unwrapped(module).named_modules():
            # A parametrised layer has a class of PyTorch's, above that of its author
            own = [kind for kind in type(layer).__mro__ if not _is_library(kind.__module__)]
            parts = [*map(self, own), *map(self, _compiled(layer))]
            for key, held in sorted(vars(layer).items()):
                passing = key in PASSING or (key.startswith("_") and not own)
                if isinstance(held, FUNCTIONS) and not passing:
                    parts.append([key, self(held)])
            if parts:
                found.append([name, *parts])
        return found

    def _function(self, function: types.FunctionType) -> object:
        # A library's decorator computes by the function that it wraps
        wrapped = getattr(function, "__wrapped__", None)
        inner = [] if wrapped is None else [self(wrapped)]
        code = function.__code__
        if _is_installed(code.co_filename):
            return ["function", *checks.place_of(function), *inner]
        named = _names(code)
        values = function.__globals__
        return [
            "function",
            self._code(code),
            self(function.__defaults__),
            self(function.__kwdefaults__),
            [self(_content(cell)) for cell in function.__closure__ or ()],
            [[name, self._global(values[name], code)] for name in named if name in values],
            *inner,
        ]

    def _code(self, code: types.CodeType) -> object:
        return [
            "code",
            code.co_code,
            code.co_names,
            code.co_varnames,
            [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags],
            list(map(self, code.co_consts)),
            getattr(code, "co_exceptiontable", b""),  # not in Python 3.10
        ]

    def _global(self, value: object, code: types.CodeType) -> object:
        """A value that a function names; of a module, what the function takes from it."""
        if not isinstance(value, types.ModuleType) or _is_library(value.__name__):
            return self(value)
        held = vars(value)
        return [
            value.__name__,
            *([name, self(held[name])] for name in _attributes(code) if name in held),
        ]

    def _class(self, kind: type) -> object:
        if _is_library(kind.__module__):
            return ["class", *checks.place_of(kind)]
        held = {name: value for name, value in vars(kind).items() if _is_written(name, value)}
        return ["class", self(kind.__bases__), self(held)]

    def _object(self, value: Any) -> object:
        if isinstance(value, WRAPPERS):
            held = [self(getattr(value, name)) for name in WRAPPED if hasattr(value, name)]
            return [type(value).__name__, *held]
        if isinstance(value, types.ModuleType):
            return ["module", value.__name__]
        kind = type(value)
        if "torch" in sys.modules and isinstance(value, torch.nn.Module):
            return ["object", self(kind), value, *self.layers(value)]
        if _is_library(kind.__module__):  # whose objects may do anything when they are asked
            has_name = inspect.getattr_static(value, "__qualname__", None) is not None
            return ["object", *checks.place_of(value if has_name else kind)]
        return ["object", self(kind), self(_state(value))]


def _is_final(value: object) -> bool:
    """Whether a fingerprint takes a value as it is."""
    final: tuple[Any, ...] = (*PLAIN, complex, bytes, range, slice, np.ndarray, np.dtype)
    if "torch" in sys.modules:  # or else nobody has a tensor
        final += (torch.Tensor, torch.dtype, torch.device)
    return value is None or value is ... or isinstance(value, final)


def _compiled(layer: Module) -> list[object]:
    """The code of a layer that PyTorch has compiled, which has no class of its own."""
    if isinstance(layer, torch.fx.GraphModule):
        return [layer.code]
    if isinstance(layer, torch.jit.ScriptModule) and hasattr(layer, "code_with_constants"):
        code, constants = layer.code_with_constants
        return [MANGLED.sub("", code), constants.const_mapping]
    return []


def _state(value: object) -> dict[str, object]:
    """The attributes of an object, by name."""
    slots = [name for kind in type(value).__mro__ for name in vars(kind).get("__slots__", ())]
    held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return {**getattr(value, "__dict__", {}), **held}


def _content(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # nothing yet
        return None


def _names(code: types.CodeType) -> list[str]:
    """The global names that code reads, and the code of functions inside."""
    steps = [step for part in _parts(code) for step in dis.get_instructions(part)]
    return sorted({str(s.argval) for s in steps if s.opname in ("LOAD_GLOBAL", "LOAD_NAME")})


def _attributes(code: types.CodeType) -> list[str]:
    """The names that may be attributes of what code names."""
    return sorted({name for part in _parts(code) for name in part.co_names})


def _parts(code: types.CodeType) -> list[types.CodeType]:
    """Code, and that of the functions inside."""
    inside = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return [code, *(part for one in inside for part in _parts(one))]


def _is_written(name: str, value: object) -> bool:
    """Whether somebody wrote this entry of a class, and not Python."""
    is_own = not name.startswith("__") or isinstance(value, types.FunctionType)
    return is_own and not name.startswith(("__annotate", "_abc_"))


def _is_library(module: str) -> bool:
    """Whether a module is Python's, a library's, or one of this package."""
    if module == "__main__":
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    return module in sys.builtin_module_names if file is None else _is_installed(file)


def _is_installed(file: str) -> bool:
    path = Path(file)
    in_library = any(library in path.parents for library in LIBRARIES)
    return in_library or file.startswith("<frozen ") or bool(INSTALLED & set(path.parts))
