"""The durable record of what happened: the only writer and reader of the keys under `rqmon:ledger:`."""
