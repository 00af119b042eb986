"""What a report says."""

PROPORTIONAL = {"rule": "proportional"}


def said(report, words):
    """The only finding that holds some words: its level and its text."""
    (finding,) = [(level, text) for level, text in report.findings if words in text]
    return finding


def silent(report, words):
    """Whether no finding holds some words."""
    return all(words not in text for _, text in report.findings)
