"""What may be wrong, a function each: facts and Redis' time in, findings out. Nothing is read or changed."""
