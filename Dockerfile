# The images: static binaries FROM scratch, for a user that is not root.
#
#   docker build --target operator --tag PREFIX/operator:TAG .
#   docker build --target runner   --tag PREFIX/runner:TAG .
#   docker build --target target   --tag PREFIX/target:TAG .    (the demo target; for tests only)

FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY . .
# glibc links statically and still resolves names: since 2.34 it has the DNS code built in. Naming the target, though it
# is the host's, keeps the flag away from procedural macros. The caches make the next build quick; they are not part of
# the layer, hence the copy.
RUN --mount=type=cache,target=/src/target --mount=type=cache,target=/usr/local/cargo/registry \
    triple=$(rustc -vV | sed -n 's/^host: //p') && \
    RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --target "$triple" \
      --package proofload-operator --package proofload-runner --package proofload-target && \
    mkdir /out && \
    cp "target/$triple/release/proofload-operator" "target/$triple/release/proofload-runner" \
      "target/$triple/release/proofload-target" /out/

FROM scratch AS target
COPY --from=build /out/proofload-target /proofload-target
USER 65532:65532
ENTRYPOINT ["/proofload-target"]

FROM scratch AS runner
COPY --from=build /out/proofload-runner /proofload-runner
USER 65532:65532
ENTRYPOINT ["/proofload-runner"]

FROM scratch AS operator
COPY --from=build /out/proofload-operator /proofload-operator
USER 65532:65532
ENTRYPOINT ["/proofload-operator"]
