"""Objects elsewhere: which are read, how large they may be, and what an error says of them."""

import os
import socket
import time

import fsspec
import pytest
from fsspec.registry import known_implementations
from web_server import serving

from fiftyone_drop.engine import objects
from fiftyone_drop.engine.images import UnreadableImageError, read_image
from fiftyone_drop.engine.objects import LOCAL, SCHEMES, STORES, address_before, open_object


@pytest.fixture
def in_memory(monkeypatch):
    """A store that is open, with one object."""
    monkeypatch.setenv(SCHEMES, "memory")
    files = fsspec.filesystem("memory")
    files.pipe_file("/bucket/x", b"content")
    yield "memory://bucket/x"
    files.rm("/bucket", recursive=True)


def refusal(path):
    """Why a path is not read; it is said at once."""
    start = time.monotonic()
    with pytest.raises(OSError) as refused:  # noqa: PT011 (each has its own words)
        open_object(path)
    assert time.monotonic() - start < 5
    return str(refused.value)


def test_an_object_comes_whole(in_memory):
    with open_object(in_memory) as file:
        assert file.read() == b"content"
    with pytest.raises(FileNotFoundError, match="no such object"):
        open_object("memory://bucket/missing")


def test_a_store_without_its_package_names_it():
    with pytest.raises(ImportError, match="s3fs"):
        open_object("s3://bucket/x.png")


def test_every_other_scheme_that_fsspec_knows_is_closed():
    for scheme in {*known_implementations, *LOCAL, "ftp", "nfs"} - STORES:
        assert f"{scheme}://" in refusal(f"{scheme}://bucket/x.png")
    assert {"http", "ftp", "hdfs", "github", "zip", "memory"} <= {*known_implementations} - STORES


@pytest.mark.parametrize("value", ["memory", "memory://", " https , memory,"])
def test_the_owner_opens_schemes_by_a_variable(in_memory, monkeypatch, value):
    monkeypatch.delenv(SCHEMES)
    assert f"{SCHEMES}=memory" in refusal(in_memory)
    monkeypatch.setenv(SCHEMES, value)
    with open_object(in_memory) as file:
        assert file.read() == b"content"


def test_a_web_server_is_asked_only_where_the_owner_says_so(monkeypatch):
    with serving(b"content") as (address, requests):
        assert f"{SCHEMES}=http" in refusal(address)
        assert requests == []
        monkeypatch.setenv(SCHEMES, "http")
        with open_object(address) as file:
            assert file.read() == b"content"
        assert requests == [("/x.png", f"bytes=0-{objects.MOST_BYTES}")]  # one request for each
        with pytest.raises(FileNotFoundError):
            open_object(f"{address}.missing")


def test_files_of_this_machine_are_never_read_by_address(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")  # which would be waited for
    (tmp_path / "file").write_bytes(b"content")
    monkeypatch.setenv(SCHEMES, ",".join(["file", "local", "generic", "f", "data", "FILE"]))
    for scheme in ("file", "local", "asynclocal", "generic", "f", "FILE", "", "c"):
        for name in ("pipe", "file"):
            assert refusal(f"{scheme}://{tmp_path / name}")


@pytest.mark.parametrize(
    "path",
    [
        *("simplecache::memory://bucket/x", "memory://bucket/x::file:///etc/hostname"),
        *("zip://x.png::memory://bucket/x", "dir::memory://bucket/x", "memory://a::b"),
        *("data:image/png;base64,://", "://bucket/x", "/folder://x", "memory\n://bucket/x"),
        *("s3://bucket\\.host/x", "az://box@host%2f.blob.core.windows.net/x", "s3:///x", "gs://"),
    ],
)
def test_what_leads_elsewhere_than_it_seems_is_never_read(in_memory, monkeypatch, path):
    monkeypatch.setenv(SCHEMES, "memory,simplecache,zip,dir,data,memory\n,/folder,")
    assert len(refusal(path)) < 400


def test_an_object_that_is_too_large_is_refused(in_memory, monkeypatch):
    monkeypatch.setattr(objects, "MOST_BYTES", 7)
    with open_object(in_memory) as file:
        assert file.read() == b"content"
    monkeypatch.setattr(objects, "MOST_BYTES", 6)
    assert "larger than 6 bytes" in refusal(in_memory)
    monkeypatch.setenv(SCHEMES, "http")
    for ranges in (True, False):
        with serving(b"content", ranges) as (address, _):
            assert "larger than 6 bytes" in refusal(address)


def test_a_host_that_does_not_answer_is_not_waited_for_without_end(monkeypatch):
    monkeypatch.setenv(SCHEMES, "http")
    monkeypatch.setattr(objects, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "0.2 seconds" in refusal(f"http://127.0.0.1:{silent.getsockname()[1]}/x.png")


def test_what_a_library_says_stays_out_of_errors(in_memory, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("the secret is 51")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "cat_file", fail)
    with pytest.raises(UnreadableImageError) as refused:
        read_image(in_memory, 8)
    chain, error = [], refused.value
    while error is not None:  # as a traceback is printed
        chain.append(str(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    assert "51" not in "".join(chain)
    assert "RuntimeError" in refused.value.reason


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("/home/me/s3:/bucket/x.png", "s3://bucket/x.png"),
        ("/a/b:/c/https:/host/x.png", "https://host/x.png"),
        ("C:\\data\\gs:\\bucket\\x.png", "gs://bucket\\x.png"),
        ("/data/file:/x.png", None),
        ("/data/s3/x.png", None),
        ("/data/photos:/x.png", None),
        ("s3://bucket/x.png", None),
    ],
)
def test_an_address_that_was_made_a_path_is_known(path, address):
    assert address_before(path) == address


def test_a_missing_file_whose_path_was_an_address_says_so():
    with pytest.raises(UnreadableImageError, match=r"made this path of s3://bucket/x\.png") as told:
        read_image("/home/me/s3:/bucket/x.png", 8)
    assert "set the field filepath to that" in told.value.reason
