// Records what Kubernetes' own reader says to texts: one line of JSON in, `{"id": ..., "texts": [...]}`, one line
// out, the id and a digit for each text. 0: it is refused, 1: it is taken, and every document has a kind; 2: it is
// taken, and a document has no kind, which kubectl refuses later.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigs "sigs.k8s.io/yaml"
)

func main() {
	in := json.NewDecoder(bufio.NewReaderSize(os.Stdin, 1<<20))
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for {
		var task struct {
			ID    string
			Texts []string
		}
		if err := in.Decode(&task); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Fprint(out, task.ID, " ")
		for _, text := range task.Texts {
			fmt.Fprint(out, verdict([]byte(text)))
		}
		fmt.Fprintln(out)
	}
}

// verdict reads as kubectl's stream visitor does, and refuses doubled keys as kubectl's strict validation does.
func verdict(text []byte) int {
	objects := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	kinds := 1
	for {
		var raw runtime.RawExtension
		if err := objects.Decode(&raw); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return 0
		}
		body := bytes.TrimSpace(raw.Raw)
		if len(body) == 0 || bytes.Equal(body, []byte("null")) {
			continue
		}
		var object struct{ Kind, APIVersion string }
		if json.Unmarshal(body, &object) != nil || object.Kind == "" || object.APIVersion == "" {
			kinds = 2
		}
	}
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return kinds
		}
		if err != nil {
			return 0
		}
		if _, err := sigs.YAMLToJSONStrict(document); err != nil {
			return 0
		}
	}
}
