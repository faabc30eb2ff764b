"""The counts of queues and of pairs of queue and function are bounded, and their sums exact."""

from scheduler.ledger import jobs
from scheduler.ledger.jobs import MAX_NAMES, MAX_PAIRS, OTHER, JobOutcome


def count(connection, number, *, queue, function, exception=None):
    with connection.pipeline() as pipe:
        for job in range(number):
            token = f"{queue}-{function}-{job}:execution"
            known = jobs.details(function=function, wait_seconds=1, bounds=(1.0,))
            jobs.note_start(pipe, token, queue=queue, details=known)
            jobs.count_end(
                pipe,
                token,
                JobOutcome.FAILED if exception else JobOutcome.SUCCEEDED,
                run_seconds=1,
                bounds=(1.0,),
                exception=exception,
                runs_again=True,
            )
        pipe.execute()


def test_pairs_beyond_the_first_are_counted_as_other_in_their_queue(redis_connection):
    for queue in range(5):
        for function in range(MAX_PAIRS // 4):
            count(redis_connection, 1, queue=f"q{queue}", function=f"f{function}", exception=f"E{function}")
    count(redis_connection, 3, queue="q0", function="f0", exception="E0")
    counts = jobs.read(redis_connection)
    assert sum(counts.outcomes.values()) == 5 * (MAX_PAIRS // 4) + 3
    assert len(counts.outcomes) == MAX_PAIRS + 1
    assert counts.outcomes["q4", OTHER, JobOutcome.FAILED] == MAX_PAIRS // 4
    assert counts.outcomes["q0", "f0", JobOutcome.FAILED] == 4
    assert counts.failures["q4", OTHER] == MAX_PAIRS // 4
    assert sum(counts.failures.values()) == sum(counts.outcomes.values())
    assert sum(sum(wait.buckets.values()) for wait in counts.wait.values()) == sum(counts.outcomes.values())


def test_queues_beyond_the_first_are_counted_as_other(redis_connection):
    for number in range(MAX_NAMES + 5):
        count(redis_connection, 1, queue=f"q{number}", function="f")
        jobs.count_horse_killed(redis_connection, queue=f"q{number}")
    with redis_connection.pipeline() as pipe:
        jobs.count_unstarted(pipe, "gone", queue="late")
        pipe.execute()
    counts = jobs.read(redis_connection)
    assert counts.outcomes[OTHER, "f", JobOutcome.SUCCEEDED] == 5
    assert len({queue for queue, _, _ in counts.outcomes}) == MAX_NAMES + 1
    assert counts.retries[OTHER] == counts.horses_killed[OTHER] == 5
    assert len(counts.retries) == len(counts.horses_killed) == MAX_NAMES + 1
    assert counts.outcomes[OTHER, "unknown", JobOutcome.ABANDONED] == 1
