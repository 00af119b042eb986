"""Objects elsewhere, such as ``s3://bucket/image.jpg``: which are read, how large, and how long.

Whoever writes to a dataset chooses these paths, and this process sends the requests, with its
owner's rights. So only stores are open whose host no path can choose; the owner may open others.
"""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import BinaryIO

from fiftyone_drop import checks

STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
"""The schemes that are open. Their paths name a bucket, or an account of Azure; the host is that of
the provider, or of the owner's settings. Paths with ``hdfs://`` or ``https://`` name a host."""

LOCAL = frozenset({"file", "local", "asynclocal", "git", "dvc", "generic", "reference"})
"""The schemes that are never open: they lead to files of this machine, where nothing checks that a
file is a plain one, or to any other scheme."""

SCHEMES = "FIFTYONE_DROP_SCHEMES"  # the environment variable that opens more
MOST_BYTES = 2**30  # of an object
PATIENCE = 300.0  # seconds that an object may take

_SCHEME = re.compile(r"[a-z][a-z0-9+._-]{1,30}")
_BUCKET = re.compile(r"[A-Za-z0-9@.:_-]+")  # no letter that ends a host in an address
_MADE_ABSOLUTE = re.compile(r"[/\\]([a-z][a-z0-9+._-]{1,30}):[/\\](?=[^/\\])")


def is_remote(path: str | Path) -> bool:
    """Whether a path is that of an object elsewhere."""
    return isinstance(path, str) and "://" in path


def open_object(path: str) -> BinaryIO:
    """Open an object for reading. It comes whole, by one request of fsspec's.

    The words of libraries stay out of errors, which people see who may not see the addresses and
    names in them.

    Raises:
        OSError: it may not be read, is not there, is too large, or takes too long; or the store
            says something else
        ImportError: fsspec needs a package for such paths; it names it
    """
    _check_open(path)
    try:
        content = _read(path)
    except ImportError:
        raise
    except FileNotFoundError:
        raise FileNotFoundError("there is no such object") from None
    except PermissionError:
        raise PermissionError("the store does not let this machine read it") from None
    except TimeoutError:
        raise TimeoutError(f"it did not come within {PATIENCE:g} seconds") from None
    except Exception as error:  # each store has its own
        raise OSError(
            f"reading it ended in {type(error).__name__}; read it with fsspec in Python there to "
            "learn more"
        ) from None
    if len(content) > MOST_BYTES:
        raise OSError(f"it is larger than {MOST_BYTES:,} bytes")
    return io.BytesIO(content)


def address_before(path: str) -> str | None:
    """The address that a path was before it was taken for a relative path and made absolute.

    FiftyOne makes ``/home/me/s3:/bucket/x.jpg`` of ``s3://bucket/x.jpg``.
    """
    from fsspec.registry import known_implementations  # PyTorch depends on it

    known = _schemes() | known_implementations.keys() - LOCAL
    for found in _MADE_ABSOLUTE.finditer(path):
        if found[1] in known:
            return f"{found[1]}://{path[found.end() :]}"
    return None


def _check_open(path: str) -> None:
    """Check that paths of such a scheme may be read. Nothing else decides it.

    Raises:
        OSError: if not
    """
    scheme, _, rest = path.partition("://")
    if "::" in path:
        raise OSError("paths with '::', which lead from one store into another, are never read")
    if not _SCHEME.fullmatch(scheme):
        raise OSError(f"{checks.shown(scheme)} before '://' is no scheme, such as 's3'")
    if scheme in LOCAL:
        raise OSError(f"paths with {scheme}:// are never read; a file has a path without '://'")
    if scheme not in _schemes():
        raise OSError(
            f"paths with {scheme}:// are not open here; the owner of the machine that reads may "
            f"open them with the environment variable {SCHEMES}={scheme}"
        )
    bucket = rest.partition("/")[0]
    if scheme in STORES and not _BUCKET.fullmatch(bucket):
        raise OSError(f"{checks.shown(bucket)} is no name of a bucket or an account")


def _schemes() -> frozenset[str]:
    """The schemes that are open in this process."""
    more = os.environ.get(SCHEMES, "").split(",")
    return STORES | {scheme.strip().removesuffix("://") for scheme in more}


def _read(path: str) -> bytes:
    """The content of an object, and of one that is too large its beginning."""
    from fsspec.asyn import sync
    from fsspec.core import url_to_fs

    files, name = url_to_fs(path)
    part = {"start": 0, "end": MOST_BYTES + 1}  # a range: the store need not be asked for its size
    if files.async_impl:
        return bytes(sync(files.loop, files._cat_file, name, timeout=PATIENCE, **part))
    return bytes(files.cat_file(name, **part))
