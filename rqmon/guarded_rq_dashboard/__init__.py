"""rq-dashboard behind a login: safe to open in a browser, and truthful when Redis does not answer."""
