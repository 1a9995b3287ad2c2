# The gateway: HTTP for both services. Build from the repository's root with BuildKit:
#   docker build -f deploy/docker/gateway.Dockerfile -t facerec-gateway .
# A base by digest or from a mirror, and an index of your own: deploy/README.md.
# checkov:skip=CKV_DOCKER_7: the tag is in the argument
ARG BASE=python:3.12-slim-bookworm

FROM $BASE AS build
WORKDIR /src
ENV PIP_CONFIG_FILE=/run/secrets/pip.conf
RUN python -m venv /opt/facerec
COPY requirements/build.lock requirements/gateway.lock requirements/
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.crt \
    /opt/facerec/bin/pip install --no-cache-dir --no-compile --require-hashes --no-deps --only-binary :all: \
    -r requirements/build.lock -r requirements/gateway.lock
COPY pyproject.toml README.md LICENSE ./
COPY facerec facerec
COPY encoder_service encoder_service
COPY matcher_service matcher_service
RUN /opt/facerec/bin/pip install --no-cache-dir --no-compile --no-deps --no-build-isolation --no-index .
COPY deploy/docker/strip.sh ./
RUN sh strip.sh /opt/facerec

FROM $BASE
# Here too, as Python compiles its own library at each start otherwise. Nothing in the image runs as root.
RUN --mount=type=bind,source=deploy/docker/strip.sh,target=/tmp/strip.sh sh /tmp/strip.sh /usr/local \
 && echo facerec:x:10001: >> /etc/group \
 && echo facerec:x:10001:10001::/nonexistent:/usr/sbin/nologin >> /etc/passwd \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=build /opt/facerec /opt/facerec
COPY facerec/serving/readiness_probe.py /opt/facerec/
ENV PATH=/opt/facerec/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GATEWAY_ADDRESS=0.0.0.0:8080 \
    GATEWAY_ADMIN_ADDRESS=127.0.0.1:9080
USER 10001:10001
EXPOSE 8080
# In plain text on a port of its own, whether or not the gateway uses TLS.
HEALTHCHECK --interval=10s --start-period=60s \
    CMD ["python", "-I", "-S", "/opt/facerec/readiness_probe.py", "127.0.0.1:9080"]
# To listen beyond loopback, run the image with GATEWAY_INSECURE=true.
ENTRYPOINT ["python", "-m", "facerec.gateway"]
CMD ["serve"]
ARG BASE
ARG REVISION=
LABEL org.opencontainers.image.title="facerec-gateway" \
      org.opencontainers.image.description="Speaks HTTP for the encoder and the matcher" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="$BASE"
