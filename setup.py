"""Everything is in pyproject.toml but this: the wheel carries the FiftyOne plugin as files.

FiftyOne has a top-level package ``plugins``, so that ours must not be one. Its files become data of
the package, which ``fiftyone-drop install-plugin`` copies to FiftyOne's folder of plugins.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FILES = ("fiftyone.yml", "LICENSE")
FOLDERS = ("plugins/drop", "skills")
SOURCES = ("js/node_modules", "js/src", "js/test")  # of the bundle, which is built


class BuildWithPlugin(build_py):
    """Copies the plugin to ``fiftyone_drop/_plugin`` in the wheel."""

    def run(self):
        """Build the package, then copy."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "fiftyone_drop" / "_plugin"
        shutil.rmtree(target, ignore_errors=True)
        for name in FILES:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, target / name)
        for name in FOLDERS:
            shutil.copytree(name, target / name, ignore=_left_out)


def _left_out(folder, names):
    paths = {name: (Path(folder) / name).as_posix() for name in names}
    return [name for name, path in paths.items() if name == "__pycache__" or path.endswith(SOURCES)]


setup(cmdclass={"build_py": BuildWithPlugin})
