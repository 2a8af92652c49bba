# Not run where it was written (no Docker engine there): see README, "What was not tried".
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Nothing is built again there: what an edit would need is not kept.
RUN cargo build --release --locked -p rapport

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home rapport \
    && install -d -m 700 -o rapport -g rapport /home/rapport/data /home/rapport/data/files
COPY --from=build /src/target/release/rapport /usr/local/bin/rapport
USER rapport
ENV HOST=0.0.0.0 PORT=8000 DATA_DIR=/home/rapport/data LOG_FORMAT=json
EXPOSE 8000
VOLUME /home/rapport/data
ENTRYPOINT ["rapport"]
