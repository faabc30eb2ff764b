"""The scripts that count executions, and their keys; `scheduler.ledger.jobs` gives their arguments.

They are in Lua, because counting depends on whether an execution's note exists. They are always sent as text:
a restarted server does not know a script's hash, and RQ's transaction would go through uncounted.
"""

from scheduler.serializers import UNKNOWN

# Hash: "<job id>:<execution id>" -> JSON: queue, and once it is known function, wait and wait_le.
RUNNING = "rqmon:ledger:jobs:running"
COUNTS = "rqmon:ledger:jobs:counts"  # hash: "<kind>|<detail>|<function>|<queue>" -> number
# Sets: the names, and the pairs of names, that are counted separately; all others are counted as OTHER.
FUNCTIONS = "rqmon:ledger:jobs:functions"
EXCEPTIONS = "rqmon:ledger:jobs:exceptions"
QUEUES = "rqmon:ledger:jobs:queues"
PAIRS = "rqmon:ledger:jobs:pairs"  # "<function>|<queue>"
FAILURES = "rqmon:ledger:jobs:failures"  # "<exception>|<queue>"
MAX_NAMES = 500
MAX_PAIRS = 1000  # at most 1,501 with those of `other`: a page of 6.5 MB, read and written in 0.5 s or more
OTHER = "other"

DETAILS = """
local note = redis.call('HGET', KEYS[1], ARGV[1])
if note then
  local execution = cjson.decode(note)
  for i = 2, #ARGV, 2 do execution[ARGV[i]] = ARGV[i + 1] end
  redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(execution))
end
"""
_TOLD_APART = (
    """
local function told_apart(names, name, most)
  if redis.call('SISMEMBER', names, name) == 1 then return name end
  if redis.call('SCARD', names) >= (most or MAX_NAMES) then return 'OTHER' end
  redis.call('SADD', names, name)
  return name
end
local function told_apart_in(pairs, names, name, queue)
  name = told_apart(names, name)
  if name == 'OTHER' or told_apart(pairs, name .. '|' .. queue, MAX_PAIRS) == 'OTHER' then return 'OTHER' end
  return name
end
""".replace("MAX_NAMES", str(MAX_NAMES))
    .replace("MAX_PAIRS", str(MAX_PAIRS))
    .replace("OTHER", OTHER)
)
_FINISH = (
    _TOLD_APART
    + """
local function finish(token, note, outcome, run, run_le, exception, again)
  redis.call('HDEL', KEYS[1], token)
  local execution = cjson.decode(note)
  local queue = told_apart(KEYS[5], execution.queue)
  local name = told_apart_in(KEYS[6], KEYS[3], execution['function'] or 'UNKNOWN', queue)
  local where = '|' .. name .. '|' .. queue
  redis.call('HINCRBY', KEYS[2], 'outcome|' .. outcome .. where, 1)
  if execution.wait then
    redis.call('HINCRBY', KEYS[2], 'wait|' .. execution.wait_le .. where, 1)
    redis.call('HINCRBYFLOAT', KEYS[2], 'wait_sum|' .. where, execution.wait)
  end
  if run ~= '' then
    redis.call('HINCRBY', KEYS[2], 'run|' .. run_le .. where, 1)
    redis.call('HINCRBYFLOAT', KEYS[2], 'run_sum|' .. where, run)
  end
  if exception ~= '' then
    local raised = told_apart_in(KEYS[7], KEYS[4], exception, queue)
    redis.call('HINCRBY', KEYS[2], 'failure|' .. raised .. '||' .. queue, 1)
  end
  if again then redis.call('HINCRBY', KEYS[2], 'retry|||' .. queue, 1) end
end
""".replace("UNKNOWN", UNKNOWN)
)
END = (
    _FINISH
    + """
local note = redis.call('HGET', KEYS[1], ARGV[1])
if note then finish(ARGV[1], note, ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6] == '1') end
"""
)
# RQ removes an execution from its queue's registry when it gives it up, and also when its job is canceled,
# but then its worker still has a heartbeat for it. A job whose worker died at once may also be left in the
# intermediate queue; it would be found there and counted again. What is not a note is removed, and affects no
# other.
REAP = (
    _FINISH
    + """
local reaped = 0
local function queue_of(note)
  local readable, execution = pcall(cjson.decode, note)
  local queue = readable and type(execution) == 'table' and execution.queue
  return type(queue) == 'string' and queue
end
for i = 7, #ARGV do
  local note = redis.call('HGET', KEYS[1], ARGV[i])
  local queue = note and queue_of(note)
  if note and not (queue and string.match(ARGV[i], '(.*):')) then
    redis.call('HDEL', KEYS[1], ARGV[i])
  elseif note and not redis.call('ZSCORE', ARGV[3] .. queue, ARGV[i])
      and redis.call('EXISTS', ARGV[4] .. ARGV[i]) == 0 then
    local job = string.match(ARGV[i], '(.*):')
    local status = redis.call('HGET', ARGV[5] .. job, 'status')
    redis.call('LREM', ARGV[6] .. queue .. ':intermediate', 1, job)
    local again = status == 'queued' or status == 'scheduled'
    if pcall(finish, ARGV[i], note, ARGV[1], '', '', ARGV[2], again) then reaped = reaped + 1 end
  end
end
return reaped
"""
)
UNSTARTED = (
    _FINISH
    + """
for _, token in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.match(token, '(.*):') == ARGV[1] then
    return finish(token, redis.call('HGET', KEYS[1], token), ARGV[2], '', '', '')
  end
end
redis.call('HINCRBY', KEYS[2], 'outcome|' .. ARGV[2] .. '|UNKNOWN|' .. told_apart(KEYS[5], ARGV[3]), 1)
""".replace("UNKNOWN", UNKNOWN)
)
HORSE_KILLED = (
    _TOLD_APART + "redis.call('HINCRBY', KEYS[1], 'horse_killed|||' .. told_apart(KEYS[2], ARGV[1]), 1)"
)
KEYS = (RUNNING, COUNTS, FUNCTIONS, EXCEPTIONS, QUEUES, PAIRS, FAILURES)
