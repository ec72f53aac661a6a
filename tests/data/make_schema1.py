"""Writes `schema1.sqlite` and `schema1_images/`, which a test reads: checkpoints as schema 1 has them.

Run once, by the version that introduced the schema: `python -m tests.data.make_schema1`. Later versions must read
the files as they are; a new schema gets new ones. Thread `ended` holds two questions, `half` a run that was stopped
between the two calls of a turn.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path

from langgraph.checkpoint.sqlite import SqliteSaver

from cof_agent import ChainOfFocus, DirectoryStore
from tests.support.conversations import BOTH, answer, crop, photo, scripted, zoom

HERE = Path(__file__).parent
TURNS = (
    zoom(10, 20, 60, 70, label="sign") + crop(100, 50, 160, 100),
    zoom(1, 2, 900, 40),
    answer("42"),
    "hm",
    answer("cannot answer: it is too dark"),
)


def main() -> None:
    database = HERE / "schema1.sqlite"
    if database.exists():
        raise SystemExit(f"{database} is there already, and tests rely on it as it is")
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        photo(160, 120).save("photo.png")
        with SqliteSaver.from_conn_string(str(database)) as saver:
            policy = scripted(*TURNS, profile=BOTH)
            agent = ChainOfFocus(policy, store=DirectoryStore(HERE / "schema1_images"), checkpointer=saver)
            agent.ask("photo.png", "What is the number?", thread_id="ended")
            agent.ask(None, "Who wrote it?", thread_id="ended")
            half = {"configurable": {"thread_id": "half"}}
            given = {"image": "photo.png", "question": "What is the number?"}
            for update in agent.graph.stream(given, half, stream_mode="updates", durability="sync"):
                if "zoom" in update:
                    break
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    with sqlite3.connect(database, isolation_level=None) as connection:
        connection.execute("PRAGMA page_size = 1024")
        connection.execute("VACUUM")
    connection.close()


if __name__ == "__main__":
    main()
