//! The SidecarSets of the generated repository.

/// One SidecarSet, in parts, so that kustomize's patches can be made of the same text.
pub(crate) struct Set {
    /// Name of the set.
    pub(crate) name: &'static str,
    /// `key=value` that a workload and its pods carry when they are selected.
    pub(crate) label: &'static str,
    /// Items of `containers`, each one a volume's user.
    pub(crate) containers: &'static str,
    /// Items of `initContainers`, or nothing.
    pub(crate) init_containers: &'static str,
    /// The one item of `volumes`.
    pub(crate) volumes: &'static str,
}

/// The three sets of the platform team.
pub(crate) const SETS: &[Set] = &[
    Set {
        name: "log",
        label: "sidecar-log=on",
        containers: "- name: log-agent
  image: registry.example/platform/log-agent:3.4.1
  args:
  - --config=/etc/log-agent/agent.conf
  - --flush=5s
  env:
  - name: POD_NAME
    valueFrom:
      fieldRef:
        apiVersion: v1
        fieldPath: metadata.name
  - name: POD_NAMESPACE
    valueFrom:
      fieldRef:
        apiVersion: v1
        fieldPath: metadata.namespace
  - name: LOG_LEVEL
    value: info
  resources:
    requests:
      cpu: 20m
      memory: 64Mi
    limits:
      memory: 128Mi
  volumeMounts:
  - name: platform-logs
    mountPath: /var/log/app
",
        init_containers: "",
        volumes: "- name: platform-logs
  emptyDir: {}
",
    },
    Set {
        name: "mesh",
        label: "sidecar-mesh=on",
        containers: "- name: mesh-proxy
  image: registry.example/platform/mesh-proxy:1.22.0
  args:
  - proxy
  - sidecar
  env:
  - name: MESH_ID
    value: prod
  - name: INSTANCE_IP
    valueFrom:
      fieldRef:
        apiVersion: v1
        fieldPath: status.podIP
  ports:
  - name: mesh-admin
    containerPort: 15090
    protocol: TCP
  readinessProbe:
    httpGet:
      path: /healthz/ready
      port: 15021
    periodSeconds: 15
  volumeMounts:
  - name: mesh-run
    mountPath: /run/mesh
",
        init_containers: "- name: mesh-init
  image: registry.example/platform/mesh-init:1.22.0
  args:
  - --redirect-port=15001
  securityContext:
    runAsUser: 0
    capabilities:
      add:
      - NET_ADMIN
",
        volumes: "- name: mesh-run
  emptyDir:
    medium: Memory
",
    },
    Set {
        name: "metrics",
        label: "sidecar-metrics=on",
        containers: "- name: metrics-exporter
  image: registry.example/platform/metrics-exporter:0.19.2
  args:
  - --listen=:9102
  env:
  - name: SCRAPE_INTERVAL
    value: 30s
  ports:
  - name: metrics
    containerPort: 9102
    protocol: TCP
  volumeMounts:
  - name: metrics-config
    mountPath: /etc/metrics
    readOnly: true
",
        init_containers: "",
        volumes: "- name: metrics-config
  configMap:
    name: metrics-exporter
",
    },
];
