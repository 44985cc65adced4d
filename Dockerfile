# A static program in an empty image, run by nobody. Build: docker build -t comfyc .
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# The release's own build, checked: static, within its size, all licences there. VERSION is git's if it is not given.
ARG VERSION=
RUN CGO_ENABLED=0 go run ./cmd/release -only native -version "$VERSION" -out /out && mv /out/comfyc-linux-* /out/comfyc && mkdir -p /out/data /out/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=build /out/comfyc /comfyc
COPY --from=build /out/LICENSES.txt /LICENSES.txt
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/tmp /tmp
USER 65532:65532
VOLUME /data
EXPOSE 8188
STOPSIGNAL SIGTERM
ENTRYPOINT ["/comfyc"]
CMD ["serve", "--addr", "0.0.0.0:8188", "--data", "/data"]
