# The controller: one virtual environment, carried into an image that has nothing to build with.
# The base is pinned by its exact tag in one place; `--build-arg BASE=python@sha256:...` pins it by digest.
ARG BASE=python:3.12.13-slim-trixie

FROM ${BASE} AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY config config
COPY analysis analysis
COPY controller controller
COPY sandbox sandbox
# The constraints hold for what builds the package too. Wheels only: there is no compiler.
ENV PIP_CONSTRAINT=/src/constraints.txt \
    PIP_BUILD_CONSTRAINT=/src/constraints.txt \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python -m venv --without-pip /opt/crossfade \
 && pip --python /opt/crossfade/bin/python install --only-binary :all: --constraint constraints.txt '.[otel]'

FROM ${BASE}
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="crossfade" \
      org.opencontainers.image.description="Progressive delivery for Gloo" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.documentation="${SOURCE}"
RUN python -m pip uninstall --yes pip
COPY --from=build /opt/crossfade /opt/crossfade
# Nothing is written anywhere: the root file system may be read-only.
ENV PATH=/opt/crossfade/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /
# A number, so that runAsNonRoot can be checked; no such user needs to exist.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["crossfade"]
CMD ["run"]
