"""Makes rq-dashboard's templates show what jobs and queues hold as text, never as HTML or script.

rq-dashboard 0.9 writes queue names, worker names, descriptions, results and tracebacks into its pages
unescaped, and the queue name of an address into a script. Its templates are corrected as they are loaded.
"""

import re

from jinja2.ext import Extension

# When Redis stops answering, rq-dashboard's pages go on showing the last numbers. Reloading shows the
# error page instead, which comes back by itself.
_SCRIPT = """<script nonce="{{ g.csp_nonce }}">
$(document).ajaxError(function(event, response) { if (response.status === 503) { location.reload(); } });"""

_CORRECTIONS = (
    # Underscore: <%= %> writes as it is, <%- %> escapes. The first one escapes already, by hand.
    (re.compile(r"<%= \$\('<div/>'\)\.text\(([\w.]+)\)\.html\(\) %>"), r"<%- \1 %>"),
    (re.compile(r"<%="), "<%-"),
    # Jinja doesn't escape in .js files.
    (re.compile(r"'\{\{ ([\w.]+) \}\}'"), r"{{ \1|tojson }}"),
    (re.compile(r'<script type="text/javascript">'), _SCRIPT),
)


class TextOnly(Extension):
    """Corrects each template of rq-dashboard before Jinja compiles it."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002 (Jinja's)
        """The corrected source."""
        for pattern, replacement in _CORRECTIONS:
            source = pattern.sub(replacement, source)
        return source
