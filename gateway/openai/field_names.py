"""Which names in a path are the API's own: others were chosen by a caller, and may be private."""

from __future__ import annotations

from typing import Final

from gateway.openai.places import Path

API_NAMES: Final = frozenset(
    {
        "annotations", "arguments", "audio", "$comment", "const", "content", "custom", "data",
        "default", "definitions", "$defs", "description", "enum", "example", "examples", "file",
        "file_data", "filename", "function", "function_call", "functions", "image", "image_url",
        "input", "input_image", "input_text",
        "instructions", "items", "json_schema", "messages", "metadata", "name", "output_text",
        "parameters", "prediction", "prompt", "prompt_cache_key", "properties", "reasoning",
        "reasoning_content", "refusal", "response_format", "safety_identifier", "schema", "stop",
        "suffix", "text", "thinking", "title", "tool_calls", "tools", "transcript", "url", "user",
    }
)  # fmt: skip


def public_name(path: Path) -> str:
    """The path with `*` for each name that a caller chose."""
    steps = (step if isinstance(step, int) or step in API_NAMES else "*" for step in path)
    return ".".join(map(str, steps))
