//! core/v1 Volume and every source it can have, fields in Go order (Kubernetes 1.32).

use super::Type::{Bool, Int32, Int64, Object as Obj, Objects, Quantity, QuantityMap, Text, TextMap, Texts};
use super::container::RESOURCE_FIELD_SELECTOR;
use super::meta::{LABEL_SELECTOR, LOCAL_OBJECT_REFERENCE, OBJECT_FIELD_SELECTOR, OBJECT_META};
use super::{Object, always, nullable, pointer, value};

pub(super) static VOLUME: Object = Object {
    name: "Volume",
    base: None,
    fields: &[
        always("name", Text),
        pointer("hostPath", Obj(&HOST_PATH_VOLUME_SOURCE)),
        pointer("emptyDir", Obj(&EMPTY_DIR_VOLUME_SOURCE)),
        pointer("gcePersistentDisk", Obj(&GCE_PERSISTENT_DISK_VOLUME_SOURCE)),
        pointer("awsElasticBlockStore", Obj(&AWS_ELASTIC_BLOCK_STORE_VOLUME_SOURCE)),
        pointer("gitRepo", Obj(&GIT_REPO_VOLUME_SOURCE)),
        pointer("secret", Obj(&SECRET_VOLUME_SOURCE)),
        pointer("nfs", Obj(&NFS_VOLUME_SOURCE)),
        pointer("iscsi", Obj(&ISCSI_VOLUME_SOURCE)),
        pointer("glusterfs", Obj(&GLUSTERFS_VOLUME_SOURCE)),
        pointer("persistentVolumeClaim", Obj(&PERSISTENT_VOLUME_CLAIM_VOLUME_SOURCE)),
        pointer("rbd", Obj(&RBD_VOLUME_SOURCE)),
        pointer("flexVolume", Obj(&FLEX_VOLUME_SOURCE)),
        pointer("cinder", Obj(&CINDER_VOLUME_SOURCE)),
        pointer("cephfs", Obj(&CEPH_FS_VOLUME_SOURCE)),
        pointer("flocker", Obj(&FLOCKER_VOLUME_SOURCE)),
        pointer("downwardAPI", Obj(&DOWNWARD_API_VOLUME_SOURCE)),
        pointer("fc", Obj(&FC_VOLUME_SOURCE)),
        pointer("azureFile", Obj(&AZURE_FILE_VOLUME_SOURCE)),
        pointer("configMap", Obj(&CONFIG_MAP_VOLUME_SOURCE)),
        pointer("vsphereVolume", Obj(&VSPHERE_VIRTUAL_DISK_VOLUME_SOURCE)),
        pointer("quobyte", Obj(&QUOBYTE_VOLUME_SOURCE)),
        pointer("azureDisk", Obj(&AZURE_DISK_VOLUME_SOURCE)),
        pointer("photonPersistentDisk", Obj(&PHOTON_PERSISTENT_DISK_VOLUME_SOURCE)),
        pointer("projected", Obj(&PROJECTED_VOLUME_SOURCE)),
        pointer("portworxVolume", Obj(&PORTWORX_VOLUME_SOURCE)),
        pointer("scaleIO", Obj(&SCALE_IO_VOLUME_SOURCE)),
        pointer("storageos", Obj(&STORAGE_OS_VOLUME_SOURCE)),
        pointer("csi", Obj(&CSI_VOLUME_SOURCE)),
        pointer("ephemeral", Obj(&EPHEMERAL_VOLUME_SOURCE)),
        pointer("image", Obj(&IMAGE_VOLUME_SOURCE)),
    ],
};

pub(super) static HOST_PATH_VOLUME_SOURCE: Object = Object {
    name: "HostPathVolumeSource",
    base: None,
    fields: &[always("path", Text), pointer("type", Text)],
};

pub(super) static EMPTY_DIR_VOLUME_SOURCE: Object = Object {
    name: "EmptyDirVolumeSource",
    base: None,
    fields: &[value("medium", Text), pointer("sizeLimit", Quantity)],
};

pub(super) static GCE_PERSISTENT_DISK_VOLUME_SOURCE: Object = Object {
    name: "GCEPersistentDiskVolumeSource",
    base: None,
    fields: &[
        always("pdName", Text),
        value("fsType", Text),
        value("partition", Int32),
        value("readOnly", Bool),
    ],
};

pub(super) static AWS_ELASTIC_BLOCK_STORE_VOLUME_SOURCE: Object = Object {
    name: "AWSElasticBlockStoreVolumeSource",
    base: None,
    fields: &[
        always("volumeID", Text),
        value("fsType", Text),
        value("partition", Int32),
        value("readOnly", Bool),
    ],
};

pub(super) static GIT_REPO_VOLUME_SOURCE: Object = Object {
    name: "GitRepoVolumeSource",
    base: None,
    fields: &[always("repository", Text), value("revision", Text), value("directory", Text)],
};

pub(super) static SECRET_VOLUME_SOURCE: Object = Object {
    name: "SecretVolumeSource",
    base: None,
    fields: &[
        value("secretName", Text),
        value("items", Objects(&KEY_TO_PATH)),
        pointer("defaultMode", Int32),
        pointer("optional", Bool),
    ],
};

pub(super) static KEY_TO_PATH: Object = Object {
    name: "KeyToPath",
    base: None,
    fields: &[always("key", Text), always("path", Text), pointer("mode", Int32)],
};

pub(super) static NFS_VOLUME_SOURCE: Object = Object {
    name: "NFSVolumeSource",
    base: None,
    fields: &[always("server", Text), always("path", Text), value("readOnly", Bool)],
};

pub(super) static ISCSI_VOLUME_SOURCE: Object = Object {
    name: "ISCSIVolumeSource",
    base: None,
    fields: &[
        always("targetPortal", Text),
        always("iqn", Text),
        always("lun", Int32),
        value("iscsiInterface", Text),
        value("fsType", Text),
        value("readOnly", Bool),
        value("portals", Texts),
        value("chapAuthDiscovery", Bool),
        value("chapAuthSession", Bool),
        pointer("secretRef", Obj(&LOCAL_OBJECT_REFERENCE)),
        pointer("initiatorName", Text),
    ],
};

pub(super) static GLUSTERFS_VOLUME_SOURCE: Object = Object {
    name: "GlusterfsVolumeSource",
    base: None,
    fields: &[always("endpoints", Text), always("path", Text), value("readOnly", Bool)],
};

pub(super) static PERSISTENT_VOLUME_CLAIM_VOLUME_SOURCE: Object = Object {
    name: "PersistentVolumeClaimVolumeSource",
    base: None,
    fields: &[always("claimName", Text), value("readOnly", Bool)],
};

pub(super) static RBD_VOLUME_SOURCE: Object = Object {
    name: "RBDVolumeSource",
    base: None,
    fields: &[
        always("monitors", Texts),
        always("image", Text),
        value("fsType", Text),
        value("pool", Text),
        value("user", Text),
        value("keyring", Text),
        pointer("secretRef", Obj(&LOCAL_OBJECT_REFERENCE)),
        value("readOnly", Bool),
    ],
};

pub(super) static FLEX_VOLUME_SOURCE: Object = Object {
    name: "FlexVolumeSource",
    base: None,
    fields: &[
        always("driver", Text),
        value("fsType", Text),
        pointer("secretRef", Obj(&LOCAL_OBJECT_REFERENCE)),
        value("readOnly", Bool),
        value("options", TextMap),
    ],
};

pub(super) static CINDER_VOLUME_SOURCE: Object = Object {
    name: "CinderVolumeSource",
    base: None,
    fields: &[
        always("volumeID", Text),
        value("fsType", Text),
        value("readOnly", Bool),
        pointer("secretRef", Obj(&LOCAL_OBJECT_REFERENCE)),
    ],
};

pub(super) static CEPH_FS_VOLUME_SOURCE: Object = Object {
    name: "CephFSVolumeSource",
    base: None,
    fields: &[
        always("monitors", Texts),
        value("path", Text),
        value("user", Text),
        value("secretFile", Text),
        pointer("secretRef", Obj(&LOCAL_OBJECT_REFERENCE)),
        value("readOnly", Bool),
    ],
};

pub(super) static FLOCKER_VOLUME_SOURCE: Object = Object {
    name: "FlockerVolumeSource",
    base: None,
    fields: &[value("datasetName", Text), value("datasetUUID", Text)],
};

pub(super) static DOWNWARD_API_VOLUME_SOURCE: Object = Object {
    name: "DownwardAPIVolumeSource",
    base: None,
    fields: &[value("items", Objects(&DOWNWARD_API_VOLUME_FILE)), pointer("defaultMode", Int32)],
};

pub(super) static DOWNWARD_API_VOLUME_FILE: Object = Object {
    name: "DownwardAPIVolumeFile",
    base: None,
    fields: &[
        always("path", Text),
        pointer("fieldRef", Obj(&OBJECT_FIELD_SELECTOR)),
        pointer("resourceFieldRef", Obj(&RESOURCE_FIELD_SELECTOR)),
        pointer("mode", Int32),
    ],
};

pub(super) static FC_VOLUME_SOURCE: Object = Object {
    name: "FCVolumeSource",
    base: None,
    fields: &[
        value("targetWWNs", Texts),
        pointer("lun", Int32),
        value("fsType", Text),
        value("readOnly", Bool),
        value("wwids", Texts),
    ],
};

pub(super) static AZURE_FILE_VOLUME_SOURCE: Object = Object {
    name: "AzureFileVolumeSource",
    base: None,
    fields: &[always("secretName", Text), always("shareName", Text), value("readOnly", Bool)],
};

pub(super) static CONFIG_MAP_VOLUME_SOURCE: Object = Object {
    name: "ConfigMapVolumeSource",
    base: None,
    fields: &[
        value("name", Text),
        value("items", Objects(&KEY_TO_PATH)),
        pointer("defaultMode", Int32),
        pointer("optional", Bool),
    ],
};

pub(super) static VSPHERE_VIRTUAL_DISK_VOLUME_SOURCE: Object = Object {
    name: "VsphereVirtualDiskVolumeSource",
    base: None,
    fields: &[
        always("volumePath", Text),
        value("fsType", Text),
        value("storagePolicyName", Text),
        value("storagePolicyID", Text),
    ],
};

pub(super) static QUOBYTE_VOLUME_SOURCE: Object = Object {
    name: "QuobyteVolumeSource",
    base: None,
    fields: &[
        always("registry", Text),
        always("volume", Text),
        value("readOnly", Bool),
        value("user", Text),
        value("group", Text),
        value("tenant", Text),
    ],
};

pub(super) static AZURE_DISK_VOLUME_SOURCE: Object = Object {
    name: "AzureDiskVolumeSource",
    base: None,
    fields: &[
        always("diskName", Text),
        always("diskURI", Text),
        pointer("cachingMode", Text),
        pointer("fsType", Text),
        pointer("readOnly", Bool),
        pointer("kind", Text),
    ],
};

pub(super) static PHOTON_PERSISTENT_DISK_VOLUME_SOURCE: Object = Object {
    name: "PhotonPersistentDiskVolumeSource",
    base: None,
    fields: &[always("pdID", Text), value("fsType", Text)],
};

pub(super) static PROJECTED_VOLUME_SOURCE: Object = Object {
    name: "ProjectedVolumeSource",
    base: None,
    fields: &[always("sources", Objects(&VOLUME_PROJECTION)), pointer("defaultMode", Int32)],
};

pub(super) static VOLUME_PROJECTION: Object = Object {
    name: "VolumeProjection",
    base: None,
    fields: &[
        pointer("secret", Obj(&SECRET_PROJECTION)),
        pointer("downwardAPI", Obj(&DOWNWARD_API_PROJECTION)),
        pointer("configMap", Obj(&CONFIG_MAP_PROJECTION)),
        pointer("serviceAccountToken", Obj(&SERVICE_ACCOUNT_TOKEN_PROJECTION)),
        pointer("clusterTrustBundle", Obj(&CLUSTER_TRUST_BUNDLE_PROJECTION)),
    ],
};

pub(super) static SECRET_PROJECTION: Object = Object {
    name: "SecretProjection",
    base: None,
    fields: &[value("name", Text), value("items", Objects(&KEY_TO_PATH)), pointer("optional", Bool)],
};

pub(super) static DOWNWARD_API_PROJECTION: Object = Object {
    name: "DownwardAPIProjection",
    base: None,
    fields: &[value("items", Objects(&DOWNWARD_API_VOLUME_FILE))],
};

pub(super) static CONFIG_MAP_PROJECTION: Object = Object {
    name: "ConfigMapProjection",
    base: None,
    fields: &[value("name", Text), value("items", Objects(&KEY_TO_PATH)), pointer("optional", Bool)],
};

pub(super) static SERVICE_ACCOUNT_TOKEN_PROJECTION: Object = Object {
    name: "ServiceAccountTokenProjection",
    base: None,
    fields: &[value("audience", Text), pointer("expirationSeconds", Int64), always("path", Text)],
};

pub(super) static CLUSTER_TRUST_BUNDLE_PROJECTION: Object = Object {
    name: "ClusterTrustBundleProjection",
    base: None,
    fields: &[
        pointer("name", Text),
        pointer("signerName", Text),
        pointer("labelSelector", Obj(&LABEL_SELECTOR)),
        pointer("optional", Bool),
        always("path", Text),
    ],
};

pub(super) static PORTWORX_VOLUME_SOURCE: Object = Object {
    name: "PortworxVolumeSource",
    base: None,
    fields: &[always("volumeID", Text), value("fsType", Text), value("readOnly", Bool)],
};

pub(super) static SCALE_IO_VOLUME_SOURCE: Object = Object {
    name: "ScaleIOVolumeSource",
    base: None,
    fields: &[
        always("gateway", Text),
        always("system", Text),
        nullable("secretRef", Obj(&LOCAL_OBJECT_REFERENCE)),
        value("sslEnabled", Bool),
        value("protectionDomain", Text),
        value("storagePool", Text),
        value("storageMode", Text),
        value("volumeName", Text),
        value("fsType", Text),
        value("readOnly", Bool),
    ],
};

pub(super) static STORAGE_OS_VOLUME_SOURCE: Object = Object {
    name: "StorageOSVolumeSource",
    base: None,
    fields: &[
        value("volumeName", Text),
        value("volumeNamespace", Text),
        value("fsType", Text),
        value("readOnly", Bool),
        pointer("secretRef", Obj(&LOCAL_OBJECT_REFERENCE)),
    ],
};

pub(super) static CSI_VOLUME_SOURCE: Object = Object {
    name: "CSIVolumeSource",
    base: None,
    fields: &[
        always("driver", Text),
        pointer("readOnly", Bool),
        pointer("fsType", Text),
        value("volumeAttributes", TextMap),
        pointer("nodePublishSecretRef", Obj(&LOCAL_OBJECT_REFERENCE)),
    ],
};

pub(super) static EPHEMERAL_VOLUME_SOURCE: Object = Object {
    name: "EphemeralVolumeSource",
    base: None,
    fields: &[pointer("volumeClaimTemplate", Obj(&PERSISTENT_VOLUME_CLAIM_TEMPLATE))],
};

pub(super) static PERSISTENT_VOLUME_CLAIM_TEMPLATE: Object = Object {
    name: "PersistentVolumeClaimTemplate",
    base: None,
    fields: &[value("metadata", Obj(&OBJECT_META)), always("spec", Obj(&PERSISTENT_VOLUME_CLAIM_SPEC))],
};

pub(super) static PERSISTENT_VOLUME_CLAIM_SPEC: Object = Object {
    name: "PersistentVolumeClaimSpec",
    base: None,
    fields: &[
        value("accessModes", Texts),
        pointer("selector", Obj(&LABEL_SELECTOR)),
        value("resources", Obj(&VOLUME_RESOURCE_REQUIREMENTS)),
        value("volumeName", Text),
        pointer("storageClassName", Text),
        pointer("volumeMode", Text),
        pointer("dataSource", Obj(&TYPED_LOCAL_OBJECT_REFERENCE)),
        pointer("dataSourceRef", Obj(&TYPED_OBJECT_REFERENCE)),
        pointer("volumeAttributesClassName", Text),
    ],
};

pub(super) static VOLUME_RESOURCE_REQUIREMENTS: Object = Object {
    name: "VolumeResourceRequirements",
    base: None,
    fields: &[value("limits", QuantityMap), value("requests", QuantityMap)],
};

pub(super) static TYPED_LOCAL_OBJECT_REFERENCE: Object = Object {
    name: "TypedLocalObjectReference",
    base: None,
    fields: &[nullable("apiGroup", Text), always("kind", Text), always("name", Text)],
};

pub(super) static TYPED_OBJECT_REFERENCE: Object = Object {
    name: "TypedObjectReference",
    base: None,
    fields: &[
        nullable("apiGroup", Text),
        always("kind", Text),
        always("name", Text),
        pointer("namespace", Text),
    ],
};

pub(super) static IMAGE_VOLUME_SOURCE: Object = Object {
    name: "ImageVolumeSource",
    base: None,
    fields: &[value("reference", Text), value("pullPolicy", Text)],
};
