//! Reads what Prometheus answers (its HTTP API, version 1).

use serde::Deserialize;

/// Why there are no samples.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSamples {
    /// To ask again will not help.
    #[error("{0}")]
    Final(String),
    /// It may help.
    #[error("{0}")]
    Later(String),
    /// The way of asking is not allowed; another one may be.
    #[error("expected an answer to POST and to GET, got status 405 to both")]
    Method,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    status: String,
    #[serde(default)]
    data: Option<Data>,
    #[serde(default)]
    error_type: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    #[serde(default)]
    result: serde_json::Value,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    values: Vec<(f64, String)>,
    #[serde(default)]
    histograms: Vec<serde_json::Value>,
}

/// The samples of an answer to `query_range`, as seconds since 1970 and values; without those that are no numbers, which
/// a division by nothing gives. Of no series there are none.
pub(crate) fn samples(status: u16, body: &[u8]) -> Result<Vec<(f64, f64)>, NoSamples> {
    let data = data(status, body)?;
    if data.result_type != "matrix" {
        return Err(NoSamples::Final(format!("expected a series over time, got a {}", data.result_type)));
    }
    let read: Result<Vec<Series>, _> = serde_json::from_value(data.result);
    let series = read.map_err(|error| NoSamples::Final(format!("its answer cannot be read: {error}")))?;
    match &series[..] {
        [] => Ok(Vec::new()),
        [one] if one.values.is_empty() && !one.histograms.is_empty() => {
            let what = "expected numbers, got a native histogram: ask for a figure of it, such as histogram_quantile";
            Err(NoSamples::Final(what.to_owned()))
        }
        [one] => {
            let read = |(at, value): &(f64, String)| Some((*at, value.parse::<f64>().ok()?));
            let samples = one.values.iter().filter_map(read);
            Ok(samples.filter(|(at, value)| at.is_finite() && value.is_finite()).collect())
        }
        many => {
            let many = many.len();
            let what = format!("expected one series, got {many}: make them one, e.g. by sum(...) or max(...)");
            Err(NoSamples::Final(what))
        }
    }
}

/// What Prometheus finds wrong with the text of a query, if that is what it says.
pub(crate) fn bad_query(status: u16, body: &[u8]) -> Option<String> {
    let envelope: Envelope = serde_json::from_slice(body).ok().filter(|_| status == 400)?;
    envelope.error.filter(|_| envelope.error_type.as_deref() == Some("bad_data"))
}

fn data(status: u16, body: &[u8]) -> Result<Data, NoSamples> {
    let envelope = serde_json::from_slice::<Envelope>(body);
    let said = envelope.as_ref().ok().and_then(|envelope| {
        let kind = envelope.error_type.as_deref().unwrap_or("error");
        Some(format!("Prometheus says {kind}: {}", envelope.error.as_ref()?))
    });
    let refused = || said.clone().unwrap_or_else(|| format!("expected an answer, got status {status}"));
    match (status, envelope) {
        (200..=299, Ok(Envelope { status, data: Some(data), .. })) if status == "success" => Ok(data),
        (200..=299, Err(_)) => {
            let what = "expected an answer of Prometheus as JSON, got something else: does spec.prometheus.url say where \
                        its API is?";
            Err(NoSamples::Final(what.to_owned()))
        }
        (401 | 403, _) => Err(NoSamples::Final(format!("{}: spec.prometheus.auth says who asks", refused()))),
        (404, _) => Err(NoSamples::Final(format!("{}: spec.prometheus.url ends before /api/v1", refused()))),
        (405, _) => Err(NoSamples::Method),
        (408 | 425 | 429 | 500..=599, _) => Err(NoSamples::Later(refused())),
        _ => Err(NoSamples::Final(refused())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matrix(result: &str) -> Vec<u8> {
        format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":{result}}}}}"#).into_bytes()
    }

    #[test]
    fn one_series_is_read_without_what_is_no_number() {
        let body = matrix(r#"[{"metric":{"a":"b"},"values":[[1.5,"2"],[2.5,"NaN"],[3.5,"+Inf"],[4.5,"-1e3"]]}]"#);
        assert_eq!(samples(200, &body), Ok(vec![(1.5, 2.0), (4.5, -1000.0)]));
        assert_eq!(samples(200, &matrix("[]")), Ok(Vec::new()));
    }

    #[test]
    fn an_answer_of_no_use_says_why_and_whether_to_ask_again() {
        let several = matrix(r#"[{"values":[[1,"2"]]},{"values":[[1,"2"]]}]"#);
        let says = |status, body: &[u8]| samples(status, body).unwrap_err();
        assert!(says(200, &several).to_string().contains("expected one series, got 2"));
        let bad = br#"{"status":"error","errorType":"bad_data","error":"1:5: parse error: unclosed"}"#;
        assert_eq!(says(400, bad), NoSamples::Final("Prometheus says bad_data: 1:5: parse error: unclosed".to_owned()));
        assert_eq!(bad_query(400, bad).as_deref(), Some("1:5: parse error: unclosed"));
        assert_eq!(bad_query(503, bad), None);
        assert!(matches!(says(503, b"busy"), NoSamples::Later(_)));
        assert!(matches!(says(401, b""), NoSamples::Final(said) if said.contains("spec.prometheus.auth")));
        assert!(says(404, b"not found").to_string().contains("before /api/v1"));
        assert!(says(200, b"<html>").to_string().contains("spec.prometheus.url"));
        assert!(says(200, &matrix(r#"[{"histograms":[[1,{}]]}]"#)).to_string().contains("native histogram"));
    }

    proptest! {
        #[test]
        fn any_answer_is_read(status in 100_u16..600, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = samples(status, &body);
        }

        #[test]
        fn any_result_is_read(result in "[\\[\\]{}\",:a-z0-9]{0,40}") {
            let _ = samples(200, &matrix(&result));
        }
    }
}
