"""The real App in a real Chromium: one server, and one browser for the tests of this folder.

Every scenario keeps pictures in ``$DROP_ARTIFACTS`` (default: .artifacts), and where it fails also
the page, the console and the server's log. ``$DROP_SCREENSHOTS`` names the folder for the docs'.
"""

import itertools
import os
import re
import shutil
from pathlib import Path

import pytest
from app_browser import (
    REPOSITORY,
    AppPage,
    anonymous,
    app_server,
    chromium,
    copy_plugin,
)
from temporary import deleting_datasets

ARTIFACTS = Path(os.environ.get("DROP_ARTIFACTS", REPOSITORY / ".artifacts"))
# FiftyOne's router says so, now and then, where a view is set while the page is still loading
RACES_OF_THE_APP = {"entry is loading"}
SERVER_ERROR = re.compile(r"^.*(?:Traceback|\bERROR\b|Error:|Exception).*$", re.MULTILINE)


def errors_in(logged):
    return {anonymous(line) for line in SERVER_ERROR.findall(logged)}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Let fixtures know, while they end, whether their test has failed."""
    report = yield
    item.failed = getattr(item, "failed", False) or report.failed
    return report


@pytest.fixture(scope="session")
def artifacts():
    """The folder for pictures and logs, kept after the tests; no failure of an earlier run."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    for old in ARTIFACTS.glob("failed-*"):
        old.unlink()
    return ARTIFACTS


@pytest.fixture(scope="package")
def browser(needs_chromium):
    with chromium() as running:
        yield running


@pytest.fixture(scope="package")
def plugin(tmp_path_factory):
    """The copy of the plugin that the App has: tests may take parts of it away."""
    return copy_plugin(tmp_path_factory.mktemp("plugins"))


@pytest.fixture(scope="package")
def made_datasets():
    """Deleted when the server is gone: it may still be at work for a page that is closed."""
    with deleting_datasets() as made:
        yield made


@pytest.fixture(scope="package")
def numbers():
    """The numbers of the datasets."""
    return itertools.count(1)


@pytest.fixture
def new_name(numbers):
    """Names that look well in pictures."""
    return lambda: f"digits-{next(numbers)}"


@pytest.fixture(scope="package")
def exports(tmp_path_factory):
    """The folder that users of the App may export into."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("exports")
        patch.setenv("FIFTYONE_DROP_EXPORTS_DIR", str(folder))
        yield folder


@pytest.fixture(scope="package")
def server(browser, plugin, artifacts, made_datasets, exports):
    with app_server(artifacts / "server.log", plugin.parent) as running:
        yield running


@pytest.fixture(scope="package")
def errors_of_the_app(browser, server, plugin, digits, made_datasets):
    """What FiftyOne alone reports in its console and its log, the plugin being away."""
    import fiftyone as fo

    paths, labels = digits
    dataset = fo.Dataset("without-the-plugin")
    made_datasets.append(dataset)
    dataset.add_samples(
        [
            fo.Sample(filepath=str(path), ground_truth=fo.Classification(label=label))
            for path, label in zip(paths, labels, strict=True)
        ],
        progress=False,
    )
    dataset.save_view("zeros", dataset.match(fo.ViewField("ground_truth.label") == "zero"))
    away = plugin.rename(plugin.parent.parent / "away")
    page = AppPage(browser, server)
    page.open(dataset.name)
    page.search_operators("")
    page.page.keyboard.press("Escape")
    page.open_panel("Histograms")
    page.open(dataset.name, view="zeros")
    page.close()
    away.rename(plugin)
    return RACES_OF_THE_APP | set(page.errors) | errors_in(server.log.read_text(errors="replace"))


@pytest.fixture
def app(browser, server, errors_of_the_app, artifacts, request):
    """The App in a page of its own, in which nothing may go wrong that is not FiftyOne's."""
    before = len(server.log.read_text(errors="replace"))
    app = AppPage(browser, server)
    yield app
    app.settle()
    logged = server.log.read_text(errors="replace")[before:]
    if getattr(request.node, "failed", False):
        name = request.node.name
        app.page.screenshot(path=artifacts / f"failed-{name}.png")
        (artifacts / f"failed-{name}.txt").write_text("\n".join([*app.errors, "", logged]))
    app.close()
    assert set(app.errors) <= errors_of_the_app
    assert errors_in(logged) <= errors_of_the_app


@pytest.fixture
def picture(app, artifacts):
    """A function that keeps a picture of the page, and gives it to the docs when they ask."""

    def take(name, for_docs=False):
        app.page.mouse.move(2, 898)  # where nothing explains itself
        app.settle()
        if for_docs:
            app.page.wait_for_timeout(1500)  # the grid is drawn
        path = artifacts / f"{name}.png"
        app.page.screenshot(path=path)
        if for_docs and "DROP_SCREENSHOTS" in os.environ:
            shutil.copy(path, os.environ["DROP_SCREENSHOTS"])

    return take


@pytest.fixture
def pruned(dataset, recalls):
    """300 digits with the drop run "drop"."""
    dataset.apply_drop(0.5, recalls=recalls, progress=False)
    return dataset
