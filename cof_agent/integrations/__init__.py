"""The loop at home in other frameworks: LangGraph, LangChain, smolagents, and clients of MCP."""
