"""Other gateways, without governance, from their packages: for PEERS=1.

Each is as its documentation says for one process. They need no network but for being installed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping

import yaml

from plant import free_port
from tool_environments import node_tool, python_tool
from yard import Contestant, Yard

LITELLM = ("litellm[proxy]==1.108.7", "litellm-proxy-extras==0.4.110")
PORTKEY = ("@portkey-ai/gateway@1.15.2",)


def litellm(yard: Yard) -> Contestant:
    """Its proxy with one worker: no database, no keys, no budgets, no callbacks."""
    programs = python_tool("litellm", *LITELLM)
    base = f"http://127.0.0.1:{yard.upstream_port}/v1"
    told = {"model": "openai/bench", "api_base": base, "api_key": "sk-bench"}
    models = [{"model_name": "bench", "litellm_params": told}]
    file, port = yard.folder / "litellm.yaml", free_port()
    file.write_text(yaml.safe_dump({"model_list": models}))
    words = ["--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
    settings = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks for it over the network
        "LITELLM_LOG": "ERROR",
        # no keys at all: it says itself that this is for local use only
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    return yard.program(
        "litellm",
        [str(programs / "litellm"), *words, "--num_workers", "1", "--telemetry", "False"],
        port,
        {},
        **settings,
    )


def portkey(yard: Yard) -> Contestant:
    """Its open gateway: a router, told by headers where to send what it gets."""
    modules = node_tool("portkey", *PORTKEY)
    program, port = modules / "@portkey-ai/gateway/build/start-server.js", free_port()
    headers = {
        "authorization": "Bearer sk-bench",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"http://127.0.0.1:{yard.upstream_port}/v1",
    }
    node = shutil.which("node") or "node"
    words = [node, str(program), f"--port={port}", "--headless"]
    return yard.program("portkey", words, port, headers, NODE_ENV="production")


PEERS: Mapping[str, Callable[[Yard], Contestant]] = {"litellm": litellm, "portkey": portkey}
