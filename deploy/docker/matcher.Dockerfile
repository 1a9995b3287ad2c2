# The matcher service and its migrations. Build from the repository's root:
#   docker build -f deploy/docker/matcher.Dockerfile -t facerec-matcher .
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/facerec
COPY requirements/build.lock requirements/matcher.lock requirements/
RUN /opt/facerec/bin/pip install --no-cache-dir --require-hashes --no-deps --only-binary :all: \
    -r requirements/build.lock -r requirements/matcher.lock
COPY pyproject.toml README.md LICENSE ./
COPY facerec facerec
COPY encoder_service encoder_service
COPY matcher_service matcher_service
RUN /opt/facerec/bin/pip install --no-cache-dir --no-deps --no-build-isolation --no-index .

FROM python:3.12-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin facerec
COPY --from=build /opt/facerec /opt/facerec
ENV PATH=/opt/facerec/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MATCHER_ADDRESS=0.0.0.0:50052 \
    MATCHER_HEALTH_ADDRESS=127.0.0.1:50062
USER 10001:10001
EXPOSE 50052
# On a separate port in plain text, whether or not the service uses TLS.
HEALTHCHECK --interval=10s --start-period=60s CMD ["python", "-m", "facerec.serving.health_check", "127.0.0.1:50062"]
# To listen beyond loopback, run the image with MATCHER_INSECURE=true.
ENTRYPOINT ["python", "-m", "matcher_service"]
CMD ["serve"]
