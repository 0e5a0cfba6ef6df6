// Command grafana holds dashboards, as JSON files, against Grafana's own schema: the types that Grafana generates from
// it, read strictly. Unknown fields, missing ones and wrong types are said with where they are; nothing is changed.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	files := os.Args[1:]
	if len(files) == 0 {
		fmt.Fprintln(os.Stderr, "expected the paths of dashboards")
		os.Exit(2)
	}
	// Without them the options of panels and the queries would be any JSON at all.
	plugins.RegisterDefaultPlugins()
	wrong := false
	for _, file := range files {
		panels, err := check(file)
		if err != nil {
			wrong = true
			fmt.Fprintf(os.Stderr, "%s: %v\n", file, err)
			continue
		}
		fmt.Printf("%s: %d panels as Grafana's schema has them\n", file, panels)
	}
	if wrong {
		os.Exit(1)
	}
}

// check returns how many panels a dashboard has.
func check(file string) (int, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	raw, err = withoutPluginFields(raw)
	if err != nil {
		return 0, err
	}
	var board dashboard.Dashboard
	if err := board.UnmarshalJSONStrict(raw); err != nil {
		return 0, err
	}
	if err := board.Validate(); err != nil {
		return 0, err
	}
	panels := 0
	for _, one := range board.Panels {
		if one.Panel != nil {
			panels++
		}
		if one.RowPanel != nil {
			panels += len(one.RowPanel.Panels)
		}
	}
	if panels == 0 {
		return 0, fmt.Errorf("no panels")
	}
	return panels, nil
}

// pluginFields are what Grafana's Prometheus plugin reads of an annotation beside its target. The schema of this release
// does not have them, Grafana itself and later releases do: an annotation may have any field of its plugin.
var pluginFields = []string{"titleFormat", "textFormat", "useValueForTime"}

// withoutPluginFields leaves them out of annotations, and nothing else.
func withoutPluginFields(raw []byte) ([]byte, error) {
	var board map[string]any
	if err := json.Unmarshal(raw, &board); err != nil {
		return nil, err
	}
	annotations, _ := board["annotations"].(map[string]any)
	list, _ := annotations["list"].([]any)
	for _, one := range list {
		if annotation, is := one.(map[string]any); is {
			for _, field := range pluginFields {
				delete(annotation, field)
			}
		}
	}
	return json.Marshal(board)
}
