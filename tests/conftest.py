from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models thrash on more
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"  # graph state must hold plain values only

from hypothesis import settings

settings.register_profile("cof", deadline=None, derandomize=True)
settings.load_profile("cof")
