# One image for the service, the worker and the migrations: what differs is the command.
FROM python:3.13-slim AS build
RUN python -m venv /opt/venv
WORKDIR /src
# The dependencies change more seldom than the code: their layer comes first. pip compiles what it installs.
COPY requirements.lock ./
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY ai_agents ai_agents
COPY app app
COPY worker worker
COPY migrations migrations
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps .

FROM python:3.13-slim
COPY --from=build /opt/venv /opt/venv
# What is written at run time (the SQLite file and the admin key, where they are used) is in /srv/var, and nowhere else.
RUN useradd --system --uid 10001 --home-dir /srv --shell /usr/sbin/nologin agents \
    && install -d -o agents -g agents /srv/var
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 HOST=0.0.0.0 PORT=8000
WORKDIR /srv
USER agents
VOLUME /srv/var
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/livez', timeout=2)"]
CMD ["ai-agents", "serve"]
