"""rq-dashboard behind a login: safe to open in a browser, and honest when Redis does not answer."""
