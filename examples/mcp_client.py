"""Close looking over the Model Context Protocol, from its official client (needs the extras `mcp` and `reader`)."""

import asyncio
import os
import sys
from pathlib import Path

from mcp import Client, StdioServerParameters

IMAGES = Path(__file__).parent / "images"
COMMAND = str(Path(sys.executable).with_name("cof-agent"))

server = StdioServerParameters(command=COMMAND, args=["mcp", "--root", str(IMAGES)], env=dict(os.environ))


async def tell(done: float, total: float | None, message: str | None) -> None:
    print(message)


async def main() -> None:
    async with Client(server) as client:
        asked = {"image": str(IMAGES / "motorcycle.jpg"), "question": "Does the motorcycle say Yamaha?"}
        found = await client.call_tool("look_closely", asked, progress_callback=tell)
        print(found.structured_content["answer"], [block.type for block in found.content])


asyncio.run(main())
