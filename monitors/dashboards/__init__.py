"""Three Grafana dashboards as code: executive, on-call, debug. Their modules need grafana-foundation-sdk; this one does not."""
