"""The dashboards as tables: what each panel shows, in which unit, and why one looks at it.

grafana     panels and dashboards → Grafana's JSON
overview, quotas, privacy, upstreams, ledger   one dashboard each
prometheus  Grafana's variables filled in; what a Prometheus answers
frames      answers → what a panel shows: series, single values, rows of a table
svg, page   that as a page to be looked at
"""
