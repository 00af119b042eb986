"""The wheel holds the package only, and every place names the same version."""

import zipfile

import yaml
from wheels import ROOT, build, tracked

import fiftyone_drop


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path):
    """FiftyOne has a top-level package `plugins`: ours in the wheel would overwrite it."""
    with zipfile.ZipFile(build(tmp_path)) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"fiftyone_drop", f"fiftyone_drop-{fiftyone_drop.__version__}.dist-info"}
    packaged = {name for name in names if name.startswith("fiftyone_drop/")}
    assert packaged == {name for name in tracked() if name.startswith("fiftyone_drop/")}


def test_plugin_and_package_have_one_version():
    plugin = yaml.safe_load((ROOT / "fiftyone.yml").read_text())
    assert plugin["version"] == fiftyone_drop.__version__


def test_our_folder_of_plugins_is_no_package():
    assert not (ROOT / "plugins" / "__init__.py").exists()
