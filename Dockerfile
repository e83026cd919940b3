# One static binary: runs as any user, with a read-only root and without a shell. The release workflow writes the binary
# of each platform to dist/PLATFORM/pillion. Without arguments the program is a KRM function or a filter.
FROM scratch
ARG TARGETPLATFORM
COPY --chmod=0555 dist/${TARGETPLATFORM}/pillion /usr/local/bin/pillion
COPY --chmod=0444 src/integrations/templates/cmp/plugin.yaml /home/argocd/cmp-server/config/plugin.yaml
COPY --chmod=0444 LICENSE /licenses/LICENSE
ENV PATH=/usr/local/bin
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/pillion"]
