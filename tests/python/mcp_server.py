"""An MCP server on the official SDK: tools that only look, one that changes something, one that fails.

mcp_server.py stdio FILE, or mcp_server.py http PORT FILE. What `append` is told goes into FILE, one line a call.
"""

import sys
import time

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import ToolAnnotations

server = MCPServer("test")
FILE = sys.argv[-1]


@server.tool(annotations=ToolAnnotations(readOnlyHint=True))
def add(a: int, b: int) -> str:
    """Adds two numbers."""
    return f"the sum is {a + b}"


@server.tool()
def append(text: str, seconds: float = 0) -> str:
    """Writes a line, then takes its time."""
    with open(FILE, "a", encoding="utf-8") as file:
        file.write(text + "\n")
    time.sleep(seconds)
    return "written"


@server.tool()
def fail() -> str:
    """Fails."""
    raise ValueError("this always fails")


@server.tool(annotations=ToolAnnotations(readOnlyHint=True))
def authorization(context: Context) -> str:
    """Says what it was told of its caller."""
    return f"it was {context.headers['authorization']}"


if sys.argv[1] == "http":
    server.run("streamable-http", port=int(sys.argv[2]))
else:
    server.run("stdio")
