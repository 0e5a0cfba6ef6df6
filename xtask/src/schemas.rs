//! JSON schemas of Kubernetes' kinds for kubeconform, made from what the API server itself publishes.
//!
//! The collection that kubeconform fetches by default is on the internet and knows no `LoadTest`; the server knows
//! exactly what it accepts. An `OpenAPI` v3 document differs from a JSON schema that stands on its own in where its
//! references point and in that it is lax about unknown fields. Those two things are changed here.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};
use xshell::cmd;

use crate::context::Context;

/// Writes a schema for each kind of the API groups that the manifests use. Returns how many.
pub(crate) fn write(context: &Context, kubectl: &Path, manifests: &str, directory: &Path) -> Result<usize> {
    let sh = &context.sh;
    sh.remove_path(directory)?;
    sh.create_dir(directory)?;
    let mut written = 0;
    for version in api_versions(manifests) {
        let path = document_path(version);
        let text = cmd!(sh, "{kubectl} get --raw {path}")
            .quiet()
            .ignore_stderr()
            .read()
            .with_context(|| format!("the API server publishes no schema of {version}"))?;
        let document: Value = serde_json::from_str(&text).with_context(|| format!("reading {path}"))?;
        for schema in standalone(&document) {
            sh.write_file(directory.join(schema.file), serde_json::to_string(&schema.schema)?)?;
            written += 1;
        }
    }
    ensure!(written > 0, "the API server published no schema");
    Ok(written)
}

/// What kubeconform's `-schema-location` must be to find them.
pub(crate) fn location(directory: &Path) -> String {
    format!("{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", directory.display())
}

fn api_versions(manifests: &str) -> BTreeSet<&str> {
    manifests.lines().filter_map(|line| line.strip_prefix("apiVersion: ")).map(|v| v.trim().trim_matches('"')).collect()
}

fn document_path(api_version: &str) -> String {
    let root = if api_version.contains('/') { "apis" } else { "api" };
    format!("/openapi/v3/{root}/{api_version}")
}

struct Schema {
    /// As `location` says: `deployment-apps-v1.json`.
    file: String,
    schema: Value,
}

/// Each kind of an `OpenAPI` v3 document as a schema of its own.
fn standalone(document: &Value) -> Vec<Schema> {
    let empty = Map::new();
    let schemas = document["components"]["schemas"].as_object().unwrap_or(&empty);
    let mut found = Vec::new();
    for (name, schema) in schemas {
        let Some([kind]) = schema["x-kubernetes-group-version-kind"].as_array().map(Vec::as_slice) else {
            // Not a kind, or one (such as DeleteOptions) that belongs to every group and never to a file.
            continue;
        };
        let part = |field: &str| kind[field].as_str().unwrap_or_default().to_lowercase();
        // kubeconform takes the group's first label alone.
        let group = part("group").split('.').next().unwrap_or_default().to_owned();
        let names = [part("kind"), group, part("version")];
        let file = names.iter().filter(|name| !name.is_empty()).map(String::as_str).collect::<Vec<_>>().join("-");
        found.push(Schema { file: format!("{file}.json"), schema: closure(name, schemas) });
    }
    found
}

/// A schema with everything that it refers to, directly or not.
fn closure(name: &str, schemas: &Map<String, Value>) -> Value {
    let mut definitions = Map::new();
    let mut wanted = vec![name.to_owned()];
    while let Some(name) = wanted.pop() {
        if definitions.contains_key(&name) {
            continue;
        }
        let mut schema = schemas.get(&name).cloned().unwrap_or_else(|| json!({}));
        make_strict(&mut schema, &mut wanted);
        definitions.insert(name, schema);
    }
    json!({ "$schema": "http://json-schema.org/draft-07/schema#", "$ref": format!("#/definitions/{name}"), "definitions": definitions })
}

/// Points references into `definitions` (and collects them), and refuses unknown fields where the fields are known.
fn make_strict(schema: &mut Value, references: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get_mut("$ref")
                && let Some(name) = reference.strip_prefix("#/components/schemas/").map(str::to_owned)
            {
                *reference = format!("#/definitions/{name}");
                references.push(name);
            }
            let open = fields.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
            let object = fields.get("type").is_some_and(|kind| kind == "object");
            if object && !open && fields.get("properties").is_some_and(Value::is_object) {
                fields.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            fields.values_mut().for_each(|value| make_strict(value, references));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| make_strict(item, references)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        json!({"components": {"schemas": {
            "v1.Deployment": {
                "type": "object",
                "properties": {"spec": {"allOf": [{"$ref": "#/components/schemas/v1.Spec"}], "default": {}}},
                "x-kubernetes-group-version-kind": [{"group": "apps", "kind": "Deployment", "version": "v1"}],
            },
            "v1.Spec": {"type": "object", "properties": {"replicas": {"type": "integer"}}},
            "v1.Free": {"type": "object", "properties": {"a": {}}, "x-kubernetes-preserve-unknown-fields": true},
            "v1.Unused": {"type": "object"},
        }}})
    }

    #[test]
    fn a_kind_stands_on_its_own_and_is_strict() {
        let schemas = standalone(&document());
        assert_eq!(schemas.len(), 1);
        assert_eq!(schemas[0].file, "deployment-apps-v1.json");
        let definitions = &schemas[0].schema["definitions"];
        assert_eq!(definitions.as_object().map(Map::len), Some(2), "only what the kind refers to");
        assert_eq!(definitions["v1.Spec"]["additionalProperties"], false);
        let reference = &definitions["v1.Deployment"]["properties"]["spec"]["allOf"][0]["$ref"];
        assert_eq!(reference, "#/definitions/v1.Spec");
    }

    #[test]
    fn objects_that_keep_unknown_fields_stay_open() {
        let mut schema = document()["components"]["schemas"]["v1.Free"].clone();
        make_strict(&mut schema, &mut Vec::new());
        assert_eq!(schema.get("additionalProperties"), None);
    }

    #[test]
    fn the_groups_in_use_are_read_from_the_manifests() {
        let manifests = "apiVersion: v1\nkind: Service\n---\napiVersion: apps/v1\nspec:\n  apiVersion: not/this\n";
        assert_eq!(api_versions(manifests).into_iter().collect::<Vec<_>>(), ["apps/v1", "v1"]);
        assert_eq!(document_path("v1"), "/openapi/v3/api/v1");
        assert_eq!(document_path("apps/v1"), "/openapi/v3/apis/apps/v1");
    }
}
