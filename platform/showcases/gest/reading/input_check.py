"""Check the head of each review file before any work starts: does it have the expected format?"""

import re
from itertools import islice

from showcases.errors import CorpusError
from showcases.gest.reading.filtered import read_filtered
from showcases.gest.reading.opening import Given, find_files, open_input, shown
from showcases.gest.reading.records import parse_line
from showcases.gest.reading.rejects import Reject, RowError

HEAD_BYTES = 1 << 18
HEAD_LINES = 100
S2_START = re.compile(rb'\s*\{\s*"(train|val|test)"\s*:\s*\[')
EXPECTED = (
    "expected one JSON object a line with business_id, user_id, rating, review_text, pics (docs/own-data.md has the "
    "form); for filter_all_t.json run jobs.import_s2"
)


def check_reviews(given: Given) -> list[str]:
    """Check files in GEST-raw's format by their first 100 lines (256 KiB at most).

    A file is rejected if none of its checked lines is a review; single bad lines are rejected later, when all are
    read.

    Returns:
        The files, as `find_files` finds them.

    Raises:
        CorpusError: a file is missing, unreadable, empty or in another format; the message says what was found and
            what to do.
        ObjectStoreError: S3 refuses or fails.
    """
    files = find_files(given)
    looked_at = [_check_head(file) for file in files]
    if not any(looked_at):
        raise CorpusError(f"{', '.join(map(shown, files))}: empty file; {EXPECTED}")
    return files


def _check_head(file: str) -> bool:
    """Check one file's head; returns whether it has any lines.

    Raises:
        CorpusError: none of the lines is a review.
    """
    with open_input(file) as opened:
        head = opened.stream.read(HEAD_BYTES)
    if S2_START.match(head):
        raise CorpusError(f"{opened.name}: this is GEST-s2 (filter_all_t.json); import it with jobs.import_s2")
    lines = head.split(b"\n")
    if len(head) == HEAD_BYTES:
        lines.pop()  # it may be incomplete
    problems = []
    for number, line in islice(_not_blank(lines), HEAD_LINES):
        try:
            parse_line(line)
            return True
        except RowError as error:
            problems.append((number, error))
    if problems:
        raise CorpusError(_message(opened.name, head, problems))
    return bool(head.strip())


def _not_blank(lines: list[bytes]) -> list[tuple[int, bytes]]:
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _message(file: str, head: bytes, problems: list[tuple[int, RowError]]) -> str:
    start = head.lstrip()
    first = start.partition(b"\n")[0].strip()
    if start.startswith(b"["):
        return f"{file}: this is one JSON list; put each review on a line: `jq -c '.[]' {file} > reviews.json`"
    if first == b"{":
        return f"{file}: the JSON objects span several lines; put each on one: `jq -c . {file} > reviews.json`"
    if not start.startswith(b"{") and re.search(rb"[,;\t|]", first):
        columns = first[:80].decode(errors="replace")
        return f"{file}: this looks like CSV (its first line is `{columns}`); {EXPECTED}"
    number, error = problems[0]
    many = f"none of the first {len(problems)} lines is a review" if len(problems) > 1 else "no review in it"
    return f"{file}: {many}; line {number}: {error}; {EXPECTED}"


def check_s2(given: Given) -> list[str]:
    """Check files in GEST-s2's format by their first rows.

    Returns:
        The files, as `find_files` finds them.

    Raises:
        CorpusError: a file is missing, unreadable or in another format, or none of its first 100 rows is usable.
        ObjectStoreError: S3 refuses or fails.
    """
    files = find_files(given)
    for file in files:
        _check_rows(file)
    return files


def _check_rows(file: str) -> None:
    rejects: list[Reject] = []

    def reject(row: Reject) -> None:
        rejects.append(row)
        if len(rejects) == HEAD_LINES:
            raise CorpusError(_useless(file, rejects))

    if next(read_filtered([file], reject), None) is None:
        raise CorpusError(_useless(file, rejects))


def _useless(file: str, rejects: list[Reject]) -> str:
    if not rejects:
        return f"{shown(file)}: no row in it; give GEST-s2's filter_all_t.json"
    first = rejects[0]
    return (
        f"{shown(file)}: none of the first {len(rejects)} rows can be used; row {first.line}: {first.reason}: "
        f"{first.detail}"
    )
