# One static binary and nothing else: any user, a read-only root, no shell. The release workflow puts the binary of each
# platform at dist/PLATFORM/pillion. Without arguments the program is a KRM function or a filter, as its callers expect.
FROM scratch
ARG TARGETPLATFORM
COPY --chmod=0555 dist/${TARGETPLATFORM}/pillion /usr/local/bin/pillion
COPY --chmod=0444 src/integrations/templates/cmp/plugin.yaml /home/argocd/cmp-server/config/plugin.yaml
COPY --chmod=0444 LICENSE /licenses/LICENSE
ENV PATH=/usr/local/bin
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/pillion"]
