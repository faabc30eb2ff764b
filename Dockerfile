# One image for the workers, the cron scheduler, the exporter and rq-dashboard.
FROM python:3.11.14-slim-bookworm AS build
RUN python -m venv /opt/venv
# stack or rq3: what is installed is in requirements/.
ARG LOCK=stack
COPY requirements/$LOCK.txt /tmp/
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /tmp/$LOCK.txt
# Packages of whoever runs this, where that file is there.
COPY requirements/$LOCK.txt requirements/own.tx[t] /tmp/
RUN test ! -e /tmp/own.txt || /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check -r /tmp/own.txt
COPY . /app
# Whatever umask it was checked out with; compiled once, as nobody may write there later.
RUN (python -m compileall -q /app || true) && chmod -R a+rX /app

FROM python:3.11.14-slim-bookworm
RUN groupadd --gid 10001 rqmon && useradd --uid 10001 --gid rqmon --no-create-home --shell /usr/sbin/nologin rqmon \
    && install --directory --owner rqmon --group rqmon --mode 700 /var/lib/rqmon
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER rqmon
