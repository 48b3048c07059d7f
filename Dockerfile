# One image for the service, the worker and the migrations: only the command differs.
FROM python:3.13 AS build
# The environment has no pip of its own: nothing is installed at run time.
RUN python -m venv --without-pip /opt/venv
WORKDIR /srv
# Dependencies change less often than the code, so their layer comes first. pip compiles them to bytecode.
COPY requirements.lock requirements-dev.lock ./
RUN pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check -r requirements.lock \
    # Files in a bucket: what several machines share.
    && pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        "$(grep '^obstore==' requirements-dev.lock)" \
    # The symbols of compiled parts are a third of the environment, and only debuggers read them.
    && find /opt/venv -name '*.so*' -type f -exec strip --strip-unneeded {} +
# The service's packages lie beside the framework's, as in a checkout: `ai-agents` looks for them there.
COPY pyproject.toml README.md LICENSE ./
COPY ai_agents ai_agents
COPY app app
COPY worker worker
COPY migrations migrations
RUN pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check --no-deps -e . \
    && /opt/venv/bin/python -m compileall -q ai_agents app worker migrations

FROM python:3.13-slim
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv /srv
# /srv/var is the only directory that is written at run time: uploaded files, and the SQLite database and keys if they
# are used. `ai-agents secrets` writes /run/secrets once.
RUN useradd --system --uid 10001 --home-dir /srv --shell /usr/sbin/nologin agents \
    && install -d -m 0700 -o agents -g agents /srv/var \
    && install -d -m 0755 -o agents -g agents /run/secrets
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/srv PYTHONUNBUFFERED=1 HOST=0.0.0.0 PORT=8000
WORKDIR /srv
USER agents
VOLUME /srv/var
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/livez', timeout=2)"]
CMD ["ai-agents", "serve"]
