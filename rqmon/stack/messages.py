"""What a person reads in a message of Alertmanager's, as Go templates: its title and its text."""

from string import Template

# $text: what is done to a value before it is shown.
_TITLE = Template(
    "{{ .Status | toUpper }}: {{ with .CommonLabels.alertname }}{{ .$text }}{{ else }}"
    "{{ len .Alerts }} alerts{{ end }}{{ with .CommonLabels.queue }} {{ .$text }}{{ end }}"
)
# A message has all alerts of one queue, those that have ended too. The test's alert has no links.
_TEXT = Template("""\
{{ range .Alerts }}{{ .Labels.alertname$text }}, {{ .Labels.severity$text }}, {{ .Status }}
{{ .Annotations.summary$text }}. {{ .Annotations.description$text }}
{{ with .Annotations.runbook_url }}What to do: {{ .$text }}
{{ end }}{{ with .Annotations.dashboard_url }}Dashboard: {{ .$text }}
{{ end }}
{{ end }}""")
# To Slack `<!channel>` in a queue's name means everybody.
_ESCAPED = ' | reReplaceAll "&" "&amp;" | reReplaceAll "<" "&lt;" | reReplaceAll ">" "&gt;"'

# Alertmanager escapes values in HTML.
_HTML = """\
<!DOCTYPE html>
<html>
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"></head>
<body style="margin:0;padding:16px;background:#fff;color:#1f2328;font:16px/1.5 sans-serif">
<div style="max-width:640px;margin:0 auto;overflow-wrap:anywhere">
{{ range .Alerts }}
<div style="margin:0 0 24px;padding:0 0 0 16px;border-left:6px solid
{{ if eq .Status "resolved" }}#1a7f37{{ else if eq .Labels.severity "critical" }}#cf222e
{{- else }}#bf8700{{ end }}">
<p style="margin:0;color:#57606a">{{ .Status | toUpper }}: {{ .Labels.alertname }}
({{ .Labels.severity }})</p>
<h1 style="margin:4px 0;font-size:20px;line-height:1.3">{{ .Annotations.summary }}</h1>
<p style="margin:0 0 8px">{{ .Annotations.description }}</p>
<p style="margin:0">
{{ with .Annotations.runbook_url }}What to do: <a href="{{ . }}">{{ . }}</a><br>{{ end }}
{{ with .Annotations.dashboard_url }}Dashboard: <a href="{{ . }}">{{ . }}</a><br>{{ end }}
Since {{ .StartsAt.UTC.Format "2 Jan 2006 15:04 UTC" }}
{{- if eq .Status "resolved" }}, until {{ .EndsAt.UTC.Format "2 Jan 2006 15:04 UTC" }}{{ end }}
</p>
</div>
{{ end }}
</div>
</body>
</html>
"""

_PLAIN_TITLE, _PLAIN_TEXT = _TITLE.substitute(text=""), _TEXT.substitute(text="")
_SLACK_TITLE = _TITLE.substitute(text=_ESCAPED)
# Options of the receivers, by Alertmanager's names.
SLACK = {
    "title": _SLACK_TITLE,
    "fallback": _SLACK_TITLE,  # what a notification shows
    "text": _TEXT.substitute(text=_ESCAPED),
}
EMAIL = {"headers": {"Subject": _PLAIN_TITLE}, "text": _PLAIN_TEXT, "html": _HTML}
PAGERDUTY = {
    "description": _PLAIN_TITLE,
    "severity": "critical",
    # Alertmanager's own are lists of labels.
    "details": {"firing": _PLAIN_TEXT, "resolved": ""},
}
