"""The policy of these programs: three budgets, each for a model of its own.

So the upstream, which knows no projects, can say what was served out of each."""

from __future__ import annotations

from gateway.usage.entry import NANO, Price, Tokens

PRICE = Price(input=2 * NANO, cached_input=2 * NANO, output=8 * NANO, reasoning=8 * NANO)
TYPICAL = Tokens(input=14, output=7)
"""What a request of load.py uses, about."""
MODELS = {measure: f"echo-{measure}" for measure in ("requests", "tokens", "money")}

_HEAD = """
upstreams:
  simulated:
    base_url: "@UPSTREAM@"
    api_key_env: EXACT_UPSTREAM_KEY
    connect_timeout: 2s
    idle_timeout: 5s
    total_timeout: 5s
models:
"""
_MODEL = """
  {model}:
    upstream: simulated
    endpoints: [chat]
    price: {{input: 2, output: 8}}
    context: 1000
    max_output: 100
    default_output: 12
    tokenizer: o200k
"""
_PROJECTS = """
redaction:
  open: {entities: {}}
plans:
  all:
    models: ["echo-*"]
    redaction: open
organizations:
  acme:
    defaults: {plan: all}
    projects:
"""
_PROJECT = """
      by-{measure}:
        models: [{model}]
        limits:
          - {{name: {measure}, measure: {measure}, amount: {amount}, per: none}}
"""


def amounts(requests: int) -> dict[str, int]:
    """Budgets worth so many requests, in each measure's unit."""
    tokens = TYPICAL.input + TYPICAL.output
    money = PRICE.cost_nano(TYPICAL)
    return {"requests": requests, "tokens": requests * tokens, "money": requests * money}


def policy_text(budgets: dict[str, int]) -> str:
    """The file, with @UPSTREAM@ for the upstream's base URL."""
    shown = dict(budgets) | {"money": f"{budgets['money'] / NANO:.9f} USD"}
    models = "".join(_MODEL.format(model=model) for model in MODELS.values())
    projects = "".join(
        _PROJECT.format(measure=measure, model=model, amount=shown[measure])
        for measure, model in MODELS.items()
    )
    return _HEAD + models + _PROJECTS + projects
