"""Makes rq-dashboard's templates show what jobs and queues hold as text, never as HTML or script.

rq-dashboard 0.9 writes queue names, worker names, descriptions, results and tracebacks into its pages
unescaped, and the queue name of an address into a script. Its templates are corrected as they are loaded.
"""

import re

from jinja2.ext import Extension

# - When Redis stops answering, rq-dashboard's pages go on showing the last numbers. Reloading shows the error
#   page instead, which reloads itself until Redis is back.
# - rq-dashboard shows no message when an action was refused, or when its answer has one.
# - An input field drops the line breaks in a queue's name.
# re.sub turns two backslashes into one.
_SCRIPT = r"""<script nonce="{{ g.csp_nonce }}">
var say = function(text) {
    $('#said').remove();
    $('<p id="said" class="alert alert-warning" role="alert">').text(text).prependTo('body > .container');
};
$(document).ajaxError(function(event, response, request) {
    if (request.type !== 'POST' && [502, 503].includes(response.status)) { location.reload(); }
    else if (response.status >= 400) { say(response.responseText); }
});
$(document).ajaxSuccess(function(event, response) {
    if (response.responseJSON && response.responseJSON.message) { say(response.responseJSON.message); }
});
var chosen_queue = function() {
    var field = $('#select-queue')[0];
    return field.value === field.defaultValue.replace(/[\\r\\n]/g, '') ? field.defaultValue : field.value;
};"""

_CORRECTIONS = (
    # A result is shown as the server writes it: a browser rounds long numbers.
    (re.compile(r"<%= JSON\.stringify\(d\.result, null, 2\) %>"), r"<%= d.result_text %>"),
    # Underscore: <%= %> writes a value as it is, <%- %> escapes it. The first one already escapes by hand.
    (re.compile(r"<%= \$\('<div/>'\)\.text\(([\w.]+)\)\.html\(\) %>"), r"<%- \1 %>"),
    (re.compile(r"<%="), "<%-"),
    # Jinja doesn't escape in .js files.
    (re.compile(r"'\{\{ ([\w.]+) \}\}'"), r"{{ \1|tojson }}"),
    (re.compile(r'<script type="text/javascript">'), _SCRIPT),
    (re.compile(r"\$\('#select-queue'\)\.val\(\);"), "chosen_queue();"),
    # An action has to name its Redis, and the other Redis is under the same prefix.
    (re.compile(r"'/(delete|requeue)'"), r"'/\1?instance=' + {{ current_instance|tojson }}"),
    (
        re.compile(r"var url = window\.location\.pathname\.slice\(1\);.*?return url\b", re.DOTALL),
        "return {{ rq_url_prefix|tojson }} + new_instance_number + '/view/queues'",
    ),
)


class TextOnly(Extension):
    """Corrects each template of rq-dashboard before Jinja compiles it."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002 (Jinja's)
        """The corrected source."""
        for pattern, replacement in _CORRECTIONS:
            source = pattern.sub(replacement, source)
        return source
