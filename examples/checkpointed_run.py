"""A conversation that outlives the process, and its trajectories (needs the extra `sqlite`); the policy is rehearsed.

`python examples/checkpointed_run.py [DIRECTORY]`; afterwards `cof-agent history DIRECTORY/runs.db` lists the run.
"""

import sys
from pathlib import Path

from langgraph.checkpoint.sqlite import SqliteSaver

from cof_agent import ChainOfFocus, DirectoryStore
from cof_agent.agent.history import kept_runs, sqlite_runs

HERE = Path(__file__).parent
folder = Path(*sys.argv[1:2] or ["kept-runs"])
folder.mkdir(exist_ok=True)


def agent(saver: SqliteSaver) -> ChainOfFocus:
    policy = f"script:{HERE / 'rehearsed.json'}"
    return ChainOfFocus(policy, store=DirectoryStore(folder / "images"), checkpointer=saver)


with SqliteSaver.from_conn_string(str(folder / "runs.db")) as saver:
    events = agent(saver).stream(HERE / "images" / "motorcycle.jpg", "Which brand is it?", thread_id="brand")
    next(events)  # the first look, and no more: as if the process had died
    events.close()
with SqliteSaver.from_conn_string(str(folder / "runs.db")) as saver:
    print(agent(saver).resume("brand").answer)
with sqlite_runs(folder / "runs.db") as kept:
    for run in kept_runs(kept):
        print(f"{run.thread_id}: {run.question} {run.standing}, {run.trajectory.usage.zooms} zoom")
