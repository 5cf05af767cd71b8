# syntax=docker/dockerfile:1

FROM node:22-bookworm-slim AS node

FROM rust:1-bookworm AS build
# build.rs builds the dashboard with npm.
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    HAPPIERWORK_DASHBOARD=required cargo build --locked --release && cp target/release/happierwork /usr/local/bin/

FROM debian:bookworm-slim
# Root certificates, for databases and identity providers on other machines.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --home-dir /data --create-home --shell /usr/sbin/nologin happierwork
COPY --from=build /usr/local/bin/happierwork /usr/local/bin/happierwork
COPY packaging/docker-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
# Documents, unless they are in a database, and accounts. Platforms that choose a port set PORT.
ENV HAPPIERWORK_DATA_DIR=/data PORT=8000
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --start-period=60s CMD ["happierwork", "health"]
# Starts as root to give the volume to the user `happierwork`, and runs the server as that user.
ENTRYPOINT ["docker-entrypoint.sh"]
