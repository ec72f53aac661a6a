"""A larger agent system: the deployable supervisor, whose chat model and policy are rehearsed, looks at a photo.

The same graph answers under `langgraph dev`; see docs/hosts/langgraph.md.
"""

import base64
import os
import runpy
from pathlib import Path

HERE = Path(__file__).parent
os.environ.setdefault("COF_POLICY", f"script:{HERE / 'rehearsed.json'}")  # the supervisor's own stand-in needs no name

graph = runpy.run_path(str(HERE.parent / "graphs" / "perception_supervisor.py"))["graph"]
photo = base64.b64encode((HERE / "images" / "motorcycle.jpg").read_bytes()).decode()
content = [
    {"type": "text", "text": "Which brand is it?"},
    {"type": "image", "base64": photo, "mime_type": "image/jpeg"},
]
for _, part in graph.stream({"messages": [{"role": "user", "content": content}]}, stream_mode="custom", subgraphs=True):
    print("view", part["view"]["index"], part["view"]["box"])
print(graph.invoke({"messages": [{"role": "user", "content": content}]})["messages"][-1].content)
