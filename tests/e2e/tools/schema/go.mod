module pillion.dev/schema

go 1.26.0

// The generator reads these as text and imports none of them, so `go mod tidy` would take them out.
require (
	github.com/openkruise/kruise v1.8.2
	k8s.io/api v0.32.10
	k8s.io/apimachinery v0.32.10
)
