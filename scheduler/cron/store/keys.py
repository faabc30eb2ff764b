"""The keys of cron in Redis; heartbeats and the ledger define their own."""

SPECS = "rqmon:cron:specs"  # hash: id -> JSON
DATA = "rqmon:cron:data"  # hash: id -> a job's data, as RQ serializes it
NEXT = "rqmon:cron:next"  # sorted set: id by its next slot in Unix seconds, without paused entries
PAUSED = "rqmon:cron:paused"  # set of ids
EPOCH = "rqmon:cron:epoch"  # gone after a flush: then every process writes its entries again
EMPTIED = "emptied-"  # prefix of the epoch when somebody removed every entry: they are not lost
LAST_JOB = "rqmon:cron:last-job"  # hash: id -> id of the job of its last slot
