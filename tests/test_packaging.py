"""The wheel holds the package only, and every place names the same version."""

import subprocess
import sys
import zipfile
from pathlib import Path

import yaml

import fiftyone_drop

ROOT = Path(__file__).resolve().parents[1]


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path):
    """FiftyOne has a top-level package `plugins`: ours in the wheel would overwrite it."""
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    source = tmp_path / "source"
    for name in files:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, source],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"fiftyone_drop", f"fiftyone_drop-{fiftyone_drop.__version__}.dist-info"}
    packaged = {name for name in names if name.startswith("fiftyone_drop/")}
    assert packaged == {name for name in files if name.startswith("fiftyone_drop/")}


def test_plugin_and_package_have_one_version():
    plugin = yaml.safe_load((ROOT / "fiftyone.yml").read_text())
    assert plugin["version"] == fiftyone_drop.__version__


def test_our_folder_of_plugins_is_no_package():
    assert not (ROOT / "plugins" / "__init__.py").exists()
