"""`cof-agent` whose reader never gets ready with questions about a number.

`python -m tests.support.endless_reader ask …` runs it.
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
    while data and "number" in session.question:
        reader._readings.clear()
        reader.read(data)
    return turn(self, session)


if __name__ == "__main__":
    ReaderModel._turn = endless  # type: ignore[method-assign]
    main()
