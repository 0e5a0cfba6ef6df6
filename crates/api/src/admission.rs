//! Admission without an API server: the schema, its defaults and its CEL rules, applied offline.
//!
//! What `kubectl apply` refuses, `proofload validate` refuses too, in the same places, with all problems at once. The
//! rules are read from the custom resource definition itself, so that there is one source of them.

use std::sync::LazyLock;

use cel::{Context, Program, Value as CelValue};
use jsonschema::error::{TypeKind, ValidationErrorKind};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::loadtest::LoadTest;
use crate::problem::{Problem, did_you_mean};
use crate::schedule::LoadTestSchedule;
use crate::{GROUP, VERSION};

/// Reads a `LoadTest`, or says everything that is wrong with it: unknown fields, types, ranges, CEL rules. Defaults are
/// filled in as the API server does.
pub fn admit(value: &Value) -> Result<LoadTest, Vec<Problem>> {
    static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::new(crate::complete(LoadTest::crd(), crate::MAX_NAME)));
    admitted(value, "LoadTest", &RULES)
}

/// The same for a `LoadTestSchedule`.
pub fn admit_schedule(value: &Value) -> Result<LoadTestSchedule, Vec<Problem>> {
    static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::new(crate::schedule_crd()));
    admitted(value, "LoadTestSchedule", &RULES)
}

/// What a kind must be.
struct Rules {
    schema: Value,
    /// The schema's own rules; not those in CEL.
    validator: jsonschema::Validator,
}

impl Rules {
    fn new(crd: CustomResourceDefinition) -> Self {
        let schema = root_schema(crd);
        let mut translated = schema.clone();
        translate(&mut translated);
        let validator = jsonschema::validator_for(&translated).expect("the schema of our own types is one");
        Self { schema, validator }
    }
}

fn admitted<T: DeserializeOwned>(value: &Value, of: &str, rules: &Rules) -> Result<T, Vec<Problem>> {
    kind(value, of)?;
    let Rules { schema, validator } = rules;
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        // The status is the operator's: whatever a file has there is dropped, as the API server does.
        object.remove("status");
    }
    fill_defaults(&mut value, schema);
    let mut problems = Vec::new();
    unknown_fields(&value, schema, "", &mut problems);
    let unsound = schema_problems(&value, validator);
    let sound = unsound.is_empty();
    problems.extend(unsound);
    if sound {
        cel_problems(&value, schema, "", &mut problems);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        vec![Problem::new(path, format!("a {of} as its documentation has it"), error.into_inner().to_string())]
    })
}

fn kind(value: &Value, of: &str) -> Result<(), Vec<Problem>> {
    let api_version = format!("{GROUP}/{VERSION}");
    let mut problems = Vec::new();
    for (field, expected) in [("apiVersion", api_version.as_str()), ("kind", of)] {
        let came = value.get(field);
        if came.and_then(Value::as_str) != Some(expected) {
            problems.push(Problem::new(field, expected, came.map_or("nothing".to_owned(), short)));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// What is said of a target that is thought to be a web socket by its address.
pub const WEB_SOCKET: &str = "http:// instead of ws://, https:// instead of wss://: a web socket is opened by a step";

/// What the API server admits as a name, but for the dots that a name of ours must not have.
const NAME_PATTERN: &str = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";

fn root_schema(crd: CustomResourceDefinition) -> Value {
    let crd = serde_json::to_value(crd).expect("a definition is JSON");
    let mut schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    // What the API server knows of metadata without being told.
    let text = json!({"type": "string"});
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    schema["properties"]["apiVersion"] = text.clone();
    schema["properties"]["kind"] = text.clone();
    schema["properties"]["metadata"] = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true,
        "properties": {"name": {"type": "string", "pattern": NAME_PATTERN}, "generateName": text, "namespace": text, "labels": texts, "annotations": texts}});
    schema
}

/// The schema of a field: its own, or that of every entry of a map.
fn field<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    let own = properties(schema).and_then(|fields| fields.get(name));
    own.or_else(|| schema.get("additionalProperties").filter(|schema| schema.is_object()))
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

/// As the API server: a default counts where its parent exists, and defaults are filled into defaults.
fn fill_defaults(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(object) => {
            for (name, schema) in properties(schema).into_iter().flatten() {
                if let Some(default) = schema.get("default").filter(|_| !object.contains_key(name)) {
                    object.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in object {
                if let Some(schema) = field(schema, name) {
                    fill_defaults(value, schema);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for item in items {
                    fill_defaults(item, schema);
                }
            }
        }
        _ => {}
    }
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

fn unknown_fields(value: &Value, schema: &Value, path: &str, problems: &mut Vec<Problem>) {
    match value {
        Value::Object(object) => {
            let open = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
            for (name, value) in object {
                match (field(schema, name), properties(schema)) {
                    (Some(schema), _) => unknown_fields(value, schema, &join(path, name), problems),
                    (None, Some(known)) if !open => problems.push(unknown_field(name, path, known)),
                    // A mapping with nothing to say, such as a ping.
                    (None, None) if !open && schema["type"] == "object" => {
                        problems.push(Problem::new(join(path, name), "no field here", "an unknown one"));
                    }
                    (None, _) => {}
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            for (i, item) in items.iter().enumerate() {
                unknown_fields(item, schema, &format!("{path}[{i}]"), problems);
            }
        }
        _ => {}
    }
}

fn unknown_field(name: &str, path: &str, known: &Map<String, Value>) -> Problem {
    let names = || known.keys().map(String::as_str);
    let problem = Problem::new(join(path, name), "a field that exists", "an unknown one");
    match did_you_mean(name, names()) {
        Some(meant) => problem.hint(format!("did you mean {meant}?")),
        None => problem.hint(format!("there are: {}", names().collect::<Vec<_>>().join(", "))),
    }
}

fn schema_problems(value: &Value, validator: &jsonschema::Validator) -> Vec<Problem> {
    let problem = |error: jsonschema::ValidationError<'_>| {
        let path = dotted(error.instance_path().as_str());
        let came = short(error.instance());
        match error.kind() {
            ValidationErrorKind::Required { property } => {
                Problem::new(join(&path, property.as_str().unwrap_or_default()), "this field", "nothing")
            }
            kind => {
                let is_web_socket = ["\"ws://", "\"wss://"].iter().any(|scheme| came.starts_with(scheme));
                let problem = Problem::new(path, expectation(kind).unwrap_or_else(|| error.to_string()), came);
                if is_web_socket { problem.hint(WEB_SOCKET) } else { problem }
            }
        }
    };
    validator.iter_errors(value).map(problem).collect()
}

/// Says in words of JSON Schema what two extensions of Kubernetes mean.
fn translate(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
                object.insert("type".to_owned(), json!(["integer", "string"]));
            }
            if object.get("nullable") == Some(&Value::Bool(true)) {
                if let Some(Value::String(kind)) = object.get("type") {
                    let kinds = json!([kind, "null"]);
                    object.insert("type".to_owned(), kinds);
                }
                if let Some(Value::Array(options)) = object.get_mut("enum") {
                    options.push(Value::Null);
                }
            }
            object.values_mut().for_each(translate);
        }
        Value::Array(items) => items.iter_mut().for_each(translate),
        _ => {}
    }
}

fn expectation(kind: &ValidationErrorKind) -> Option<String> {
    Some(match kind {
        ValidationErrorKind::Type { kind: TypeKind::Single(kind) } => article(&kind.to_string()),
        ValidationErrorKind::Type { kind: TypeKind::Multiple(kinds) } => {
            let kinds: Vec<String> = kinds.iter().map(|kind| kind.to_string()).filter(|kind| kind != "null").collect();
            kinds.iter().map(|kind| article(kind)).collect::<Vec<_>>().join(" or ")
        }
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().into_iter().flatten().filter(|option| !option.is_null()).map(short);
            format!("one of {}", options.collect::<Vec<_>>().join(", "))
        }
        ValidationErrorKind::Pattern { pattern } => described(pattern),
        ValidationErrorKind::Minimum { limit } => format!("at least {}", whole(limit)),
        ValidationErrorKind::Maximum { limit } => format!("at most {}", whole(limit)),
        ValidationErrorKind::MinItems { limit } => format!("at least {limit} of them"),
        ValidationErrorKind::MaxItems { limit } | ValidationErrorKind::MaxProperties { limit } => {
            format!("at most {limit} of them")
        }
        ValidationErrorKind::MinLength { limit } => format!("at least {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("at most {limit} characters"),
        ValidationErrorKind::Not { schema } => {
            let fields = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            format!("at most one of {}", fields.collect::<Vec<_>>().join(" and "))
        }
        _ => return None,
    })
}

/// A limit of a schema is a float to the definition's types, though every one of ours is whole.
fn whole(limit: &Value) -> String {
    limit.as_f64().map_or_else(|| limit.to_string(), |limit| format!("{limit:.0}"))
}

fn article(kind: &str) -> String {
    match kind {
        "integer" => "a whole number".to_owned(),
        "array" => "a list".to_owned(),
        "object" => "fields (a mapping)".to_owned(),
        "boolean" => "true or false".to_owned(),
        other => format!("a {other}"),
    }
}

/// What a pattern of our schema means, for people.
fn described(pattern: &str) -> String {
    let known = [
        ("(d|h|ms|m|us|s)", "a time such as 250ms, 90s or 1h30m"),
        ("^https?://", "an address such as http://api.shop.svc:8080"),
        ("^/[ -~]*$", "a path that begins with /, percent-encoded where needed"),
        ("/[mh]", "a rate such as 500/s, 90/m or 10/h"),
        ("%$", "a share such as 5% or 0.5%, at most 100%"),
        ("^[A-Za-z_]", "letters, digits and _, not beginning with a digit"),
        ("^[-._a-zA-Z0-9]", "a key of letters, digits, -, _ and ."),
        ("^[a-z0-9]([-a-z0-9", "lower-case letters, digits and -, as in a DNS label"),
        ("[1-5]xx", "a status such as 429 or a class such as 2xx"),
        ("^Auto$", "Auto or a number"),
        ("(Ki|Mi|Gi)", "a size such as 256Mi"),
        ("m)$", "CPUs such as 500m or 2"),
    ];
    let found = known.into_iter().find(|(part, _)| pattern.contains(part));
    found.map_or_else(|| format!("text that matches {pattern}"), |(_, meaning)| meaning.to_owned())
}

/// From `/spec/scenarios/0/name` to `spec.scenarios[0].name`.
fn dotted(pointer: &str) -> String {
    pointer.split('/').skip(1).fold(String::new(), |path, part| {
        let part = part.replace("~1", "/").replace("~0", "~");
        if part.bytes().all(|byte| byte.is_ascii_digit()) { format!("{path}[{part}]") } else { join(&path, &part) }
    })
}

/// A value in an error message: as JSON, cut where it is long.
fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 { text } else { text.chars().take(57).chain("...".chars()).collect() }
}

/// The CEL rules of a value and of everything in it. Rules on a change (`oldSelf`) hold for a new object.
fn cel_problems(value: &Value, schema: &Value, path: &str, problems: &mut Vec<Problem>) {
    for rule in schema.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
        let text = rule["rule"].as_str().unwrap_or_default();
        if !text.contains("oldSelf") && !holds(text, value) {
            let message = rule["message"].as_str().unwrap_or(text);
            let expected = message.strip_prefix("expected ").unwrap_or(message);
            problems.push(Problem::new(path, expected, short(value)));
        }
    }
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                if let Some(schema) = field(schema, name) {
                    cel_problems(value, schema, &join(path, name), problems);
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            for (i, item) in items.iter().enumerate() {
                cel_problems(item, schema, &format!("{path}[{i}]"), problems);
            }
        }
        _ => {}
    }
}

/// A rule that cannot be evaluated does not hold, as in the API server.
fn holds(rule: &str, value: &Value) -> bool {
    let program = Program::compile(rule).expect("a rule of our own schema compiles: a test evaluates each of them");
    let mut context = Context::default();
    context.add_variable("self", value).is_ok() && program.execute(&context).is_ok_and(|v| v == CelValue::Bool(true))
}
