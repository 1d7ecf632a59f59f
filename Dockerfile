# Showcases on Ray, for clusters: docker build --tag REGISTRY/showcases:cpu .
# With GPUs: docker build --build-arg FLAVOR=gpu --tag REGISTRY/showcases:gpu .
ARG RAY=2.60.0
ARG FLAVOR=cpu
FROM rayproject/ray:${RAY}-py311-${FLAVOR}

# METEOR needs Java. The base image lets its user become root with sudo, which nothing needs afterwards.
USER root
RUN apt-get update \
    && apt-get install --yes --no-install-recommends default-jre-headless \
    && SUDO_FORCE_REMOVE=yes apt-get purge --yes sudo \
    && rm -rf /var/lib/apt/lists/* /etc/sudoers /etc/sudoers.d
USER ray
RUN mkdir /home/ray/showcases

WORKDIR /home/ray/showcases

# What changes seldom first: the packages are a layer of their own, which new code does not rebuild.
COPY --chown=ray:users pyproject.toml constraints.txt README.md LICENSE ./
RUN mkdir platform && pip install --no-cache-dir --constraint constraints.txt ".[ray,serve,studies,annotation,redis]"

COPY --chown=ray:users platform platform
COPY --chown=ray:users jobs jobs
COPY --chown=ray:users tuning tuning
COPY --chown=ray:users serve_apps serve_apps
RUN pip install --no-cache-dir --no-deps --editable .

ENV RAY_USAGE_STATS_ENABLED=0 MLFLOW_DISABLE_TELEMETRY=true
USER ray
CMD ["showcases", "--help"]
