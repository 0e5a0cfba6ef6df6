//! One panel: what it asks, and how it shows the answer.

use serde_json::{Value, json};

use super::board::datasource;

/// How verdicts look everywhere.
const VERDICT_COLORS: [(&str, &str); 5] =
    [("Passed", "green"), ("Failed", "red"), ("Inconclusive", "orange"), ("Unjudged", "blue"), ("Error", "purple")];

/// A panel, without its place.
pub(super) struct Panel(Value);

/// How tall a panel is, in Grafana's rows of 30 pixels.
const HEIGHT: u64 = 8;

impl Panel {
    fn new(kind: &str, title: &str, description: &str, unit: &str, options: &Value) -> Self {
        Self(json!({
            "type": kind, "title": title, "description": description, "datasource": datasource(),
            "gridPos": {"h": HEIGHT, "w": 8, "x": 0, "y": 0},
            "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
            "options": options, "targets": [],
        }))
    }

    /// Lines over time.
    pub(super) fn series(title: &str, description: &str, unit: &str) -> Self {
        let legend = json!({"displayMode": "table", "placement": "bottom", "showLegend": true,
                            "calcs": ["mean", "max", "lastNotNull"]});
        let options = json!({"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}});
        let mut panel = Self::new("timeseries", title, description, unit, &options);
        panel.0["fieldConfig"]["defaults"]["custom"] = json!({
            "drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "auto", "axisSoftMin": 0,
        });
        panel
    }

    /// One value, large.
    pub(super) fn stat(title: &str, description: &str, unit: &str) -> Self {
        let options = json!({
            "graphMode": "none", "colorMode": "value", "justifyMode": "auto", "textMode": "auto", "wideLayout": true,
            "showPercentChange": false, "percentChangeColorMode": "standard", "orientation": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
        });
        Self::new("stat", title, description, unit, &options).sized(4, 4)
    }

    /// One value that is a word: the label that the legend names.
    pub(super) fn word(title: &str, description: &str) -> Self {
        let mut panel = Self::stat(title, description, "none");
        panel.0["options"]["textMode"] = "name".into();
        panel.0["options"]["colorMode"] = "background".into();
        panel
    }

    /// Rows and columns.
    pub(super) fn table(title: &str, description: &str) -> Self {
        let options = json!({"frameIndex": 0, "showHeader": true, "cellHeight": "sm"});
        Self::new("table", title, description, "none", &options)
    }

    /// The distribution of latency over time.
    pub(super) fn heatmap(title: &str, description: &str) -> Self {
        let options = json!({
            "calculate": false, "cellGap": 1, "showValue": "never", "legend": {"show": true},
            "color": {"mode": "scheme", "scheme": "Oranges", "fill": "dark-orange", "scale": "exponential",
                      "exponent": 0.5, "steps": 64, "reverse": false},
            "yAxis": {"unit": "s", "axisPlacement": "left"}, "rowsFrame": {"layout": "auto"},
            "tooltip": {"mode": "single", "yHistogram": true, "showColorScale": true},
            "filterValues": {"le": 1e-9}, "exemplars": {"color": "rgba(255,0,255,0.7)"},
            "cellValues": {"unit": "short"},
        });
        Self::new("heatmap", title, description, "s", &options)
    }

    /// A state at each moment, one line for each series.
    pub(super) fn timeline(title: &str, description: &str) -> Self {
        let options = json!({
            "showValue": "auto", "rowHeight": 0.9, "mergeValues": true, "alignValue": "left",
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []},
            "tooltip": {"mode": "single", "sort": "none"},
        });
        let mut panel = Self::new("state-timeline", title, description, "none", &options);
        panel.0["fieldConfig"]["defaults"]["custom"] = json!({"lineWidth": 0, "fillOpacity": 80});
        panel
    }

    /// Asks for a value at each moment.
    pub(super) fn ask(self, legend: &str, expression: &str) -> Self {
        self.target(legend, expression, &json!({"range": true, "instant": false, "format": "time_series"}))
    }

    /// Asks for the value now.
    pub(super) fn ask_now(self, legend: &str, expression: &str) -> Self {
        self.target(legend, expression, &json!({"range": false, "instant": true, "format": "time_series"}))
    }

    /// Asks for rows of a table: labels and the value now.
    pub(super) fn ask_rows(self, expression: &str) -> Self {
        self.target("__auto", expression, &json!({"range": false, "instant": true, "format": "table"}))
    }

    /// Asks for the buckets of a heatmap.
    pub(super) fn ask_buckets(self, expression: &str) -> Self {
        self.target("{{le}}", expression, &json!({"range": true, "instant": false, "format": "heatmap"}))
    }

    fn target(mut self, legend: &str, expression: &str, how: &Value) -> Self {
        if let Some(targets) = self.0["targets"].as_array_mut() {
            let letter = char::from(b'A' + u8::try_from(targets.len()).unwrap_or(25));
            let mut target = json!({"refId": letter.to_string(), "expr": expression, "legendFormat": legend,
                                    "editorMode": "code", "datasource": datasource()});
            for field in ["range", "instant", "format"] {
                target[field] = how[field].clone();
            }
            targets.push(target);
        }
        self
    }

    /// Wide and tall so many of Grafana's units; a dashboard is 24 wide.
    pub(super) fn sized(mut self, width: u64, height: u64) -> Self {
        self.0["gridPos"]["w"] = width.into();
        self.0["gridPos"]["h"] = height.into();
        self
    }

    /// Areas on top of each other: the parts of a sum.
    pub(super) fn stacked(mut self) -> Self {
        let custom = &mut self.0["fieldConfig"]["defaults"]["custom"];
        custom["stacking"] = json!({"mode": "normal", "group": "A"});
        custom["fillOpacity"] = 40.into();
        self
    }

    /// Green, and red from this value on.
    pub(super) fn red_from(mut self, value: f64) -> Self {
        let steps = json!([{"value": null, "color": "green"}, {"value": value, "color": "red"}]);
        let defaults = &mut self.0["fieldConfig"]["defaults"];
        defaults["thresholds"] = json!({"mode": "absolute", "steps": steps});
        defaults["color"] = json!({"mode": "thresholds"});
        self
    }

    /// What is shown where there is nothing.
    pub(super) fn otherwise(mut self, text: &str) -> Self {
        self.0["fieldConfig"]["defaults"]["noValue"] = text.into();
        self
    }

    /// Series that are named after a verdict in the verdict's colour.
    pub(super) fn colored_by_verdict(mut self) -> Self {
        let one = |(verdict, color): (&str, &str)| {
            json!({"matcher": {"id": "byName", "options": verdict},
                   "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}]})
        };
        self.0["fieldConfig"]["overrides"] = VERDICT_COLORS.map(one).into();
        self
    }

    /// Values 1 to 5 as the verdicts, in the order of [`verdicts`].
    pub(super) fn numbered_verdicts(mut self) -> Self {
        let options: serde_json::Map<String, Value> = (1..)
            .zip(VERDICT_COLORS)
            .map(|(number, (text, color))| (number.to_string(), json!({"text": text, "color": color})))
            .collect();
        self.0["fieldConfig"]["defaults"]["mappings"] = json!([{"type": "value", "options": options}]);
        self
    }

    /// 1 and 0 as words on green and on red.
    pub(super) fn good_or_bad(mut self, good: &str, bad: &str) -> Self {
        let options = json!({"1": {"text": good, "color": "green"}, "0": {"text": bad, "color": "red"}});
        self.0["fieldConfig"]["defaults"]["mappings"] = json!([{"type": "value", "options": options}]);
        self.0["options"]["colorMode"] = "background".into();
        self
    }

    /// A column of a table: its name by Grafana, the one to show, and its unit.
    pub(super) fn column(mut self, field: &str, name: &str, unit: &str) -> Self {
        let properties = json!([{"id": "displayName", "value": name}, {"id": "unit", "value": unit}]);
        self.push_override(field, &properties);
        self
    }

    /// A column of 1 and 0 as words in green and red.
    pub(super) fn yes_or_no(mut self, field: &str, name: &str, yes: &str, no: &str) -> Self {
        let options = json!({"1": {"text": yes, "color": "green"}, "0": {"text": no, "color": "red"}});
        let properties = json!([
            {"id": "displayName", "value": name},
            {"id": "mappings", "value": [{"type": "value", "options": options}]},
            {"id": "custom.cellOptions", "value": {"type": "color-background", "mode": "basic"}},
        ]);
        self.push_override(field, &properties);
        self
    }

    /// A column whose values lead to another dashboard.
    pub(super) fn linked(mut self, field: &str, title: &str, url: &str) -> Self {
        let link = json!({"title": title, "url": url, "targetBlank": false});
        self.push_override(field, &json!([{"id": "links", "value": [link]}]));
        self
    }

    /// A column that links can name, and nobody sees.
    pub(super) fn unseen(mut self, field: &str) -> Self {
        self.push_override(field, &json!([{"id": "custom.hidden", "value": true}]));
        self
    }

    fn push_override(&mut self, field: &str, properties: &Value) {
        if let Some(overrides) = self.0["fieldConfig"]["overrides"].as_array_mut() {
            overrides.push(json!({"matcher": {"id": "byName", "options": field}, "properties": properties}));
        }
    }

    /// Rows of several questions with the same labels as one; these columns are hidden.
    pub(super) fn merged(mut self, hidden: &[&str]) -> Self {
        let excluded: serde_json::Map<String, Value> =
            hidden.iter().map(|name| ((*name).to_owned(), Value::Bool(true))).collect();
        self.0["transformations"] = json!([
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": excluded, "indexByName": {}, "renameByName": {}}},
        ]);
        self
    }

    /// Height and width.
    pub(super) fn size(&self) -> (u64, u64) {
        let at = |name: &str| self.0["gridPos"][name].as_u64().unwrap_or(HEIGHT);
        (at("h"), at("w"))
    }

    /// As JSON, at its place.
    pub(super) fn placed(mut self, id: u64, x: u64, y: u64) -> Value {
        self.0["id"] = id.into();
        self.0["gridPos"]["x"] = x.into();
        self.0["gridPos"]["y"] = y.into();
        self.0
    }
}

/// The verdicts with the numbers that stand for them.
pub(super) fn verdicts() -> impl Iterator<Item = (u64, &'static str)> {
    (1..).zip(VERDICT_COLORS.map(|(verdict, _)| verdict))
}
