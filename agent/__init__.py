"""wecom-agent: an LLM chat agent for WeCom AI bots on the WebSocket long connection."""

__version__ = "0.1.0"
