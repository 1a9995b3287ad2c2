# The encoder service on an NVIDIA GPU. The CUDA libraries come with the Python packages, the driver with the
# machine. Build from the repository's root with BuildKit:
#   docker build -f deploy/docker/encoder-gpu.Dockerfile -t facerec-encoder-gpu .
# A base by digest or from a mirror, and an index of your own: deploy/README.md.
# checkov:skip=CKV_DOCKER_7: the tag is in the argument
ARG BASE=python:3.12-slim-bookworm

FROM $BASE AS build
WORKDIR /src
ENV PIP_CONFIG_FILE=/run/secrets/pip.conf
RUN python -m venv /opt/facerec
COPY requirements/build.lock requirements/gpu.lock requirements/
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.crt \
    /opt/facerec/bin/pip install --no-cache-dir --no-compile --require-hashes --no-deps --only-binary :all: \
    -r requirements/build.lock -r requirements/gpu.lock
# The photos that this model was trained on are licensed for non-commercial use only; it is off by default.
RUN rm /opt/facerec/lib/python3*/site-packages/face_recognition_models/models/shape_predictor_68_face_landmarks.dat
COPY pyproject.toml README.md LICENSE ./
COPY facerec facerec
COPY encoder_service encoder_service
COPY matcher_service matcher_service
RUN /opt/facerec/bin/pip install --no-cache-dir --no-compile --no-deps --no-build-isolation --no-index .
COPY deploy/docker/strip.sh ./
RUN sh strip.sh /opt/facerec
# Converts the networks into the image and runs their self-test, so that a start writes nothing.
RUN /opt/facerec/bin/python -m encoder_service doctor --model-cache-dir /opt/models --provider cpu \
 && chmod -R a+rX /opt/models

FROM $BASE
# Here too, as Python compiles its own library at each start otherwise. Nothing in the image runs as root.
RUN --mount=type=bind,source=deploy/docker/strip.sh,target=/tmp/strip.sh sh /tmp/strip.sh /usr/local \
 && echo facerec:x:10001: >> /etc/group \
 && echo facerec:x:10001:10001::/nonexistent:/usr/sbin/nologin >> /etc/passwd \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=build /opt/facerec /opt/facerec
COPY --from=build /opt/models /opt/models
COPY facerec/serving/readiness_probe.py /opt/facerec/
ENV PATH=/opt/facerec/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    ENCODER_ADDRESS=0.0.0.0:50051 \
    ENCODER_ADMIN_ADDRESS=127.0.0.1:9051 \
    ENCODER_MODEL_CACHE_DIR=/opt/models \
    ENCODER_PROVIDER=cuda \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
EXPOSE 50051
# In plain text on a port of its own, whether or not the service uses TLS.
HEALTHCHECK --interval=10s --start-period=60s \
    CMD ["python", "-I", "-S", "/opt/facerec/readiness_probe.py", "127.0.0.1:9051"]
# To listen beyond loopback, run the image with ENCODER_INSECURE=true.
ENTRYPOINT ["python", "-m", "encoder_service"]
CMD ["serve"]
ARG BASE
ARG REVISION=
LABEL org.opencontainers.image.title="facerec-encoder-gpu" \
      org.opencontainers.image.description="Encodes faces as face_recognition does, over gRPC, on a GPU" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="$BASE"
