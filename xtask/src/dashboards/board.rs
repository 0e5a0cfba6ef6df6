//! A dashboard: its variables, its annotations, and where its panels are.

use serde_json::{Value, json};

use super::panel::Panel;

/// The oldest version of the schema that has all that is used here; Grafana 10 and later read it.
const SCHEMA_VERSION: u64 = 39;
/// How many units a dashboard is wide.
const WIDTH: u64 = 24;

/// What every panel asks: the Prometheus that the dashboard's reader has chosen.
pub(super) fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// A dashboard that is being put together, from top to bottom.
pub(super) struct Board {
    json: Value,
    panels: Vec<Value>,
    x: u64,
    y: u64,
    /// How tall the line of panels is that is being filled.
    line: u64,
}

impl Board {
    pub(super) fn new(uid: &str, title: &str, description: &str, from: &str) -> Self {
        let json = json!({
            "uid": uid, "title": title, "description": description, "tags": ["proofload"], "editable": true,
            "schemaVersion": SCHEMA_VERSION, "version": 1, "timezone": "browser", "graphTooltip": 1,
            "refresh": "10s", "time": {"from": from, "to": "now"},
            "templating": {"list": []}, "annotations": {"list": []}, "links": [],
        });
        let all = json!({"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus",
                         "refresh": 1, "hide": 0, "includeAll": false, "multi": false});
        let mut board = Self { json, panels: Vec::new(), x: 0, y: 0, line: 0 };
        board.push("templating", all);
        board
    }

    fn push(&mut self, list: &str, value: Value) {
        let list = if list == "links" { &mut self.json["links"] } else { &mut self.json[list]["list"] };
        if let Some(list) = list.as_array_mut() {
            list.push(value);
        }
    }

    /// A variable of one value of a label.
    pub(super) fn one_of(self, name: &str, label: &str, query: &str) -> Self {
        self.variable(name, label, query, &json!({"multi": false, "includeAll": false}))
    }

    /// A variable of any number of values of a label; at first all, those of series without the label too.
    pub(super) fn any_of(self, name: &str, label: &str, query: &str) -> Self {
        let current = json!({"selected": true, "text": ["All"], "value": ["$__all"]});
        self.variable(
            name,
            label,
            query,
            &json!({"multi": true, "includeAll": true, "allValue": ".*", "current": current}),
        )
    }

    fn variable(mut self, name: &str, label: &str, query: &str, more: &Value) -> Self {
        let mut variable = json!({
            "name": name, "label": label, "type": "query", "datasource": datasource(), "definition": query,
            "query": {"query": query, "refId": "variable", "qryType": 1}, "refresh": 2, "sort": 1, "hide": 0,
        });
        for (field, value) in more.as_object().into_iter().flatten() {
            variable[field] = value.clone();
        }
        self.push("templating", variable);
        self
    }

    /// A variable that is typed: a regular expression.
    pub(super) fn typed(mut self, name: &str, label: &str, value: &str) -> Self {
        let current = json!({"selected": true, "text": value, "value": value});
        self.push(
            "templating",
            json!({"name": name, "label": label, "type": "textbox", "query": value, "current": current, "hide": 0,
                   "options": [current]}),
        );
        self
    }

    /// A mark at the times that an expression has as its value, in seconds since 1970.
    pub(super) fn moment(self, name: &str, color: &str, expression: &str, title: &str) -> Self {
        // Grafana takes milliseconds.
        self.annotation(name, color, &format!("1000 * {expression}"), title, true)
    }

    /// A mark over the time in which an expression has a value.
    pub(super) fn period(self, name: &str, color: &str, expression: &str, title: &str) -> Self {
        self.annotation(name, color, expression, title, false)
    }

    fn annotation(mut self, name: &str, color: &str, expression: &str, title: &str, value_is_time: bool) -> Self {
        self.push(
            "annotations",
            json!({"name": name, "iconColor": color, "enable": true, "hide": false, "datasource": datasource(),
                   "expr": expression, "titleFormat": title, "textFormat": "", "useValueForTime": value_is_time}),
        );
        self
    }

    /// A link to another dashboard, for the same time.
    pub(super) fn link(mut self, title: &str, uid: &str) -> Self {
        self.push(
            "links",
            json!({"title": title, "type": "link", "icon": "dashboard", "tooltip": title, "url": format!("/d/{uid}"),
                   "tags": [], "asDropdown": false, "targetBlank": false, "includeVars": true, "keepTime": true}),
        );
        self
    }

    /// A heading over the panels that follow.
    pub(super) fn row(mut self, title: &str) -> Self {
        self.end_line();
        let id = self.next_id();
        self.panels.push(json!({"type": "row", "title": title, "id": id, "collapsed": false, "panels": [],
                                "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": self.y}}));
        self.y += 1;
        self
    }

    /// A panel beside the one before, or below where it does not fit.
    pub(super) fn panel(mut self, panel: Panel) -> Self {
        let (height, width) = panel.size();
        if self.x + width > WIDTH {
            self.end_line();
        }
        self.panels.push(panel.placed(self.next_id(), self.x, self.y));
        self.x += width;
        self.line = self.line.max(height);
        self
    }

    fn end_line(&mut self) {
        self.y += self.line;
        (self.x, self.line) = (0, 0);
    }

    fn next_id(&self) -> u64 {
        self.panels.len() as u64 + 1
    }

    /// As JSON.
    pub(super) fn finished(mut self) -> Value {
        self.json["panels"] = self.panels.into();
        self.json
    }
}
