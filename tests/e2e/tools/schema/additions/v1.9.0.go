//go:build ignore

// Package additions declares what Kruise v1.9.0 adds to the SidecarSet of the version in go.mod, which is the newest
// that the checksum database of Go vouches for. `+after` names the field that an added one follows. The generator
// does not read this folder once go.mod names a version that has apps.kruise.io/v1beta1.
package additions

type SidecarContainer struct {
	// +after=ShareVolumePolicy
	ShareVolumeDevicePolicy *ShareVolumePolicy `json:"shareVolumeDevicePolicy,omitempty"`
	// +after=TransferEnv
	// +optional
	ResourcesPolicy *ResourcesPolicy `json:"resourcesPolicy,omitempty"`
}

type ResourcesPolicy struct {
	// +kubebuilder:validation:Enum=sum;max
	TargetContainersMode TargetContainersModeType `json:"targetContainersMode"`
	// +optional
	// +kubebuilder:default=".*"
	TargetContainersNameRegex string        `json:"targetContainersNameRegex,omitempty"`
	ResourcesExpr             ResourcesExpr `json:"resourcesExpr"`
}

type TargetContainersModeType string

type ResourcesExpr struct {
	// +optional
	Limits *ResourceExprLimits `json:"limits,omitempty"`
	// +optional
	Requests *ResourceExprRequests `json:"requests,omitempty"`
}

type ResourceExprLimits struct {
	// +optional
	CPU string `json:"cpu,omitempty"`
	// +optional
	Memory string `json:"memory,omitempty"`
}

type ResourceExprRequests struct {
	// +optional
	CPU string `json:"cpu,omitempty"`
	// +optional
	Memory string `json:"memory,omitempty"`
}

// SidecarSetSpecV1beta1 is SidecarSetSpec of v1beta1: without Namespace, with CustomVersion at the end.
// +without=Namespace
type SidecarSetSpecV1beta1 struct {
	// +after=PatchPodMetadata
	CustomVersion string `json:"customVersion,omitempty"`
}
