// Command monitors holds manifests of the kinds of prometheus-operator, which a test cluster does not have, against that
// operator's own types: unknown fields and wrong types fail.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"
)

func main() {
	count, err := check(os.Stdin)
	if err == nil && count == 0 {
		err = errors.New("expected kinds of monitoring.coreos.com/v1, got none")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%d objects as prometheus-operator has them\n", count)
}

// check reads manifests and returns how many of them are of those kinds.
func check(input io.Reader) (int, error) {
	kinds := map[string]func() any{
		"PodMonitor":     func() any { return &monitoring.PodMonitor{} },
		"ServiceMonitor": func() any { return &monitoring.ServiceMonitor{} },
		"PrometheusRule": func() any { return &monitoring.PrometheusRule{} },
	}
	count := 0
	documents := yaml.NewYAMLReader(bufio.NewReader(input))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return count, nil
		}
		if err != nil {
			return count, err
		}
		var head struct{ APIVersion, Kind string }
		if err := strict.Unmarshal(document, &head); err != nil {
			return count, err
		}
		if head.APIVersion != "monitoring.coreos.com/v1" {
			continue
		}
		object, known := kinds[head.Kind]
		if !known {
			return count, fmt.Errorf("%s: expected PodMonitor, ServiceMonitor or PrometheusRule", head.Kind)
		}
		if err := strict.UnmarshalStrict(document, object()); err != nil {
			return count, fmt.Errorf("%s: %w", head.Kind, err)
		}
		count++
	}
}
