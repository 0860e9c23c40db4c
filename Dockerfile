# syntax=docker/dockerfile:1
FROM python:3.11.14-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/gateway
COPY requirements.txt ./
RUN /opt/gateway/bin/pip install --no-deps -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY gateway ./gateway
COPY migrations ./migrations
COPY policies ./policies
RUN /opt/gateway/bin/pip install --no-deps . \
    && /opt/gateway/bin/pip uninstall --yes pip


FROM python:3.11.14-slim-bookworm

LABEL org.opencontainers.image.title="completion-gateway" \
      org.opencontainers.image.licenses="Apache-2.0"

RUN groupadd --gid 10001 gateway \
    && useradd --uid 10001 --gid gateway --no-create-home --home-dir /app gateway \
    && install --directory --owner gateway --group gateway /app /app/var

COPY --from=build /opt/gateway /opt/gateway
# The policies to start with; mount your own folder over them.
COPY policies /app/policies

# Nothing outside /app/var and /tmp is written, so the root file system can be read-only.
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GATEWAY_HOST=0.0.0.0 \
    GATEWAY_PORT=8080 \
    GATEWAY_OPS_HOST=0.0.0.0 \
    GATEWAY_OPS_PORT=9090

WORKDIR /app
USER 10001:10001
VOLUME /app/var
EXPOSE 8080 9090

HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['GATEWAY_OPS_PORT'] + '/readyz', timeout=4)"]

STOPSIGNAL SIGTERM
ENTRYPOINT ["gateway"]
CMD ["serve"]
