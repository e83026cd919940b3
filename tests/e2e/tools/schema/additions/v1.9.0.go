//go:build ignore

// Package additions declares what Kruise v1.9.0 adds to the SidecarSet of the version in go.mod, the newest version in
// Go's checksum database. `+after` names the field before an added one. The generator ignores this folder once go.mod
// has a version with apps.kruise.io/v1beta1.
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
