"""No call that writes is left out: neither of the suites nor of the table of their results."""

import docs_reliability
from cells import FAULTS
from writing_calls import CALLS, READS

import fiftyone_drop as fod


def test_every_public_name_writes_and_is_registered_or_is_known_to_read():
    writes = {call.public for call in CALLS.values()}
    public = {name for name in fod.__all__ if not name.startswith("_")}
    assert writes | READS == public
    assert not writes & READS


def test_the_table_has_a_row_for_every_call_and_a_column_for_every_fault():
    head, _, *rows = docs_reliability.table().splitlines()
    assert [row.split(" | ")[0].strip("| `") for row in rows] == list(CALLS)
    assert [cell.strip() for cell in head.split("|")[2:-1]] == list(FAULTS)


def test_the_page_holds_the_results():
    assert docs_reliability.PAGE.read_text() == docs_reliability.page()
