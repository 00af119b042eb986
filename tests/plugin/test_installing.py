"""The plugin is installed as FiftyOne's plugins are, into an empty folder, and leaves nothing."""

import functools
import http.server
import os
import subprocess
import sys
import threading
import zipfile

import pytest
from wheels import ROOT, build, tracked

NAME = "@fiftyone-drop/drop"
# What the scripts share: FiftyOne's command line, and what the App would load
START = f"""
import contextlib, importlib.util, io, os, sys
sys.path = [p for p in sys.path if os.path.realpath(p or ".") != {str(ROOT)!r}]
sys.path[:0] = [p for p in sys.argv[2:3]]
import fiftyone as fo
import fiftyone.plugins as fop
from fiftyone.core.cli import main
from fiftyone.plugins.context import build_plugin_contexts

def fiftyone(*words):
    sys.argv = ["fiftyone", *words]
    main()

def loaded():
    (context,) = [c for c in build_plugin_contexts() if c.name == {NAME!r}]
    assert not context.errors, context.errors
    return {{o.name: o for o in context.instances}}

where, names = sys.argv[1], {{"drop_panel", "apply_drop", "train_query_model", "compute_scores"}}
names |= {{"set_density", "compare_drops", "delete_drop", "export_run", "open_panels"}}
names |= {{"running", "draft_work"}}
"""
DOWNLOADED = (
    START
    + f"""
assert importlib.util.find_spec("fiftyone_drop") is None
fiftyone("plugins", "download", where)
plugin = fop.get_plugin({NAME!r})
assert plugin.author and plugin.url
assert [skill.name for skill in fop.list_skills()] == ["drop-prune"]
assert set(loaded()) == names and loaded()["apply_drop"].config.icon == "filter_alt"
import fiftyone_drop
assert fiftyone_drop.__file__.startswith(plugin.directory)

with contextlib.redirect_stdout(io.StringIO()) as printed:
    fiftyone("plugins", "requirements", {NAME!r}, "--print")
assert "torchvision>=" in printed.getvalue()
fiftyone("plugins", "requirements", {NAME!r}, "--install")

find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "scipy" else find_spec(name, *more)
stand_ins = loaded()
assert set(stand_ins) == names
form = str(stand_ins["apply_drop"].resolve_input(None).to_json())
panel = str(stand_ins["drop_panel"].render(None).to_json())
for shown in (form, panel):
    assert "lacks scipy" in shown and "requirements {NAME} --install" in shown

importlib.util.find_spec = find_spec
fiftyone("plugins", "delete", {NAME!r})
left = [f for _, _, files in os.walk(fo.config.plugins_dir) for f in files]
assert left == [], left
"""
)
# With the package installed, which is the one that counts
DOWNLOADED_BESIDE = (
    START
    + f"""
import fiftyone_drop
site = os.path.realpath(sys.argv[2])
assert os.path.realpath(fiftyone_drop.__file__).startswith(site)
fiftyone("plugins", "download", where)
before = list(sys.path)
assert set(loaded()) == names
assert sys.path == before  # no second package behind it
fiftyone("plugins", "requirements", {NAME!r}, "--ensure")
fiftyone("plugins", "download", where, "--overwrite")
assert set(loaded()) == names
fiftyone("plugins", "delete", {NAME!r})
left = [f for _, _, files in os.walk(fo.config.plugins_dir) for f in files]
assert left == [], left
"""
)
FROM_WHEEL = (
    START
    + f"""
from click.testing import CliRunner
from fiftyone_drop.cli.main import main as drop

def install(*words):
    return CliRunner().invoke(drop, ["install-plugin", *words])

result = install()
assert result.exit_code == 0, (result.output, result.exception)
assert set(loaded()) == names
assert "_plugin" not in fop.get_plugin({NAME!r}).directory
again = install()
assert again.exit_code == 1 and "--overwrite replaces it" in again.stderr, again.output
assert install("--overwrite", "--json").exit_code == 0
assert len(fop.list_plugins()) == len(set(p.name for p in fop.list_plugins()))

# The package is uninstalled and the plugin is not
find_spec = importlib.util.find_spec
gone = lambda name, *more: None if name == "fiftyone_drop" else find_spec(name, *more)
importlib.util.find_spec = gone
stand_ins = loaded()
assert set(stand_ins) == names
for shown in (stand_ins["apply_drop"].resolve_input(None), stand_ins["drop_panel"].render(None)):
    shown = str(shown.to_json())
    assert "lacks fiftyone_drop" in shown and "pip install fiftyone-drop" in shown
importlib.util.find_spec = find_spec

fiftyone("plugins", "delete", {NAME!r})
assert not os.path.exists(fo.config.plugins_dir)  # it was empty
"""
)


# pip says whether the requirements are there, and changes nothing: the environment is that of the
# tests, and a machine's own constraints would have pip install another PyTorch into it
ASK = {
    "PIP_DRY_RUN": "1",
    "PIP_NO_DEPS": "1",
    "PIP_NO_INDEX": "1",
    "PIP_CONFIG_FILE": os.devnull,
}


@pytest.fixture
def run(tmp_path):
    """A function that runs a script with an empty plugins folder, outside the repository."""

    def run(code, *arguments):
        (tmp_path / "plugins").mkdir()
        env = os.environ | ASK | {"FIFTYONE_PLUGINS_DIR": str(tmp_path / "plugins")}
        command = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(command, cwd="/", env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]

    return run


@pytest.fixture
def address(tmp_path):
    """The address of an archive of the repository, as a code host serves it."""
    folder = tmp_path / "served"
    folder.mkdir()
    with zipfile.ZipFile(folder / "main.zip", "w") as archive:
        for name in tracked():
            if not name.startswith(("benchmarks/", "tests/", "docs/images/")):
                archive.write(ROOT / name, f"fiftyone-drop-main/{name}")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/main.zip"
        server.shutdown()


@pytest.mark.slow
def test_a_downloaded_plugin_brings_the_package_says_what_is_missing_and_leaves_no_file(
    run, address
):
    run(DOWNLOADED, address)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """A folder of packages in which ours is installed."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.slow
def test_a_downloaded_plugin_takes_the_package_that_is_installed(run, address, site):
    run(DOWNLOADED_BESIDE, address, site)


@pytest.mark.slow
def test_the_wheel_alone_installs_its_plugin_and_fiftyone_removes_it(run, site):
    run(FROM_WHEEL, "", site)


@pytest.mark.slow
def test_uninstalling_the_package_leaves_no_file(wheel, tmp_path):
    """After its modules were compiled and its command was used."""
    environment = tmp_path / "environment"
    uv = [sys.executable, "-m", "uv", "--quiet", "--offline"]
    subprocess.run([*uv, "venv", "--python", sys.executable, environment], check=True)
    python = environment / "bin" / "python"

    def files():
        return {path for path in environment.rglob("*") if path.name != "__pycache__"}

    before = files()
    pip = [*uv, "pip"]
    subprocess.run([*pip, "install", "--python", python, "--no-deps", wheel], check=True)
    subprocess.run([python, "-m", "compileall", "-q", environment / "lib"], check=True)
    assert (environment / "bin" / "fiftyone-drop").exists()
    subprocess.run([*pip, "uninstall", "--python", python, "fiftyone-drop"], check=True)
    left = {path for path in files() - before if "fiftyone" in str(path.relative_to(environment))}
    assert left == set()
