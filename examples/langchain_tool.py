"""Close looking as a tool of a LangChain agent (needs the extras `providers` and `reader`)."""

from pathlib import Path

from langchain.agents import create_agent
from langchain_core.messages import AIMessage

from cof_agent.integrations.langchain import LookCloselyTool
from cof_agent.policies.script import ScriptedModel

PHOTO = Path(__file__).parent / "images" / "motorcycle.jpg"

# Stands in for a language model, so that the example runs offline: it always calls the tool, then stops.
asked = {"image": str(PHOTO), "question": "Does the motorcycle say Yamaha?"}
model = ScriptedModel(
    turns=[AIMessage("", tool_calls=[{"name": "look_closely", "args": asked, "id": "1"}]), AIMessage("I looked.")]
)

agent = create_agent(model, [LookCloselyTool("reader")])
*_, looked, said = agent.invoke({"messages": [{"role": "user", "content": "What brand is this?"}]})["messages"]
print(looked.content, looked.artifact["evidence"], said.content)
