# Two images with the same static binary. The release workflow writes the binary of each platform to
# dist/PLATFORM/pillion.
#   docker build .                  renders: nothing but pillion, for pipelines and the Argo CD plugin
#   docker build --target watch .   watches: with git and ssh, for deploy/

# The watcher fetches and pushes through git, which runs ssh and credential helpers with a shell. The account exists
# because ssh refuses a user without one. Versions are not pinned: Alpine keeps only the newest build of a package.
FROM alpine:3.22 AS watch
ARG TARGETPLATFORM
# hadolint ignore=DL3018
RUN apk add --no-cache ca-certificates git openssh-client \
    && addgroup -g 65532 pillion \
    && adduser -D -u 65532 -G pillion -h /home/pillion pillion
COPY --chmod=0555 dist/${TARGETPLATFORM}/pillion /usr/local/bin/pillion
COPY --chmod=0444 LICENSE /licenses/LICENSE
USER 65532:65532
WORKDIR /home/pillion
ENTRYPOINT ["/usr/local/bin/pillion"]

# Runs as any user, with a read-only root and without a shell. Without arguments the program is a KRM function or a
# filter.
FROM scratch
ARG TARGETPLATFORM
COPY --chmod=0555 dist/${TARGETPLATFORM}/pillion /usr/local/bin/pillion
COPY --chmod=0444 src/integrations/templates/cmp/plugin.yaml /home/argocd/cmp-server/config/plugin.yaml
COPY --chmod=0444 LICENSE /licenses/LICENSE
ENV PATH=/usr/local/bin
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/pillion"]
