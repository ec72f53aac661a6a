"""`cof-agent` whose reader never gets ready: `python -m tests.support.endless_reader ask …`.

With a question about a number not at all, with one about a brand as soon as it has looked closer.
"""

from __future__ import annotations

from typing import Any

from cof_agent.cli import main
from cof_agent.policies.reader.model import ReaderModel
from cof_agent.policies.reader.page.ocr import shared_reader
from cof_agent.policies.reader.session import Session

turn = ReaderModel._turn


def endless(self: ReaderModel, session: Session) -> Any:
    reader, data = shared_reader(), session.overview.data
    while data and ("number" in session.question or ("brand" in session.question and len(session.looks) > 1)):
        reader._readings.clear()
        reader.read(data)
    return turn(self, session)


if __name__ == "__main__":
    ReaderModel._turn = endless  # type: ignore[method-assign]
    main()
