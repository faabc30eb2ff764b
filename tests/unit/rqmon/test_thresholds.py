import math

from rqmon.thresholds import CRON_OVERDUE, OLDEST_JOB_AGE, PROMETHEUS_SERIES


def test_a_threshold_says_from_where_it_warns_and_from_where_to_act():
    assert (OLDEST_JOB_AGE.warns_from, OLDEST_JOB_AGE.acts_from) == (30, 300)
    assert (CRON_OVERDUE.warns_from, CRON_OVERDUE.acts_from) == (15, 15)
    assert (PROMETHEUS_SERIES.warns_from, PROMETHEUS_SERIES.acts_from) == (1_000_000, math.inf)
