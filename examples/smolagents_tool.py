"""Close looking as a tool of a smolagents agent (needs the extras `reader` and `smolagents`)."""

from pathlib import Path

from PIL import Image
from smolagents import ChatMessage, CodeAgent, MessageRole, Model

from cof_agent.integrations.smolagents import ChainOfFocusTool


class Rehearsed(Model):
    """Stands in for a language model, so that the example runs offline: it always writes the same code."""

    def generate(self, messages, *args, **kwargs):
        code = 'final_answer(look_closely(image=photo, question="Does the motorcycle say Yamaha?"))'
        return ChatMessage(role=MessageRole.ASSISTANT, content=f"I look closely.\n<code>\n{code}\n</code>")


agent = CodeAgent(tools=[ChainOfFocusTool("reader")], model=Rehearsed(), verbosity_level=0)
photo = Image.open(Path(__file__).parent / "images" / "motorcycle.jpg")
print(agent.run("What brand is this?", additional_args={"photo": photo}))
