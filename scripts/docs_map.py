"""Write the map of the code into CONTRIBUTING.md: each module with the first line of its docstring.

The order is that of the layers in pyproject.toml, which `make lint` holds the imports to.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "CONTRIBUTING.md"
START, END = "<!-- map: written by `make docs` -->\n", "<!-- /map -->"
WIDTH = 26


def layers() -> list[str]:
    """The modules of the package from the top layer to the bottom."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    (found,) = (c["layers"] for c in contracts if c["type"] == "layers")
    return [name.strip() for layer in found for name in layer.split("|")]


def purpose(module: Path) -> str:
    """The first line of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(module.read_text()))
    if not docstring:
        raise SystemExit(f"{module.relative_to(ROOT)} has no docstring")
    return docstring.splitlines()[0]


def line(name: str, module: Path, depth: int = 1) -> str:
    """A line of the map."""
    label = "  " * depth + name
    return f"{label:<{WIDTH}}  {purpose(module)}"


def tree(folder: Path, depth: int) -> Iterator[str]:
    """The lines of a folder's modules, and of the folders in it."""
    for path in sorted(folder.iterdir()):
        if path.suffix == ".py" and path.stem != "__init__":
            yield line(path.name, path, depth)
        elif (path / "__init__.py").is_file():
            yield line(f"{path.name}/", path / "__init__.py", depth)
            yield from tree(path, depth + 1)


def code_map() -> str:
    """The map, as Markdown."""
    plugin, package = ROOT / "plugins" / "drop", ROOT / "fiftyone_drop"
    lines = [line("plugins/drop/", plugin / "__init__.py", 0), *tree(plugin, 1)]
    lines += [line("fiftyone_drop/", package / "__init__.py", 0)]
    for name in layers():
        folder = package / name
        if folder.is_dir():
            lines += [line(f"{name}/", folder / "__init__.py"), *tree(folder, 2)]
        else:
            lines.append(line(f"{name}.py", folder.with_suffix(".py")))
    return "\n".join(["```", *lines, "```"]) + "\n"


def page() -> str:
    """CONTRIBUTING.md with the map as it should be."""
    text = PAGE.read_text()
    before, after = text.index(START) + len(START), text.index(END)
    return text[:before] + code_map() + text[after:]


if __name__ == "__main__":
    PAGE.write_text(page())
