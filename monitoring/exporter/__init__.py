"""The exporter on :9726: what rq-exporter serves and what the ledger knows, in three round trips a scrape."""
