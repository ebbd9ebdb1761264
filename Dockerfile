# The images of the server (the last stage) and of the WeChat simulator (--target wxsim): one static binary each.
# Needs BuildKit, which is Docker's default since 23.0.

# The newest patch release: what it was built with is what a binary has of net/http. .ci/run judges the server by it.
FROM --platform=$BUILDPLATFORM golang:1.27.4 AS build
WORKDIR /src
# Where the default module proxy cannot be reached: --build-arg GOPROXY=…
ARG GOPROXY
ARG TARGETOS TARGETARCH
ARG VERSION=dev
COPY . .
RUN --mount=type=cache,target=/cache \
    GOMODCACHE=/cache/mod GOCACHE=/cache/build CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/ ./cmd/wxlogin ./cmd/wxsim && mkdir /out/avatars

FROM scratch AS base
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
USER 65532:65532

FROM base AS wxsim
COPY --from=build /out/wxsim /
EXPOSE 8089
HEALTHCHECK --interval=10s --timeout=5s CMD ["/wxsim", "-healthcheck", "-addr", "0.0.0.0:8089"]
ENTRYPOINT ["/wxsim"]
CMD ["-addr", "0.0.0.0:8089"]

FROM base AS wxlogin
COPY --from=build /out/wxlogin /
# For AVATAR_DIR: a volume that is mounted here belongs to the server's user.
COPY --from=build --chown=65532:65532 /out/avatars /avatars
# 9090 answers inside the container only, unless INTERNAL_ADDR says otherwise.
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=5s CMD ["/wxlogin", "healthcheck"]
ENTRYPOINT ["/wxlogin"]
