"""Cut a release: ``make release VERSION=0.2.0``. Writes its version and date wherever they stand.

The package's version is that of ``fiftyone_drop/_version.py``. FiftyOne reads ``fiftyone.yml``, and
code hosts read ``CITATION.cff``, without running Python; these hold it too, and nobody edits them.
"""

from __future__ import annotations

import datetime
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UNRELEASED = "## [Unreleased]\n"
NUMBERS = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def numbers(version: str) -> tuple[int, ...]:
    """The three numbers of a version; the command ends if it has no such three."""
    match = NUMBERS.fullmatch(version)
    if match is None:
        raise SystemExit(f"VERSION: three numbers such as 0.2.0, not {version!r}")
    return tuple(map(int, match.groups()))


def texts(root: Path, version: str, date: str) -> dict[Path, str]:
    """The files of the release, with what they are to hold."""
    package, plugin = root / "fiftyone_drop" / "_version.py", root / "fiftyone.yml"
    citation, changes = root / "CITATION.cff", root / "CHANGELOG.md"
    old = re.search(r'__version__ = "(.+)"', package.read_text())[1]
    if numbers(version) <= numbers(old):
        raise SystemExit(f"VERSION: higher than {old}, which is there, not {version}")
    before, _, after = changes.read_text().partition(UNRELEASED)
    notes = re.split(r"^## ", after, maxsplit=1, flags=re.MULTILINE)[0]
    if not notes.strip():
        raise SystemExit("CHANGELOG.md: nothing stands under [Unreleased]; say what is new")
    cited = re.sub(r"(?m)^date-released: .*\n", "", citation.read_text())
    return {
        package: package.read_text().replace(f'"{old}"', f'"{version}"'),
        plugin: re.sub(r"(?m)^version: .*", f'version: "{version}"', plugin.read_text()),
        citation: re.sub(r"(?m)^version: .*", f"version: {version}\ndate-released: {date}", cited),
        changes: f"{before}{UNRELEASED}\n## [{version}] - {date}\n{after}",
    }


def main() -> None:
    date = datetime.date.today().isoformat()
    for path, text in texts(ROOT, sys.argv[1], date).items():
        path.write_text(text)
        print("wrote", path.relative_to(ROOT))


if __name__ == "__main__":
    main()
