"""Completion Gateway: exact quotas, private prompts and complete usage for OpenAI-shaped APIs."""

__version__ = "0.1.0"
