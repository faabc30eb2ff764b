"""Reads the ledger's records for tests."""

from scheduler.ledger import jobs as ledger


def outcomes(connection):
    return {
        (function.rpartition(".")[2], outcome): n
        for (_, function, outcome), n in ledger.read(connection).outcomes.items()
    }
