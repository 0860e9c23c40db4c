"""Traces: what an exchange does for its trace, with OpenTelemetry and without. Who sends spans away
stands behind the port Spans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.call import Call
from gateway.draft import Draft
from gateway.forward import Headers
from gateway.tracing.context import Context, context_of, ids_of
from gateway.tracing.spans import Span, Timed, root_of, verbs_of
from gateway.usage.entry import Entry


class Spans(Protocol):
    """Takes spans away. Never raises, never waits."""

    def is_sampled(self, trace_id: int, parent: Context | None) -> bool: ...

    def send(self, context: Context, parent: Context | None, spans: Sequence[Span]) -> None:
        """`context` is that of the first span, which all the others are children of."""
        ...


class Traces(Protocol):
    """What an exchange does for its trace."""

    @property
    def draft(self) -> Callable[[Call, Callable[[], float]], Draft]: ...

    def passed_on(self, call: Call) -> Headers:
        """The caller's headers as forward may use them."""
        ...

    def ended(self, draft: Draft, entry: Entry) -> None: ...

    def costless(self, entry: Entry, headers: Headers) -> None:
        """What was no exchange: models, unknown URLs."""
        ...


class Untraced:
    """Without OpenTelemetry: what a caller says of its trace is passed on as it is."""

    draft = Draft

    def passed_on(self, call: Call) -> Headers:
        return call.headers

    def ended(self, draft: Draft, entry: Entry) -> None:
        pass

    def costless(self, entry: Entry, headers: Headers) -> None:
        pass


class Traced:
    """With OpenTelemetry: our span is the child of the caller's, and the upstream's parent."""

    draft = Timed

    def __init__(self, spans: Spans) -> None:
        self._spans = spans

    def passed_on(self, call: Call) -> Headers:
        parent = context_of(call.headers)
        context = self._context(call.id, parent, of_forward=True)
        others = [
            header for header in call.headers if header[0] not in ("traceparent", "tracestate")
        ]
        return [*others, *context.headers()]

    def ended(self, draft: Draft, entry: Entry) -> None:
        parent = context_of(draft.call.headers)
        context = self._context(entry.id, parent)
        if context.is_sampled and isinstance(draft, Timed):
            began, over = draft.call.now, draft.verbs[-1][2] if draft.verbs else draft.over_at
            of_engine = draft.call.engine is not None
            root = root_of(entry, began, began + over - draft.began_at, of_engine)
            self._spans.send(context, parent, [root, *verbs_of(draft, entry, began)])

    def costless(self, entry: Entry, headers: Headers) -> None:
        parent = context_of(headers)
        context = self._context(entry.id, parent)
        if context.is_sampled:
            ended = entry.time + entry.duration_ms / 1000
            self._spans.send(context, parent, [root_of(entry, entry.time, ended)])

    def _context(
        self, request_id: str, parent: Context | None, of_forward: bool = False
    ) -> Context:
        whole, root, forward = ids_of(request_id)
        trace_id = parent.trace_id if parent else whole
        return Context(
            trace_id,
            forward if of_forward else root,
            self._spans.is_sampled(trace_id, parent),
            parent.state if parent else "",
        )
