"""For which upstreams the built-in one answers."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.policy.policy import Policy, UpstreamPolicy, WithoutKey


def is_simulated(upstream: UpstreamPolicy, environ: Mapping[str, str]) -> bool:
    """Whether the built-in upstream answers for this one."""
    if upstream.simulated:
        return True
    keyless = bool(upstream.api_key_env) and not environ.get(upstream.api_key_env or "")
    return keyless and upstream.without_key is WithoutKey.SIMULATE


def simulated_upstreams(policy: Policy, environ: Mapping[str, str]) -> list[str]:
    """Names of the policy's upstreams for which the built-in one answers."""
    return [name for name, up in policy.upstreams.items() if is_simulated(up, environ)]
