"""docs/runbooks.md as a page that a browser shows, for the links of alerts."""

import re

import markdown2

from rqmon.resources import data

PATH = "/runbooks"
CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Runbooks</title>
<meta name="viewport" content="width=device-width">
<style>
:root {{ color-scheme: light dark }}
body {{ max-width: 46rem; margin: 0 auto; padding: 1rem; font: 1rem/1.5 sans-serif; overflow-wrap: anywhere }}
pre {{ padding: .5rem; white-space: pre-wrap; background: #8882 }}
:not(pre) > code {{ background: #8882 }}
table {{ border-collapse: collapse }}
td, th {{ padding: .25rem .5rem; border: 1px solid #8886; text-align: left; vertical-align: top }}
td:first-child > code {{ white-space: nowrap }}
h2 {{ margin-top: 2.5rem; padding-top: .5rem; border-top: 1px solid #8886 }}
:target {{ background: #fd05 }}
</style></head>
<body>
{body}
</body></html>
"""


def page() -> bytes | None:
    """The page, whose headings have the ids that alerts link to; None where the file is missing."""
    try:
        text = data("docs/runbooks.md").read_text(encoding="utf-8")
    except OSError:
        return None
    # Other pages are not served here.
    text = re.sub(r"\[([^]]*)\]\([\w/-]+\.md(?:#[\w-]*)?\)", r"\1", text)
    body = markdown2.markdown(text, extras=["tables", "fenced-code-blocks", "header-ids"])
    return _PAGE.format(body=body).encode()
