# syntax=docker/dockerfile:1
# Both stages are of one base. A tag moves: for a build that can be repeated, name the digest,
# --build-arg BASE=python@sha256:…; docs/operate/container.md says how to find it.
ARG BASE=python:3.11.14-slim-bookworm

FROM ${BASE} AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN apt-get update && apt-get install --yes --no-install-recommends binutils
RUN python -m venv /opt/gateway
COPY requirements.txt ./
RUN /opt/gateway/bin/pip install --no-deps -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY gateway ./gateway
COPY migrations ./migrations
COPY policies ./policies
# What only builds, tests and debuggers of the packages need does not come along: half of the size.
RUN /opt/gateway/bin/pip install --no-deps . \
    && /opt/gateway/bin/pip uninstall --yes pip \
    && find /opt/gateway -name '*.cpython-*.so' -exec strip --strip-unneeded {} + \
    && find /opt/gateway -type d \( -name tests -o -path '*/phonenumbers/geodata' \) -prune \
        -exec rm -rf {} + \
    && find /opt/gateway -type f \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pyi' -o -name '*.c' \
        -o -name '*.cpp' -o -name '*.h' -o -name '*.hpp' -o -name '*.a' \) -delete \
    && mkdir -p /made/var


FROM ${BASE}

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="completion-gateway" \
      org.opencontainers.image.description="Exact quotas, private prompts and complete usage for OpenAI-shaped APIs." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build /opt/gateway /opt/gateway
# The policies to start with; mount your own folder over them.
COPY policies /app/policies
COPY --from=build --chown=10001:10001 /made/var /app/var

# Nothing outside /app/var and /tmp is written, so the root file system can be read-only.
ENV PATH=/opt/gateway/bin:$PATH \
    HOME=/app \
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
    CMD ["python", "-m", "gateway.cli.health"]

STOPSIGNAL SIGTERM
ENTRYPOINT ["gateway"]
CMD ["serve"]
